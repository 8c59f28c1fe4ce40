"""Groups that one unit alone is in: how often they show, through plan, pass and draw."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from privpipe.dp import Bounds
from privpipe.dp import _tails as tails
from privpipe.errors import SpecError
from privpipe.features import (
    BoundedSums,
    FeaturePlan,
    GroupSums,
    Measure,
    draw,
    figure_columns,
    pass_measures,
    plan_features,
)
from tests.features._specs import parse_groups
from tests.features._tables import Row, batch_of

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: select}
bounds: {groups: 2, rows: 3}
aggregates: {people: units, rows: count}
privacy: {budget: census, PAY}
"""
UNITS, OWN = 2000, 8
LONE: list[Row] = [
    (unit, unit * OWN + at, 1.0, row)
    for unit in range(UNITS)
    for at in range(OWN)
    for row in range(3)
]
"""Each in groups of his own, more of them than the bounds keep, and with several rows in each"""


@cache
def lone() -> pa.RecordBatch:
    return batch_of(LONE, UNITS * OWN)


def spare(chance: float) -> float:
    """What the sample may be off: five and a half deviations."""
    return 5.5 * math.sqrt(chance * (1 - chance) / UNITS)


def planned(pay: str = "epsilon: 1, delta: 0.1") -> FeaturePlan:
    return plan_features(parse_groups(SPEC.replace("PAY", pay)))


def exact_chance(plan: FeaturePlan) -> float:
    """That any group of a lone unit shows: of two counts of 1, one above the threshold."""
    assert plan.selection is not None
    mechanism = plan.selection.mechanism
    assert mechanism.threshold is not None
    tail = tails.gaussian_tail if mechanism.noise == "gaussian" else tails.laplace_tail
    one = tail(float(mechanism.scale), mechanism.threshold)
    return -math.expm1(plan.spec.bounds.groups * math.log1p(-one))


def share_shown(plan: FeaturePlan, bounds: Bounds) -> float:
    """The share of lone units that show in one release of all."""
    sums = BoundedSums(pass_measures(plan), bounds, np.arange(UNITS * OWN), per_unit=True)
    sums.add(lone())
    drawn = draw(plan, sums.totals(), UNITS * OWN)
    assert plan.selection is not None
    threshold = plan.selection.mechanism.threshold
    assert threshold is not None
    assert (drawn.noisy[plan.selection.measure] > threshold).all(), "below it none ever shows"
    floor = plan.spec.release.floor
    assert all(each >= floor for each in figure_columns(plan, drawn.noisy)["people"].to_pylist())
    return len(np.unique(drawn.groups // OWN)) / UNITS


@pytest.mark.parametrize("delta", ["0.1", "1e-3", "1e-9"])
@pytest.mark.parametrize("more", ["", ", noise: laplace", ", floor: 8"])
def test_the_exact_chance_is_at_most_delta(delta: str, more: str) -> None:
    plan = planned(f"epsilon: 1, delta: {delta}{more}")
    assert plan.selection is not None
    own = float(plan.selection.mechanism.delta)
    assert exact_chance(plan) <= own * (1 + 1e-9) <= float(delta) * (1 + 1e-9)
    lower = replace(plan.selection.mechanism, threshold=_least(plan) - 1)
    found = exact_chance(replace(plan, selection=replace(plan.selection, mechanism=lower)))
    if "floor" not in more:  # which may lie above what delta asks for
        assert found > own * 0.99, "planted: one less"


def _least(plan: FeaturePlan) -> int:
    assert plan.selection is not None
    assert plan.selection.mechanism.threshold is not None
    return plan.selection.mechanism.threshold


def test_a_lone_unit_shows_as_seldom_as_delta_says() -> None:
    plan = planned()
    chance = exact_chance(plan)
    assert chance > 0.01, "so large that it is seen"
    shown = share_shown(plan, plan.spec.bounds)
    assert abs(shown - chance) < spare(chance)
    assert share_shown(planned("epsilon: 1, delta: 0.1, floor: 12"), plan.spec.bounds) < shown
    assert share_shown(planned("epsilon: 1, delta: 1e-12"), plan.spec.bounds) == 0


def test_all_groups_of_a_unit_are_found() -> None:
    """Eight chances, where two were charged."""
    plan = planned()
    chance = exact_chance(plan)
    assert share_shown(plan, Bounds(groups=OWN, rows=3)) > chance + spare(chance)


def test_a_selection_by_rows_is_found() -> None:
    """A unit counts with all of its rows, where it was charged for one."""
    plan = planned("epsilon: 4, delta: 0.1")
    assert plan.selection is not None
    rows = replace(plan.selection, measure=Measure(kind="rows"))
    by_rows = replace(
        plan, selection=rows, vectors=tuple(v for v in plan.vectors if v.measure.kind != "rows")
    )
    sums = BoundedSums(
        pass_measures(by_rows), plan.spec.bounds, np.arange(UNITS * OWN), per_unit=True
    )
    sums.add(lone())
    drawn = draw(by_rows, sums.totals(), UNITS * OWN)
    chance = exact_chance(plan)
    assert len(np.unique(drawn.groups // OWN)) / UNITS > chance + spare(chance)


def test_a_group_without_a_unit_never_shows() -> None:
    plan = planned()
    sums = BoundedSums(pass_measures(plan), plan.spec.bounds, np.arange(5000), per_unit=True)
    sums.add(batch_of([(unit, 7, 1.0, 0) for unit in range(500)], 5000))
    assert draw(plan, sums.totals(), 5000).groups.tolist() == [7]


def people_shown(plan: FeaturePlan, sums: GroupSums) -> list[int]:
    """The counts of units of all groups that show."""
    told = figure_columns(plan, draw(plan, sums, len(sums.groups)).noisy)
    return [int(each) for each in told["people"].to_pylist()]


def test_nothing_below_the_floor_shows() -> None:
    """Of five hundred groups of just so many units about half show, and none is told smaller."""
    pay = "epsilon: 1, delta: 0.1"
    plan = planned(f"{pay}, floor: 30")
    width = sum(each.width for each in pass_measures(plan))
    sums = GroupSums(groups=np.arange(500), sums=np.full((500, width), 30), pairs=())
    shown = people_shown(plan, sums)
    assert 150 < len(shown) < 400  # within ten deviations
    assert min(shown) >= 30
    planted = replace(plan, selection=planned(pay).selection)
    assert min(people_shown(planted, sums)) < 30, "planted: the threshold of delta alone"


def test_a_floor_leaves_public_groups_out() -> None:
    text = SPEC.replace("PAY", "epsilon: 1, floor: 120").replace("select", "[a, b, c]")
    plan = plan_features(parse_groups(text))
    sums = BoundedSums(pass_measures(plan), plan.spec.bounds, np.arange(3), per_unit=True)
    rows: list[Row] = [(unit, at, 1.0, 0) for at in (0, 2) for unit in range(500 if at else 3)]
    sums.add(batch_of(rows, 3))
    drawn = draw(plan, sums.totals(), 3)
    assert drawn.groups.tolist() == [2]  # noise of 117 in a scale of 4 comes once in 10^13 runs
    figures = figure_columns(plan, drawn.noisy)
    assert [len(each) for each in figures.values()] == [1] * 6
    assert figures["people"].to_pylist()[0] >= 120
    for other, words in ((text.replace("people: units, ", ""), "noisy count of units"),
                         (text + "totals: []\n", "totals are of all groups")):  # fmt: skip
        with pytest.raises(SpecError, match=words):
            parse_groups(other)
