"""Ctrl-C, as a terminal sends it: to the whole process group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from privpipe.cli import main
from tests.cli._project import POLICY, write_people

# A test run in the background hands its children a SIGINT that is ignored; a terminal's is not.
SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from privpipe.cli import main
from privpipe.spark import Home
planned = Home.plan
def endless(home, *given):
    planned(home, *given)
    Path("planned").touch()
    home.spark.range(10**15).selectExpr("sum(hash(id))").collect()
Home.plan = endless
Path("begun").touch()
sys.exit(main(["plan", "people.yaml", "--source", "people.csv", "--quiet"]))
"""


@pytest.mark.parametrize(("sign", "seconds"), [("begun", 0.5), ("begun", 2.0), ("planned", 0.5)])
def test_ctrl_c_ends_in_silence_with_130(sign: str, seconds: float, tmp_path: Path) -> None:
    """At its beginning, while Spark starts, and in a job."""
    assert main(["init", str(tmp_path), "--quiet"]) == 0
    write_people(tmp_path / "people.csv")
    (tmp_path / "people.yaml").write_text(POLICY)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert _comes(tmp_path / sign, process)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (130, "")
    deadline = time.monotonic() + 30
    while (left := _group(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


def _comes(file: Path, process: subprocess.Popen[str]) -> bool:
    deadline = time.monotonic() + 120
    while not file.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return file.exists()


def _group(leader: int) -> list[int]:
    """The processes that are left of a session: a JVM that nobody can reach, for one."""
    found = []
    for state in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = state.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(state.parent.name))
    return found
