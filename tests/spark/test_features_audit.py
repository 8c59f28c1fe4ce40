"""`audit-release` on a table: what it keeps of others, and how it finds groups, is attacked too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget, Mechanism, select
from privpipe.features import _draw, parse_features
from privpipe.spark.features import _groups
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: x.places
source: {source}
unit: person
groups: {{town: select, sex: [f, m]}}
bounds: {{groups: 2, rows: 1}}
aggregates: {{people: units}}
privacy: {{budget: people, epsilon: 1, delta: 1e-6}}
"""
COLUMNS = {
    "person": "{protect: pseudonymize, output: uuid}",
    "town": "encrypt",
    "sex": "keep",
}


def test_a_selection_of_groups_is_attacked_from_its_search_on(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home(tmp_path / "home", spark)
    ledger.open_budget(home.catalog, "people", Budget.of_epsilon(10))
    # Three hundred people of four towns each, of five that all go to; `p7` has towns of his own
    # besides, the first and the last of all.
    rows = spark.sql(
        "select concat('p', id % 300) as person, concat('t', (id div 300 + id) % 5) as town, "
        "if(id % 300 % 2 = 0, 'f', 'm') as sex from range(1200) "
        "union all select 'p7', concat(if(id % 2 = 0, 'a', 'z'), id), 'm' from range(20) "
        "union all select 'p8', 't1', 'x' from range(50)"
    )
    source = tmp_path / "people"
    home.protect(parse_policy(policy_text("x.people", COLUMNS)), rows, source)
    spec = parse_features(SPEC.format(source=source))
    [first, second] = home.attack(spec, units=2, draws=4000)
    assert first.holds
    assert second.holds
    assert (first.moved, second.moved) == (2, 2), "of each his own groups alone"
    assert first.claimed <= 1

    def low(counts: Any, mechanism: Mechanism) -> Any:
        return select(counts, replace(mechanism, threshold=1))

    with monkeypatch.context() as patch:
        patch.setattr(_draw, "select", low)
        assert [each.holds for each in home.attack(spec, units=2, draws=1000)] == [False] * 2

    rows_spec = SPEC.format(source=source).replace("unit: person", "unit: row")
    rows_spec = rows_spec.replace("bounds: {groups: 2, rows: 1}\n", "").replace("units", "count")
    [row] = home.attack(parse_features(rows_spec), units=1, draws=1000)
    assert (row.moved, row.holds) == (1, True)

    # By their places, groups of one person's own move what is kept of all others.
    present = vars(_groups)["_present"]

    def by_place(*args: Any) -> Any:
        found = present(*args)
        return replace(found, names=np.arange(len(found)))

    with monkeypatch.context() as patch:
        patch.setattr(_groups, "_present", by_place)
        [worst] = home.attack(spec, units=1, draws=4000)
    assert worst.moved > 2
    assert not worst.holds
    assert ledger.standing(home.catalog, "people").spent.amount == 0
