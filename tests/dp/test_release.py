"""Releases end to end: bounded rows to noisy figures, attacked with the best test there is.

Two neighbours differ by one unit that does its worst. The attacker knows both and the mechanisms,
and looks at the exact likelihood ratio of what was released (Neyman and Pearson).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import (
    Bounds,
    Budget,
    FixedPoint,
    Mechanism,
    Moments,
    Query,
    add_noise,
    fit_release,
    release_cost,
)

Int64s = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
RUNS = 25_000
FIXED = FixedPoint.of(low=0, high=10, step="0.5")
BOUNDS = Bounds(groups=1, rows=2)
MOMENTS = Moments(fixed=FIXED, bounds=BOUNDS, variance=True)
OTHERS = np.array([3.0, 4.5, 9.0, np.nan, 7.0])
WORST = np.array([10.0, np.inf])  # two rows at an end of the range

# What is queried, and the columns that a row adds to.
AGGREGATES: dict[str, tuple[tuple[Query, ...], Any]] = {
    "count": ((Query(sensitivity=BOUNDS.counts()),), lambda units, valid: [valid]),
    "sum": (
        (Query(sensitivity=BOUNDS.sums(low=FIXED.low_units, high=FIXED.high_units)),),
        lambda units, valid: [units],
    ),
    "moments": (
        MOMENTS.queries(),
        lambda units, valid: [valid, MOMENTS.centred(units, valid), MOMENTS.squares(units, valid)],
    ),
    "histogram": (
        (Query(sensitivity=BOUNDS.histogram(bins=21)),),
        lambda units, valid: list((units[:, None] == [20, 0]).T & valid),
    ),
}


def totals(name: str, values: Doubles) -> list[int]:
    units, valid = FIXED.encode(values)
    return [int(np.asarray(column).sum()) for column in AGGREGATES[name][1](units, valid)]


def log_likelihood(noise: Int64s, mechanism: Mechanism) -> Doubles:
    far = np.abs(noise) / float(mechanism.scale)
    return np.asarray(-far if mechanism.noise == "laplace" else -(far**2) / 2)


def gap(mechanisms: list[Mechanism], one: list[int], other: list[int], epsilon: float) -> float:
    """The largest P(S) - e^epsilon Q(S) over the attacker's best sets, less the sample's part."""
    ratios = []
    for truth in (one, other):
        ratio = np.zeros(RUNS)
        for mechanism, true, mine, yours in zip(mechanisms, truth, one, other, strict=True):
            released = add_noise(np.full(RUNS, true), mechanism)
            ratio += log_likelihood(released - mine, mechanism)
            ratio -= log_likelihood(released - yours, mechanism)
        ratios.append(ratio)
    found = []
    for cut in np.quantile(np.concatenate(ratios), np.linspace(0.02, 0.98, 49)):
        more, less = float((ratios[0] >= cut).mean()), float((ratios[1] >= cut).mean())
        spare = 6 * math.sqrt((more + math.exp(2 * epsilon) * less) / RUNS)
        found.append(more - math.exp(epsilon) * less - spare)
    return max(found)


@pytest.mark.parametrize("name", AGGREGATES)
@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_the_best_attack_finds_no_more_than_was_charged(name: str, noise: Any) -> None:
    delta = "0.01" if noise == "gaussian" else "0"
    budget = Budget.of_epsilon(1, delta=delta)
    with_unit = totals(name, np.concatenate([OTHERS, WORST]))
    without = totals(name, OTHERS)
    queries = [Query(sensitivity=query.sensitivity, noise=noise) for query in AGGREGATES[name][0]]
    made = list(fit_release(queries, budget))
    cost = release_cost(made, "epsilon", delta=delta).charge
    assert budget.holds(cost)
    made += made[-1:] * (len(without) - len(made))  # a histogram's bins share its mechanism
    epsilon = float(cost.amount)
    assert gap(made, with_unit, without, epsilon) <= float(delta)
    assert gap(made, without, with_unit, epsilon) <= float(delta)
    # planted: noise for a unit of one row, where units of two were let in
    half = [
        Mechanism(
            noise=each.noise,
            sensitivity=each.sensitivity,
            scale=Fraction(float(each.scale) / 2),
        )
        for each in made
    ]
    assert gap(half, with_unit, without, epsilon) > float(delta)
