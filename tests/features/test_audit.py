"""An attack on a spec: it comes near to what is claimed, and finds noise that is too small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import Bounds, Mechanism, add_noise, select
from privpipe.features import (
    Attack,
    BoundedSums,
    FeaturePlan,
    GroupSums,
    Vector,
    _audit,
    attack,
    pass_measures,
    plan_features,
)
from privpipe.features import _draw as drawing
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
Int64s: TypeAlias = npt.NDArray[np.int64]


def sums_of(plan: FeaturePlan, rows: list[Row], bounds: Bounds) -> GroupSums:
    sums = BoundedSums(pass_measures(plan), bounds, np.arange(GROUPS), per_unit=True)
    sums.add(batch_of(rows, GROUPS))
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


@pytest.mark.parametrize("pay", ["epsilon: 1", "epsilon: 1, delta: 1e-3", "rho: 0.3"])
def test_the_worst_unit_shows_nearly_all_that_is_claimed(pay: str) -> None:
    shown, claimed = attacked(pay)
    assert (
        0.1 * claimed < shown <= claimed
    )  # six deviations above the one, and more below the other


def test_noise_that_is_too_small_is_found() -> None:
    shown, claimed = attacked("epsilon: 1, delta: 1e-3", change=0.4)
    assert shown > claimed


def test_bounds_that_do_not_hold_are_found() -> None:
    """A pass that keeps four groups of a unit, and nine rows in each, where two and three are
    charged."""
    shown, claimed = attacked("epsilon: 1", bounds=Bounds(groups=4, rows=9))
    assert shown > claimed


Select: TypeAlias = Callable[[Int64s, Mechanism], tuple[Int64s, Int64s]]
SELECTED = SPEC.replace("[a, b, c, d]", "select")


def low_threshold(counts: Int64s, mechanism: Mechanism) -> tuple[Int64s, Int64s]:
    return select(counts, replace(mechanism, threshold=1))


def exact_counts(counts: Int64s, mechanism: Mechanism) -> tuple[Int64s, Int64s]:
    """The threshold is held against counts without noise, though noisy ones are told."""
    assert mechanism.threshold is not None
    shown = np.flatnonzero(counts > mechanism.threshold)
    return shown, add_noise(counts[shown], mechanism)


def whoever_is_there(counts: Int64s, mechanism: Mechanism) -> tuple[Int64s, Int64s]:
    """No threshold: all groups that the data have."""
    shown = np.flatnonzero(counts >= 1)
    return shown, add_noise(counts[shown], mechanism)


def selecting(
    monkeypatch: pytest.MonkeyPatch, pay: str, way: Select, *, groups: tuple[int, ...]
) -> Attack:
    """The attack by a unit in these groups, where twenty others are in the first."""
    plan = plan_features(parse_groups(SELECTED.replace("PAY", pay)))
    rows: list[Row] = [(unit, 0, 1.0, unit) for unit in range(20)]
    own: list[Row] = [(99, group, 1.0, 0) for group in groups]
    present, absent = (sums_of(plan, each, plan.spec.bounds) for each in (rows + own, rows))
    there = np.array([at == 0 or at in groups for at in range(GROUPS)]), np.arange(GROUPS) == 0
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "select", way)
        return attack(plan, present, absent, GROUPS, there=there, draws=2000)


PAYS = (
    "epsilon: 1, delta: 1e-3",
    "epsilon: 1, delta: 1e-9, noise: laplace",
    "epsilon: 2, delta: 1e-2, noise: gaussian",
    "epsilon: 1, delta: 1e-4, floor: 30",
)


@pytest.mark.parametrize("pay", PAYS)
@pytest.mark.parametrize("groups", [(0,), (1, 3)])
def test_a_selection_is_attacked_where_it_has_most_to_hide(
    monkeypatch: pytest.MonkeyPatch, pay: str, groups: tuple[int, ...]
) -> None:
    """Be the unit's groups its own in this sample, or those of too few to show."""
    honest = selecting(monkeypatch, pay, select, groups=groups)
    assert honest.moved == len(groups)
    assert honest.holds
    for way in (low_threshold, exact_counts, whoever_is_there):
        assert not selecting(monkeypatch, pay, way, groups=groups).holds, way


def test_planted_an_attack_on_the_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which never meets a group of few units finds nothing of all that."""
    monkeypatch.setattr(_audit, "_worst", lambda *_: ())
    for way in (low_threshold, exact_counts):
        assert selecting(monkeypatch, PAYS[1], way, groups=(0,)).holds
