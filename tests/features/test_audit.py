"""An attack on a spec: it comes near to what is claimed, and finds noise that is too small."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from privpipe.dp import Bounds
from privpipe.features import (
    BoundedSums,
    FeaturePlan,
    GroupSums,
    Vector,
    attack,
    pass_measures,
    plan_features,
)
from tests.features._specs import parse_groups
from tests.features._tables import Row, batch_of, some_rows

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: [a, b, c, d]}
bounds: {groups: 2, rows: 3}
aggregates: {n: count, s: {sum: x, low: 0, high: 10}}
privacy: {budget: census, PAY}
"""
GROUPS = 4


def sums_of(plan: FeaturePlan, rows: list[Row], bounds: Bounds) -> GroupSums:
    sums = BoundedSums(pass_measures(plan), bounds, np.arange(GROUPS), per_unit=True)
    sums.add(batch_of(rows))
    return sums.totals()


def smaller(vector: Vector, change: float) -> Vector:
    scale = Fraction(float(vector.mechanism.scale) * change)
    return replace(vector, mechanism=replace(vector.mechanism, scale=scale))


def attacked(pay: str, *, change: float = 1.0, bounds: Bounds | None = None) -> tuple[float, float]:
    """What the worst unit's draws show, and what was claimed; `change` makes the noise smaller than
    it was charged for."""
    plan = plan_features(parse_groups(SPEC.replace("PAY", pay)))
    drawn = replace(plan, vectors=tuple(smaller(each, change) for each in plan.vectors))
    rows = some_rows(8, 100, units=10, groups=GROUPS)
    worst: list[Row] = [(99, at % GROUPS, 1e308, at) for at in range(40)]
    within = bounds or plan.spec.bounds
    present, absent = sums_of(plan, rows + worst, within), sums_of(plan, rows, within)
    found = attack(drawn, present, absent, GROUPS, draws=20_000)
    claimed = attack(plan, absent, absent, GROUPS)
    assert (claimed.shown, claimed.moved) == (0, 0)
    return found.shown, claimed.claimed


@pytest.mark.parametrize("pay", ["epsilon: 1", "epsilon: 1, delta: 1e-3", "rho: 0.05"])
def test_the_worst_unit_shows_nearly_all_that_is_claimed(pay: str) -> None:
    shown, claimed = attacked(pay)
    assert 0.1 * claimed < shown <= claimed


def test_noise_that_is_too_small_is_found() -> None:
    shown, claimed = attacked("epsilon: 1, delta: 1e-3", change=0.4)
    assert shown > claimed


def test_bounds_that_do_not_hold_are_found() -> None:
    """A pass that keeps four groups of a unit, and nine rows in each, where two and three are
    charged."""
    shown, claimed = attacked("epsilon: 1", bounds=Bounds(groups=4, rows=9))
    assert shown > claimed


def test_a_selection_is_attacked_too() -> None:
    text = SPEC.replace("[a, b, c, d]", "select").replace("PAY", "epsilon: 1, delta: 1e-3")
    plan = plan_features(parse_groups(text))
    rows: list[Row] = [(unit, 0, 1.0, unit) for unit in range(20)]
    lone: list[Row] = [(99, 3, 1.0, 0), (99, 0, 1.0, 0)]
    present, absent = (sums_of(plan, each, plan.spec.bounds) for each in (rows + lone, rows))
    found = attack(plan, present, absent, GROUPS, draws=5000)
    assert found.moved == 2
    assert found.holds
    assert np.isfinite(found.shown)
