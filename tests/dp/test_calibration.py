"""Calibration: within the budget, and the least noise that is."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.dp import (
    Bounds,
    Budget,
    Mechanism,
    Query,
    epsilon_at,
    fit_release,
    make_gaussian,
    make_laplace,
    make_threshold,
    release_cost,
    select,
)
from privpipe.errors import BudgetError, FixedOverflow

COUNTS = Bounds(groups=10, rows=1).counts()
SUMS = Bounds(groups=10, rows=2).sums(low=0, high=100_000)
SHARES = st.fractions(min_value=Fraction(1, 1000), max_value=20)


def smaller(mechanism: Mechanism) -> Mechanism:
    """The next double down."""
    scale = Fraction(math.nextafter(float(mechanism.scale), 0.0))
    return Mechanism(noise=mechanism.noise, sensitivity=mechanism.sensitivity, scale=scale)


@given(SHARES, st.integers(1, 50), st.integers(1, 10**9))
@settings(max_examples=200)
def test_the_least_double(share: Fraction, groups: int, high: int) -> None:
    bounds = Bounds(groups=groups, rows=1).sums(low=0, high=high)
    laplace = make_laplace(bounds, Budget.of_epsilon(share))
    assert laplace.epsilon is not None
    assert laplace.epsilon <= share
    assert (smaller(laplace).epsilon or 0) > share
    for make in (make_laplace, make_gaussian):
        made = make(bounds, Budget.of_rho(share))
        assert made.rho <= share < smaller(made).rho


@pytest.mark.parametrize("bounds", [COUNTS, SUMS], ids=["counts", "sums"])
@pytest.mark.parametrize(("epsilon", "delta"), [("1", "1e-9"), ("0.1", "1e-6"), ("8", "1e-5")])
def test_the_least_gaussian(bounds: Any, epsilon: str, delta: str) -> None:
    made = make_gaussian(bounds, Budget.of_epsilon(epsilon, delta=delta))
    assert epsilon_at([made], delta) <= Fraction(epsilon)
    less = Fraction(float(made.scale) * 0.999)
    weaker = Mechanism(noise="gaussian", sensitivity=bounds, scale=less)
    assert epsilon_at([weaker], delta) > Fraction(epsilon)


def test_the_gaussian_beats_the_classical_formula() -> None:
    made = make_gaussian(COUNTS, Budget.of_epsilon("0.9", delta="1e-9"))
    assert made.scale < math.sqrt(2 * math.log(1.25e9) * 10) / 0.9 * 0.95


RELEASES: dict[str, tuple[list[Query], Budget]] = {
    "mixed": (
        [
            Query(sensitivity=COUNTS, noise="threshold", weight=2),
            Query(sensitivity=COUNTS),
            Query(sensitivity=SUMS, weight="0.5"),
            Query(sensitivity=COUNTS, noise="laplace"),
        ],
        Budget.of_epsilon(1, delta="1e-8"),
    ),
    "many": ([Query(sensitivity=COUNTS)] * 100, Budget.of_epsilon(1, delta="1e-8")),
    "laplace": (
        [Query(sensitivity=COUNTS, noise="laplace")] * 50,
        Budget.of_epsilon(2, delta="1e-8"),
    ),
    "histogram": (
        [Query(sensitivity=Bounds(groups=2, rows=3).histogram(bins=64))] * 2,
        Budget.of_epsilon(1, delta="1e-8"),
    ),
}


@pytest.mark.parametrize(("queries", "budget"), RELEASES.values(), ids=RELEASES.keys())
def test_a_release_fills_its_budget(queries: list[Query], budget: Budget) -> None:
    made = fit_release(queries, budget)
    cost = release_cost(made, "epsilon", delta=budget.delta)
    assert budget.holds(cost.charge)
    assert cost.charge.amount > budget.amount * Fraction(998, 1000)
    assert [each.noise for each in made] == [
        "gaussian" if query.noise == "gaussian" else "laplace" for query in queries
    ]
    assert [each.threshold is not None for each in made] == [
        query.noise == "threshold" for query in queries
    ]


def test_composed_is_more_accurate_than_split() -> None:
    queries, budget = RELEASES["many"]
    fitted = fit_release(queries, budget)[0]
    split = make_gaussian(COUNTS, budget.split([1] * 100)[0])
    assert fitted.scale < split.scale / 8


def test_weights_divide() -> None:
    queries = [Query(sensitivity=COUNTS, noise="laplace", weight=w) for w in (3, 1)]
    budget = Budget.of_epsilon(1)
    made = fit_release(queries, budget)
    assert [each.epsilon for each in made] == pytest.approx([0.75, 0.25])
    assert budget.holds(release_cost(made, "epsilon").charge)
    composed = fit_release(queries, Budget.of_epsilon(1, delta="1e-6"))
    assert composed[1].scale / composed[0].scale == pytest.approx(3)


def test_rho_with_selection() -> None:
    budget = Budget.of_rho("0.5", delta="1e-9")
    queries = [Query(sensitivity=COUNTS, noise="threshold"), Query(sensitivity=SUMS)]
    cost = release_cost(fit_release(queries, budget), "rho").charge
    assert budget.holds(cost)
    assert cost.amount > Fraction("0.4999999")
    assert cost.delta > budget.delta / 3


def test_selection_under_a_large_scale() -> None:
    pick = make_threshold(SUMS, Budget.of_epsilon("0.01", delta="1e-12"))
    assert pick.threshold is not None
    assert pick.threshold > 25 * pick.scale
    assert pick.delta <= Fraction(1, 10**12)


@pytest.mark.parametrize(
    ("queries", "budget", "message"),
    [
        ([], Budget.of_epsilon(1), "no query"),
        ([Query(sensitivity=COUNTS)], Budget.of_epsilon(1), "no pure epsilon"),
        ([Query(sensitivity=COUNTS, noise="threshold")], Budget.of_epsilon(1), "needs a delta"),
        ([Query(sensitivity=COUNTS, noise="threshold")], Budget.of_rho(1), "needs a delta"),
        ([Query(sensitivity=COUNTS)], Budget.of_rho(0), "nothing but noise"),
        ([Query(sensitivity=COUNTS)], Budget.of_epsilon(0, delta="1e-6"), "nothing but noise"),
        ([Query(sensitivity=COUNTS, noise="laplace")], Budget.of_epsilon(0), "nothing but noise"),
        ([Query(sensitivity=COUNTS, weight=0)], Budget.of_rho(1), "weights above 0"),
    ],
)
def test_what_no_noise_meets_is_refused(queries: Any, budget: Budget, message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        fit_release(queries, budget)


def test_noise_beyond_64_bits_is_refused() -> None:
    wide = Bounds(groups=1, rows=1).sums(low=0, high=1 << 60)
    for make, share in (
        (make_laplace, Budget.of_epsilon("0.1")),
        (make_gaussian, Budget.of_rho("0.001")),
        (make_gaussian, Budget.of_epsilon("0.1", delta="1e-9")),
        (make_threshold, Budget.of_epsilon("0.1", delta="1e-9")),
    ):
        with pytest.raises(FixedOverflow):
            make(wide, share)


def test_a_floor_raises_the_threshold_alone() -> None:
    share = Budget.of_epsilon(1, delta="1e-6")
    free, low, high = (make_threshold(COUNTS, share, floor=floor) for floor in (0, 5, 5000))
    assert free == low
    assert (high.scale, high.threshold) == (free.scale, 4999)
    assert 0 < high.delta < free.delta
    places, noisy = select(np.arange(4000, 6000), high)
    assert noisy.min() >= 5000
    assert len(places) > 500
    fitted = fit_release([Query(sensitivity=COUNTS, noise="threshold", floor=5000)], share)
    assert fitted[0].threshold == 4999
