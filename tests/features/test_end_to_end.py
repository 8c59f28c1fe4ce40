"""Whole releases on neighbours, of each figure and each budget: from rows over bounds, plan and
draw to the columns that are written, attacked by the best test there is.

Two tables differ by one unit that does its worst. The attacker knows both, the mechanisms, and all
that was drawn, and looks for an event S with P(S) > e^epsilon Q(S) + delta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from privpipe.dp import Mechanism, add_noise
from privpipe.features import (
    BoundedSums,
    FeaturePlan,
    GroupSums,
    Measure,
    Vector,
    draw,
    figure_columns,
    pass_measures,
    plan_features,
)
from tests.features._attacks import RUNS, Doubles, claimed, log_ratio, widest
from tests.features._specs import parse_groups
from tests.features._tables import Row, batch_of

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = """\
version: 1
features: census.wages
source: warehouse/people
unit: person
groups: {edu: [a]}
bounds: {groups: 1, rows: 3}
aggregates: {f: FIGURE}
privacy: {budget: census, PAY}
"""
FIGURES = {
    "count": "count",
    "units": "units",
    "distinct": "{distinct: y}",
    "sum": "{sum: x, low: -2, high: 10, step: 0.5}",
    "mean": "{mean: x, low: -2, high: 10, step: 0.5}",
    "variance": "{variance: x, low: -2, high: 10, step: 0.5}",
    "quantile": "{quantile: x, low: 0, high: 8, bins: 2, at: [0.25, 0.5]}",
    "histogram": "{histogram: x, edges: [0, 4, 8]}",
}
BUDGETS = {
    "epsilon": "epsilon: 2",
    "epsilon, delta": "epsilon: 2, delta: 0.1",
    "laplace, delta": "epsilon: 2, delta: 0.01, noise: laplace",
    "rho": "rho: 0.7",
}
OTHERS: list[Row] = [(unit, 0, float(unit), unit % 3) for unit in range(8)]
WORST: list[Row] = [(99, 0, 1e308, 10 + at) for at in range(30)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Many draws of one release: what is written, and the noisy numbers it is made of."""

    columns: Mapping[str, pa.Array]
    noisy: Mapping[Measure, Doubles]


@cache
def made(figure: str, budget: str) -> FeaturePlan:
    return plan_features(
        parse_groups(SPEC.replace("FIGURE", FIGURES[figure]).replace("PAY", BUDGETS[budget]))
    )


def sums_of(plan: FeaturePlan, rows: list[Row], *, per_unit: bool = True) -> GroupSums:
    sums = BoundedSums(pass_measures(plan), plan.spec.bounds, np.arange(1), per_unit=per_unit)
    sums.add(batch_of(rows, 1))
    return sums.totals()


def released(plan: FeaturePlan, sums: GroupSums) -> Released:
    """As many groups of the same sums are as many draws of one."""
    many = GroupSums(
        groups=np.arange(RUNS),
        sums=np.tile(sums.sums, (RUNS, 1)),
        pairs=tuple(
            (np.repeat(np.arange(RUNS), len(each)), np.tile(each, RUNS)) for _, each in sums.pairs
        ),
    )
    noisy = draw(plan, many, RUNS).noisy
    return Released(
        columns=figure_columns(plan, noisy),
        noisy={each: part.reshape(RUNS, -1).astype(np.float64) for each, part in noisy.items()},
    )


def exact(plan: FeaturePlan, sums: GroupSums) -> dict[Measure, Doubles]:
    """The numbers themselves, by measure."""
    found, at = {}, 0
    for measure in pass_measures(plan):
        if measure.kind == "distinct":
            found[measure] = np.array([len(sums.pairs[0][1])], dtype=np.float64)
        else:
            found[measure] = sums.sums[0, at : at + measure.width].astype(np.float64)
            at += measure.width
    return found


def likelier(plan: FeaturePlan, told: Released, one: Any, other: Any) -> Doubles:
    """Of each draw, the log of how much likelier it is with `one` than with `other`."""
    score = np.zeros(RUNS)
    for measure, noisy in told.noisy.items():
        mechanism = plan.mechanism_of(measure)
        scaled = ((noisy - each[measure]) / float(mechanism.scale) for each in (one, other))
        score += log_ratio(*scaled, gaussian=mechanism.noise == "gaussian")
    return score


def numbers(told: Released) -> dict[str, Doubles]:
    """Every written column as a vector, a list's places apart."""
    found = {}
    for name, column in told.columns.items():
        flat = column.flatten() if pa.types.is_list(column.type) else column
        parts = np.array([float(each) for each in flat.to_pylist()]).reshape(RUNS, -1)
        found.update({f"{name} {at}": parts[:, at] for at in range(parts.shape[1])})
    return found


def shows(drawn: FeaturePlan, present: GroupSums, absent: GroupSums, promise: FeaturePlan) -> bool:
    """Whether releases by `drawn` tell the two apart better than `promise` says."""
    epsilon, delta = claimed(promise)
    told = [released(drawn, each) for each in (present, absent)]
    truths = [exact(drawn, each) for each in (present, absent)]
    scores = [[likelier(drawn, each, *truths) for each in told]]
    written = [numbers(each) for each in told]
    scores += [[each[name] for each in written] for name in written[0]]
    return max(widest(one, other, epsilon) for one, other in scores) > delta


def weaker(plan: FeaturePlan, part: Callable[[Mechanism], float]) -> FeaturePlan:
    """The plan with that part of its noise."""

    def less(each: Vector) -> Vector:
        scale = Fraction(float(each.mechanism.scale) * part(each.mechanism))
        return replace(each, mechanism=replace(each.mechanism, scale=scale))

    return replace(plan, vectors=tuple(map(less, plan.vectors)))


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("figure", FIGURES)
def test_a_release_shows_no_more_than_it_costs(figure: str, budget: str) -> None:
    plan = made(figure, budget)
    present, absent = sums_of(plan, OTHERS + WORST), sums_of(plan, OTHERS)
    assert not shows(plan, present, absent, plan)
    half = weaker(plan, lambda _: 0.5)
    assert shows(half, present, absent, plan), "planted"


@pytest.mark.parametrize("figure", FIGURES)
def test_a_bound_that_is_not_applied_is_found(figure: str) -> None:
    """Each row is taken for a unit of its own, where a unit of three rows was charged."""
    plan = made(figure, "epsilon, delta")
    present, absent = (sums_of(plan, rows, per_unit=False) for rows in (OTHERS + WORST, OTHERS))
    assert shows(plan, present, absent, plan)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_sensitivity_that_was_forgotten_is_found(figure: str) -> None:
    """Noise for one step of one row, whatever is summed."""
    plan = made(figure, "epsilon, delta")
    present, absent = sums_of(plan, OTHERS + WORST), sums_of(plan, OTHERS)
    forgetful = weaker(plan, lambda mechanism: 1 / mechanism.sensitivity.linf)
    assert shows(forgetful, present, absent, plan) == (figure != "units"), "a unit counts once"


def test_figures_that_are_made_of_exact_numbers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers are noisy, and what is written is not made of them."""
    plan = made("sum", "epsilon, delta")
    present, absent = sums_of(plan, OTHERS + WORST), sums_of(plan, OTHERS)

    truths, written = [exact(plan, each) for each in (present, absent)], figure_columns

    def leaking(plan: FeaturePlan, noisy: Any) -> Any:
        [measure] = noisy
        near = add_noise(np.zeros(RUNS, np.int64), plan.mechanism_of(measure)) // 8
        return written(plan, {measure: np.int64(truths.pop(0)[measure][0]) + near})

    monkeypatch.setitem(globals(), "figure_columns", leaking)
    assert shows(plan, present, absent, plan)
