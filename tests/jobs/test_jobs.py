"""The jobs, under a real spark-submit: options, exit codes, re-runs."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from privpipe.cli import main

PROJECT = Path(__file__).resolve().parents[2]
SUBMIT = Path(pyspark.__file__).parent / "bin" / "spark-submit"
SETTINGS = PROJECT / "conf" / "spark" / "local.conf"


def submit(job: str, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(str(SUBMIT), "--master", "local[2]", "--properties-file", str(SETTINGS)),
            *(str(PROJECT / "jobs" / f"{job}.py"), *argv),
        ],
        cwd=cwd,
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYTHONPATH": str(PROJECT),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path), "--quiet"]) == 0
    (tmp_path / "people.csv").write_text("id,surname,email\n1,Neumann,n@x.org\n2,Parr,\n")
    return tmp_path


@pytest.mark.parametrize("path", sorted((PROJECT / "jobs").glob("*.py")), ids=lambda p: p.stem)
def test_a_job_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 50


def test_protect_and_reveal_under_spark_submit(project: Path) -> None:
    argv = ("policies/example.yaml", "--source", "people.csv", "--target", "warehouse/people")
    first = submit("protect", *argv, "--run-id", "r1", cwd=project)
    assert first.returncode == 0, first.stderr
    assert "2 row(s) of example.people protected" in first.stdout
    again = submit("protect", *argv, "--run-id", "r1", "--mode", "append", cwd=project)
    assert again.returncode == 3, again.stderr
    # spark-submit passes all that Python says on to its own stdout.
    assert "[PP-CAT-01]" in again.stdout
    opened = submit(
        *("reveal", "warehouse/people", "--columns", "surname", "--purpose", "a test"),
        *("--target", "opened.csv"),
        cwd=project,
    )
    assert opened.returncode == 0, opened.stderr
    text = "".join(path.read_text() for path in (project / "opened.csv").glob("part-*"))
    assert sorted(line for line in text.splitlines() if line[0].isdigit()) == [
        "1,Neumann",
        "2,Parr",
    ]


def test_open_k2_gives_its_arguments_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As spark-submit runs the file, up to where a session would start."""
    argv = ["--source", "s", "--target", "t", "--columns", "a", "--keys", "keyA"]
    monkeypatch.setattr(sys, "argv", ["open_k2.py", *argv])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PROJECT / "jobs" / "open_k2.py"), run_name="__main__")
    assert ended.value.code == 2
    assert "--keys: not of the form NAME=VALUE" in capsys.readouterr().err


FEATURES = """\
version: 1
features: example.people
source: people.csv
unit: row
aggregates: {people: units, named: {distinct: surname}}
privacy: {k_anonymity: 2}
"""


def test_features_under_spark_submit(project: Path) -> None:
    (project / "people.yaml").write_text(FEATURES)
    argv = ("people.yaml", "--target", "warehouse/figures", "--run-id", "f1")
    done = submit("features", *argv, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "1 group(s) written: ./warehouse/figures, version 0, run f1" in done.stdout
    (project / "people.yaml").write_text(FEATURES.replace("unit: row\n", ""))
    refused = submit("features", *argv, cwd=project)
    assert refused.returncode == 3
    assert "[PP-POL-02] people.yaml unit: no key unit" in refused.stdout


def test_a_usage_error_passes_through(project: Path) -> None:
    done = submit("protect", "policies/example.yaml", cwd=project)
    assert done.returncode == 2
    assert "missing option '--source'" in done.stdout
