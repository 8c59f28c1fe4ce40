"""The command line in a process of its own, with a real Spark: started once, used by many tests."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Each line of stdin is one command. What the JVM itself writes goes to the process's own stderr,
# which must stay empty.
_SERVER = """
import contextlib, io, json, os, sys
from privpipe.cli import main
answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    asked = json.loads(line)
    os.chdir(asked["cwd"])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(asked["argv"])
    answers.write(json.dumps([code, out.getvalue(), err.getvalue()]) + "\\n")
    answers.flush()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error of a `--json` run."""
        return self.document["error"]


class Shell:
    """Runs commands, one after another, in one process."""

    def __init__(self, noise: Path) -> None:
        self._noise = noise
        with noise.open("w") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env={**os.environ, "PYSPARK_PYTHON": sys.executable},
            )

    def __call__(self, *argv: object, cwd: Path) -> Done:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"argv": [str(word) for word in argv], "cwd": str(cwd)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self.noise
        code, out, err = json.loads(answer)
        return Done(code=code, out=out, err=err)

    @property
    def noise(self) -> str:
        """What Spark or its JVM wrote to the terminal."""
        # Said by the second session of a process; a command has only one.
        return self._noise.read_text().replace('Setting Spark log level to "FATAL".\n', "")

    def end(self) -> None:
        """Ends the process."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


PEOPLE = [
    {"id": "1", "surname": "Neumann", "zip": "02134", "ssn": "0053042", "born": "1915-11-11"},
    {"id": "2", "surname": 'O\'Hara, "Bo"', "zip": "00501", "ssn": "4066625", "born": ""},
    {"id": "3", "surname": "", "zip": "4566", "ssn": "4365168", "born": "1948-09-30"},
    {"id": "4", "surname": "Größmüller", "zip": "", "ssn": "0053042", "born": "1915-11-11"},
    {"id": "5", "surname": "青木", "zip": "2135", "ssn": "", "born": "1995-11-19"},
]

POLICY = """\
version: 1
table: clinic.patients
columns:
  id: keep
  surname: encrypt
  zip: keep
  ssn: {protect: encrypt_deterministic, domain: ssn}
  born: encrypt
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project with a source, a policy and one protected table."""

    folder: Path
    shell: Shell

    def run(self, *argv: object) -> Done:
        """One command in the project's folder."""
        return self.shell(*argv, cwd=self.folder)

    def json(self, *argv: object) -> Any:
        """The document of a command that succeeds."""
        done = self.run(*argv, "--json")
        assert done.code == 0, done
        return done.document

    def state(self) -> dict[str, bytes]:
        """Every file of the warehouse, to show that nothing changed."""
        return {
            str(path): path.read_bytes()
            for path in sorted((self.folder / "warehouse").rglob("*"))
            if path.is_file()
        }


def write_people(path: Path) -> None:
    """The people as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(PEOPLE[0]))
        writer.writeheader()
        writer.writerows(PEOPLE)


def hasten(folder: Path) -> None:
    """Spark settings for tables of five rows: a third less work for the JVM."""
    path = folder / "privpipe.yaml"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("spark:")]
    options = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
    kept += [
        "spark:",
        f"  spark.driver.extraJavaOptions: {options}",
        "  spark.sql.shuffle.partitions: 2",
    ]
    path.write_text("\n".join(kept) + "\n")
