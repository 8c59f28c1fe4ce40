"""A mechanism's figures against sums over its probabilities, and its charges against OpenDP's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from privpipe.dp import (
    Bounds,
    Budget,
    Mechanism,
    Query,
    Sensitivity,
    fit_release,
    make_threshold,
    release_cost,
    select,
)
from privpipe.dp import _tails as tails
from privpipe.dp._libraries import opendp
from privpipe.dp._noise import _measurement
from privpipe.errors import BudgetError, FixedOverflow

ONE = Bounds(groups=1, rows=1).counts()
SCALES = [
    Fraction(1, 8),
    Fraction(1),
    Fraction(5, 2),
    Fraction(41, 2),
    Fraction(999),
    Fraction(1500),
]


def probabilities(noise: str, scale: float) -> tuple[Any, Any]:
    """Every integer that counts, and its probability."""
    reach = math.ceil(40 * scale) + 3
    at = np.arange(-reach, reach + 1, dtype=np.float64)
    weights = np.exp(-np.abs(at) / scale if noise == "laplace" else -((at / scale) ** 2) / 2)
    return at, weights / weights.sum()


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_figures_are_those_of_the_distribution(noise: Any, scale: Fraction) -> None:
    mechanism = Mechanism(noise=noise, sensitivity=ONE, scale=scale)
    at, chance = probabilities(noise, float(scale))
    assert mechanism.deviation == pytest.approx(math.sqrt(chance @ at**2), rel=1e-6)
    assert mechanism.expected_error == pytest.approx(chance @ np.abs(at), rel=1e-5)
    for level in ("0.5", "0.95", "0.999999"):
        width = mechanism.half_width(level)
        assert chance[np.abs(at) <= width].sum() >= float(level) - 1e-12
        spare = 3 if noise == "gaussian" and scale >= 1000 else 1
        if width >= spare:
            assert chance[np.abs(at) <= width - spare].sum() < float(level)
    if noise == "laplace":
        assert tails.laplace_tail(float(scale), 3) == pytest.approx(chance[at >= 3].sum(), rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 20.5, 3000.0])
def test_the_laplace_log_moment(scale: float) -> None:
    at, chance = probabilities("laplace", scale)
    s = np.array([0.01, 0.3, 0.5]) / scale
    summed = np.log((chance * np.exp(np.outer(s, at))).sum(axis=1))
    assert tails.laplace_log_moment(scale, s) == pytest.approx(summed, rel=1e-5)


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_charges_are_opendps(scale: Fraction) -> None:
    """OpenDP rounds up to doubles: it charges no less, and no more than a rounding."""
    bounds = Bounds(groups=7, rows=3).counts()
    laplace = Mechanism(noise="laplace", sensitivity=bounds, scale=scale)
    assert laplace.epsilon is not None
    theirs = Fraction(_measurement(laplace).map(bounds.l1))
    assert laplace.epsilon <= theirs <= laplace.epsilon * (1 + Fraction(1, 10**12))
    gaussian = Mechanism(noise="gaussian", sensitivity=bounds, scale=scale)
    theirs = Fraction(_measurement(gaussian).map(math.sqrt(bounds.l2_squared)))
    assert abs(gaussian.rho - theirs) <= theirs / 10**12
    assert gaussian.epsilon is None
    assert gaussian.delta == laplace.delta == 0


@pytest.mark.parametrize("groups", [1, 3, 40])
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("delta", ["0.01", "1e-9"])
def test_a_threshold_is_the_least(groups: int, rows: int, delta: str) -> None:
    bounds = Bounds(groups=groups, rows=rows).counts()
    pick = make_threshold(bounds, Budget.of_epsilon("0.7", delta=delta))
    assert pick.threshold is not None
    at, chance = probabilities("laplace", float(pick.scale))

    def shows(threshold: int) -> float:
        """That any key of a unit shows, at the largest count that a unit gives a key."""
        one = chance[bounds.linf + at > threshold].sum()
        return float(-np.expm1(groups * np.log1p(-one)))

    assert shows(pick.threshold) <= float(pick.delta) * (1 + 1e-9) <= float(delta) * (1 + 1e-9)
    assert pick.delta <= Fraction(delta)
    assert shows(pick.threshold - 1) > float(delta) * (1 - 0.01)  # one lower would show too much
    counts = opendp().map_domain(opendp().atom_domain(T="i64"), opendp().atom_domain(T="i64"))
    metric = opendp().l01inf_distance(opendp().absolute_distance(T="i64"))
    theirs = opendp().m.make_laplace_threshold(counts, metric, float(pick.scale), pick.threshold)
    epsilon, cutoff = theirs.map((bounds.l0, bounds.l1, bounds.linf))
    assert Fraction(cutoff) <= pick.delta
    assert pick.epsilon is not None
    assert pick.epsilon <= Fraction(epsilon)


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_the_gaussian_tail_is_a_bound_and_near(scale: Fraction) -> None:
    at, chance = probabilities("gaussian", float(scale))
    for far in (1, 2, math.ceil(scale), math.ceil(3 * scale), math.ceil(6 * scale)):
        told, true = tails.gaussian_tail(float(scale), far), chance[at >= far].sum()
        assert true * (1 - 1e-12) <= told <= true * 1.02 + 1e-42


@pytest.mark.parametrize("groups", [1, 10])
def test_a_gaussian_threshold_is_the_least(groups: int) -> None:
    """And for units of many groups far below the one under Laplace noise."""
    bounds, budget = Bounds(groups=groups, rows=1).units(), Budget.of_epsilon(1, delta="1e-9")
    laplace, gaussian = (
        fit_release([Query(sensitivity=bounds, noise=noise)], budget)[0]
        for noise in ("threshold", "gaussian_threshold")
    )
    assert gaussian.noise == "gaussian"
    assert gaussian.threshold is not None
    assert laplace.threshold is not None
    assert (gaussian.threshold < 0.7 * laplace.threshold) == (groups == 10)
    assert release_cost([gaussian], "epsilon", delta="1e-9").charge.amount <= 1
    at, chance = probabilities("gaussian", float(gaussian.scale))

    def shows(threshold: int) -> float:
        return float(-np.expm1(groups * np.log1p(-chance[1 + at > threshold].sum())))

    assert shows(gaussian.threshold) <= float(gaussian.delta) * (1 + 1e-9)
    assert gaussian.delta <= Fraction("5e-10")
    alone = make_threshold(bounds, budget)
    assert (laplace.scale, laplace.threshold) == (alone.scale, alone.threshold), "the whole delta"
    assert shows(gaussian.threshold - 1) > 5e-10 * 0.99
    # of 200 lone units one shows once in 10^7 runs
    places, noisy = select(np.array([1] * 200 + [0] * 2000 + [10**6] * 5), gaussian)
    assert places.tolist() == list(range(2200, 2205))
    assert np.abs(noisy - 10**6).max() < 9 * gaussian.scale


UNEVEN = Sensitivity(l0=2, l1=2, l2_squared=4, linf=2)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"scale": Fraction(0)}, BudgetError),
        ({"scale": Fraction(-1)}, BudgetError),
        ({"scale": Fraction(1, 3)}, BudgetError),
        ({"scale": Fraction(1 << 61)}, FixedOverflow),
        ({"noise": "uniform"}, BudgetError),
        ({"delta": Fraction(1, 100)}, BudgetError),
        ({"threshold": 5}, BudgetError),
        ({"threshold": 1, "delta": Fraction(1, 100), "sensitivity": UNEVEN}, BudgetError),
        ({"threshold": 0, "delta": Fraction(1, 100), "noise": "gaussian"}, BudgetError),
    ],
)
def test_no_mechanism_of_these(facts: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Mechanism(**{"noise": "laplace", "sensitivity": ONE, "scale": Fraction(1), **facts})


@pytest.mark.parametrize("level", [0, 1, "1.5", "-0.1"])
def test_a_level_lies_between(level: Any) -> None:
    with pytest.raises(BudgetError, match="between 0 and 1"):
        Mechanism(noise="laplace", sensitivity=ONE, scale=Fraction(1)).half_width(level)


def test_the_laplace_log_moment_of_almost_no_noise() -> None:
    assert tails.laplace_log_moment(1e-9, np.array([1.0, 1e8])).tolist() == [0.0, 0.0]
