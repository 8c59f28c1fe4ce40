"""What is wrong with a release is told with its code, before anything is charged or written."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.errors import PrivpipeError
from privpipe.spark import Home
from privpipe.spark.features import _run
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: clinic.costs
source: {source}
unit: person
groups: {{sex: [f, m]}}
bounds: {{groups: 1, rows: 2}}
aggregates:
  n: count
  s: {{sum: cost, low: 0, high: 100, step: 0.01}}
privacy: {{budget: clinic, epsilon: 1, delta: 1e-9}}
"""
COLUMNS = {
    "person": "{protect: pseudonymize, output: uuid}",
    "ssn": "keep",
    "sex": "keep",
    "city": "encrypt",
    "cost": "keep",
    "zip": "{protect: mask, show: {first: 2}}",
}
HINT = "hint: protect it first: `ssn: {protect: pseudonymize, output: uuid}`"

# Of the spec, what is replaced by what; the code, and what is said.
BAD: dict[str, tuple[str, str, str, str]] = {
    "no unit": ("unit: person\n", "", "PP-POL-02", "no key unit"),
    "an empty unit": ("unit: person", "unit:", "PP-POL-02", ":4 unit"),
    "no bounds": ("bounds: {groups: 1, rows: 2}\n", "", "PP-POL-02", "how much of a unit is kept"),
    "half of the bounds": (", rows: 2", "", "PP-POL-02", "no key rows"),
    "no clamp": ("high: 100, ", "", "PP-POL-02", "no key high"),
    "clamps the wrong way round": ("high: 100", "high: -1", "PP-POL-02", "not below the upper"),
    "a bound of nothing": ("rows: 2", "rows: 0", "PP-POL-02", "a whole number from 1 on"),
    "bounds where a row is one": ("unit: person", "unit: row", "PP-POL-02", "a row counts once"),
    "a clamp that is NaN": ("high: 100", "high: .nan", "PP-POL-02", ":9 aggregates.s"),
    "a clamp that is infinite": ("high: 100", "high: .inf", "PP-POL-02", ":9 aggregates.s"),
    "an epsilon that is NaN": ("epsilon: 1", "epsilon: .nan", "PP-POL-02", ":10 privacy"),
    "an epsilon that is infinite": ("epsilon: 1", "epsilon: .inf", "PP-POL-02", ":10 privacy"),
    "a raw identifier": ("unit: person", "unit: ssn", "PP-POL-02", HINT),
    "a masked unit": ("unit: person", "unit: zip", "PP-POL-02", "under `mask` in the source"),
    "groups that are neither": ("[f, m]", "", "PP-POL-02", "which groups exist would tell"),
    "groups of the data": ("[f, m]", "all", "PP-POL-02", "which groups exist would tell"),
    "a selection without a delta": (
        "[f, m]", "select", "PP-POL-02", "groups by `select` need a delta"),
    "a masked column": ("sum: cost", "sum: zip", "PP-POL-02", "zip stands under `mask`"),
    "groups by doubles": ("{sex: [f, m]}", "{cost: select}", "PP-DAT-03", "groups by a double"),
    "groups by spellings": ("{sex: [f, m]}", "{city: select}", "PP-DAT-03", "UTF8_LCASE"),
    "a spent budget": ("epsilon: 1,", "epsilon: 99,", "PP-BUD-01", "is left of"),
    "a spent delta": ("delta: 1e-9", "delta: 1e-4", "PP-BUD-01", "is left of"),
    "an unknown budget": ("budget: clinic", "budget: clinik", "PP-BUD-02", "clinik"),
    "another's budget": ("budget: clinic", "budget: other", "PP-BUD-03", "to budget clinic"),
    "a delta too large": ("delta: 1e-9", "delta: 0.01", "PP-BUD-00", "source has 2,000 rows"),
    "sums beyond 64 bits": ("high: 100, step: 0.01", "high: 8e15, step: 1", "PP-DAT-10", "bits"),
    "squares beyond 64 bits": (
        "{sum: cost, low: 0, high: 100, step: 0.01", "{variance: cost, low: 0, high: 1e10",
        "PP-POL-02", "64 bits"),
    "windows of groups": ("unit: person", "unit: person\nwindows: [7d]", "PP-POL-02", "windows"),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "clinic", Budget.of_epsilon(90, delta="1e-5"))
    ledger.open_budget(home.catalog, "other", Budget.of_epsilon(90, delta="1e-5"))
    return home


@pytest.fixture(scope="module")
def spec(home: Home, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A spec that is right, of which one release was made."""
    folder = tmp_path_factory.mktemp("tables")
    people = spark.sql(
        "select concat('p', id % 50) as person, concat('s', id % 50) as ssn, "
        "if(id % 2 = 0, 'f', 'm') as sex, 'x' collate UTF8_LCASE as city, "
        "cast(id as double) as cost, '12345' as zip from range(2000)"
    )
    home.protect(parse_policy(policy_text("clinic.people", COLUMNS)), people, folder / "people")
    text = SPEC.format(source=folder / "people")
    (folder / "right.yaml").write_text(text)
    assert home.features(folder / "right.yaml", folder / "right").rows == 2
    return text


def is_refused(home: Home, text: str, folder: Path, code: str, words: str) -> bool:
    """With that code and a place, no event in the ledger, and no table."""
    file, target, told = folder / "bad.yaml", folder / "never", home.catalog.budget_events()
    file.write_text(text)
    try:
        home.features(file, target)
    except PrivpipeError as error:
        said = str(error)
        right = error.code == code and words in said and re.match(r"\[PP-\w{3}-\d\d\] \S+", said)
        assert right, said
        return home.catalog.budget_events() == told and not target.exists()
    return False


def test_bad_input_costs_nothing_and_releases_nothing(
    home: Home, spec: str, tmp_path: Path
) -> None:
    left = ledger.standing(home.catalog, "clinic").left
    for name, (old, new, code, words) in BAD.items():
        text = spec.replace(old, new, 1)
        if name == "a selection without a delta":
            text = text.replace(", delta: 1e-9", "")
        assert text != spec, name
        assert is_refused(home, text, tmp_path, code, words), name
    assert ledger.standing(home.catalog, "clinic").left == left
    assert not [run for run in home.catalog.runs() if run.target.endswith("never") and
                run.state == "COMMITTED"]  # fmt: skip
    assert not (tmp_path / "never").exists()


PLANTED: dict[str, tuple[str, Callable[..., Any]]] = {
    "a raw identifier": ("check_unit", lambda *_: Fraction(0)),
    "sums beyond 64 bits": ("check_sum", lambda *_: None),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_let_through_is_found(
    home: Home, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old, new, code, words = BAD[name]
    monkeypatch.setattr(_run, *PLANTED[name])
    assert not is_refused(home, spec.replace(old, new, 1), tmp_path, code, words)
