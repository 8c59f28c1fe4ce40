"""Searched quantiles from plan to draw, on neighbours: no release tells more than it costs, no unit
moves an answer further than declared, and what is asked follows from noisy answers alone.

The unit is in several groups, with several rows in each, so that noise for one group or for one
row is too little. All its rows lie in the lowest bin, left of every edge, where they move each
answer most. In the attack nobody else is there: then no edge matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import Bisection, Bounds, Mechanism, Sensitivity, _bisection
from privpipe.features import (
    BoundedSums,
    FeaturePlan,
    Measure,
    Vector,
    _draw,
    figure_columns,
    pass_measures,
    plan_features,
)
from tests.features._attacks import RUNS, Doubles, claimed, log_ratio, widest
from tests.features._specs import parse_groups
from tests.features._tables import Row, batch_of, some_rows

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

Int64s = npt.NDArray[np.int64]
SPEC = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: PLACES}
bounds: {groups: GROUPS, rows: 3}
aggregates: {f: {quantile: x, low: 0, high: 8, FIGURE}}
privacy: {budget: census, PAY}
"""
SEARCHES = {
    "epsilon": (2, "bins: 8, at: 0.5", "epsilon: 2"),
    "epsilon, delta": (3, "bins: 16, at: 0.25", "epsilon: 2, delta: 0.1"),
    "rho": (4, "bins: 8, at: [0.25, 0.5]", "rho: 0.7"),
}
"""By budget: the groups that the unit is in, and what is searched"""


def planned(budget: str) -> FeaturePlan:
    groups, figure, pay = SEARCHES[budget]
    text = SPEC.replace("PLACES", str(list(range(groups)))).replace("GROUPS", str(groups))
    plan = plan_features(parse_groups(text.replace("FIGURE", figure).replace("PAY", pay)))
    assert [each.measure.kind for each in plan.vectors] == ["search"]
    return plan


def counts_of(plan: FeaturePlan, rows: list[Row]) -> Int64s:
    """A row a group and a column a bin, as a pass gives them: as many groups as a unit may have."""
    groups = plan.spec.bounds.groups
    sums = BoundedSums(pass_measures(plan), plan.spec.bounds, np.arange(groups), per_unit=True)
    sums.add(batch_of(rows, groups))
    [counts] = _draw.dense(plan, sums.totals(), groups).values()
    return counts


def lone(plan: FeaturePlan) -> list[Row]:
    """A unit with more rows in each group than are kept, all in the lowest bin."""
    return [(99, group, -1.0, row) for group in range(plan.spec.bounds.groups) for row in range(9)]


def shows(plan: FeaturePlan) -> bool:
    """Whether releases by the plan tell of the unit better than the plan says."""
    runs = RUNS if plan.cost.charge.delta or plan.cost.charge.unit == "rho" else 5 * RUNS
    [vector] = plan.vectors
    search, mechanism = vector.measure.bisection, vector.mechanism
    truths = [np.tile(counts_of(plan, rows), (runs, 1)) for rows in (lone(plan), [])]
    ratios: list[Doubles] = []
    written: list[Doubles] = []
    for truth in truths:
        noisy = _draw.draw_on(plan, {vector.measure: truth}).noisy
        told = noisy[vector.measure]
        off = [(told - search.asked(told, each, mechanism)) for each in truths]
        scaled = [(each / float(mechanism.scale)).reshape(runs, -1) for each in off]
        ratios.append(log_ratio(*scaled, gaussian=mechanism.noise == "gaussian"))
        figures = figure_columns(plan, noisy)["f"]
        flat = figures.flatten() if plan.spec.aggregates[0].several else figures
        written.append(flat.to_numpy(zero_copy_only=False).reshape(runs, -1))
    epsilon, delta = claimed(plan)
    scores = [ratios, *zip(written[0].T, written[1].T, strict=True)]
    return max(widest(one, other, epsilon) for one, other in scores) > delta


def by_less(change: Callable[[Bounds], Bounds]) -> Callable[[Measure, Bounds], Sensitivity]:
    right = Measure.sensitivity

    def told(measure: Measure, bounds: Bounds) -> Sensitivity:
        return right(measure, change(bounds) if measure.kind == "search" else bounds)

    return told


FORGETFUL = {
    "a unit is in one group": by_less(lambda bounds: replace(bounds, groups=1)),
    "a unit has one row": by_less(lambda bounds: replace(bounds, rows=1)),
}


@pytest.mark.parametrize("budget", SEARCHES)
def test_a_search_shows_no_more_than_it_costs(budget: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(budget)
    assert not shows(plan)
    for name, told in FORGETFUL.items():
        with monkeypatch.context() as patch:
            patch.setattr(Measure, "sensitivity", told)
            assert shows(planned(budget)), f"planted: {name}"
    draw = Bisection.draw

    def halved(search: Bisection, exact: Int64s, mechanism: Mechanism) -> Int64s:
        return draw(search, exact, replace(mechanism, scale=mechanism.scale / 2))

    monkeypatch.setattr(Bisection, "draw", halved)
    assert shows(plan), "planted: half the noise"


Asked = list[tuple[int, list[int]]]


def recorded(
    vector: Vector, exact: Int64s, answers: Int64s | None, patch: pytest.MonkeyPatch
) -> tuple[Int64s, Asked]:
    """A draw on `exact`: the noisy answers, which are `answers` where those are replayed, and what
    was asked: each column and its edges."""
    search, asked = vector.measure.bisection, Asked()
    sides, add = vars(Bisection)["_sides"], vars(_bisection)["add_noise"]

    def noting(search: Bisection, exact: Int64s, column: int, places: Int64s) -> Int64s:
        asked.append((column, places.tolist()))
        return np.asarray(sides(search, exact, column, places))

    def replaying(values: Int64s, mechanism: Mechanism) -> Int64s:
        assert mechanism == vector.mechanism
        noisy = add(values, mechanism) if answers is None else answers[:, asked[-1][0]]
        return np.asarray(noisy)

    with patch.context() as noted:
        noted.setattr(Bisection, "_sides", noting)
        noted.setattr(_bisection, "add_noise", replaying)
        drawn = search.draw(exact, vector.mechanism)
    assert drawn.shape == (len(exact), search.steps * len(search.at))
    assert len(asked) == drawn.shape[1], "each answer is asked for once"
    return drawn, asked


def neighbours(plan: FeaturePlan) -> Iterator[tuple[Int64s, Int64s]]:
    """Counts with and without one unit: of random tables, and of the unit that does its worst."""
    groups = plan.spec.bounds.groups
    for seed in range(4):
        others = some_rows(seed, 120, units=6, groups=groups)
        for unit, more in ((0, []), (99, lone(plan))):
            with_it = [*others, *more]
            without = [row for row in with_it if row[0] != unit]
            yield counts_of(plan, with_it), counts_of(plan, without)


def farthest(vector: Vector, one: Int64s, other: Int64s, told: Int64s) -> list[int]:
    """How far the unit moved the answers where they were asked: L0, L1, L2 squared and Linf."""
    search = vector.measure.bisection
    with_it, without = (search.asked(told, each, vector.mechanism) for each in (one, other))
    moved = np.abs(with_it - without)
    return [
        int(np.count_nonzero(moved)), int(moved.sum()), int((moved**2).sum()), int(moved.max())
    ]  # fmt: skip


def as_declared(plan: FeaturePlan, patch: pytest.MonkeyPatch) -> bool:
    """Whether no unit moves the answers further than the noise was made for."""
    [vector] = plan.vectors
    declared = vector.mechanism.sensitivity
    most = [declared.l0, declared.l1, declared.l2_squared, declared.linf]
    found = []
    for one, other in neighbours(plan):
        told, _ = recorded(vector, one, None, patch)
        found.append(farthest(vector, one, other, told))
    return bool((np.array(found) <= most).all())


@pytest.mark.parametrize("budget", SEARCHES)
def test_no_unit_moves_the_answers_further_than_declared(
    budget: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts of a row, which is what answers are in."""
    assert as_declared(planned(budget), monkeypatch)
    for name, told in FORGETFUL.items():
        with monkeypatch.context() as patch:
            patch.setattr(Measure, "sensitivity", told)
            assert not as_declared(planned(budget), monkeypatch), f"planted: {name}"
    plan, right = planned(budget), vars(Bisection)["_sides"]
    monkeypatch.setattr(Bisection, "_sides", lambda *each: 2 * right(*each))
    assert not as_declared(plan, monkeypatch), "planted: answers in finer parts than declared"


def follows_from_answers(plan: FeaturePlan, patch: pytest.MonkeyPatch) -> bool:
    """Whether the same noisy answers ask for the same edges, as often, of any data."""
    [vector] = plan.vectors
    same = []
    for one, other in neighbours(plan):
        told, asked = recorded(vector, one, None, patch)
        for exact in (one, other, np.zeros_like(one), one[::-1, ::-1] * 1000):
            again, replayed = recorded(vector, exact, told, patch)
            same.append(replayed == asked and np.array_equal(again, told))
    return all(same)


@pytest.mark.parametrize("budget", SEARCHES)
def test_what_is_asked_follows_from_noisy_answers_alone(
    budget: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(budget)
    assert follows_from_answers(plan, monkeypatch)

    def peeking(search: Bisection, exact: Int64s, mechanism: Mechanism) -> Int64s:
        answers = np.zeros((len(exact), len(search.at) * search.steps), dtype=np.int64)
        add: Any = vars(_bisection)["add_noise"]
        for column, places in search._walk(answers, mechanism):
            nearer = 1 + (places + exact.sum(axis=1)) % (search.bins - 1)
            answers[:, column] = add(search._sides(exact, column, nearer), mechanism)
        return answers

    monkeypatch.setattr(Bisection, "draw", peeking)
    assert not follows_from_answers(plan, monkeypatch), "planted: edges chosen by exact counts"
