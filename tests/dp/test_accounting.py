"""Accounting: never below the truth, never above the naive sum, and exact where it can be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import (
    Bounds,
    Budget,
    Mechanism,
    Sensitivity,
    admit,
    epsilon_at,
    make_laplace,
    make_threshold,
    release_cost,
)
from privpipe.dp._loss import loss_epsilon
from privpipe.errors import BudgetError, BudgetSpent

Doubles = npt.NDArray[np.float64]


def mechanism(noise: Any, scale: float, groups: int = 1, linf: int = 1) -> Mechanism:
    bounds = Bounds(groups=groups, rows=linf).counts()
    return Mechanism(noise=noise, sensitivity=bounds, scale=Fraction(scale))


def exact_delta(noise: str, scale: float, moves: list[int], epsilon: float) -> float:
    """The hockey-stick divergence, summed over every outcome; its tails are below 1e-30."""
    reach = math.ceil(scale * (70 if noise == "laplace" else 13)) + sum(moves)
    at = np.arange(-reach, reach + 1, dtype=np.float64)

    def chances(centre: float) -> Doubles:
        far = np.abs(at - centre) / scale
        weights = np.exp(-far if noise == "laplace" else -(far**2) / 2)
        return np.asarray(weights / weights.sum())

    one, other = np.ones(1), np.ones(1)
    for move in moves:
        one = np.multiply.outer(one, chances(0)).reshape(-1)
        other = np.multiply.outer(other, chances(move)).reshape(-1)
    return float(np.maximum(one - math.exp(epsilon) * other, 0).sum())


CASES = [
    ("laplace", 2.0, [1]),
    ("laplace", 2.0, [1, 1]),
    ("laplace", 7.5, [5, 5]),
    ("laplace", 1200.0, [700]),
    ("gaussian", 1.0, [1]),
    ("gaussian", 3.0, [2, 2]),
    ("gaussian", 1200.0, [900]),
]


@pytest.mark.parametrize(("noise", "scale", "moves"), CASES)
@pytest.mark.parametrize("delta", ["1e-2", "1e-6", "1e-10"])
def test_the_truth_is_no_worse(noise: str, scale: float, moves: list[int], delta: str) -> None:
    told = mechanism(noise, scale, len(moves), moves[0])
    epsilon = float(epsilon_at([told], delta))
    wanted = float(delta)
    assert exact_delta(noise, scale, moves, epsilon) <= wanted
    # and hardly better: at 2 % less, or a step of the grid, it fails
    if told.epsilon is None or epsilon < float(told.epsilon):
        assert exact_delta(noise, scale, moves, epsilon * 0.98 - 2e-4) > wanted * 0.999
    # an account that forgot a coordinate, or half of a move, is found
    halved = mechanism(noise, scale, 1, max(1, moves[0] // 2))
    if halved != told:
        less = float(epsilon_at([halved], delta))
        assert exact_delta(noise, scale, moves, less) > wanted


def test_a_uneven_vector_is_no_worse() -> None:
    """A histogram's unit: both rows in one bin, or in two."""
    bounds = Bounds(groups=1, rows=2).histogram(bins=5)
    for noise in ("laplace", "gaussian"):
        told = Mechanism(noise=noise, sensitivity=bounds, scale=Fraction(3))
        epsilon = float(epsilon_at([told], "1e-4"))
        for moves in ([2], [1, 1]):
            assert exact_delta(noise, 3.0, moves, epsilon) <= 1e-4


def analytic_gaussian(mu: float, delta: float) -> float:
    """Balle and Wang 2018: the epsilon of a Gaussian whose mean moves by mu deviations."""
    normal = NormalDist()

    def at(epsilon: float) -> float:
        near, far = mu / 2 - epsilon / mu, -mu / 2 - epsilon / mu
        return normal.cdf(near) - math.exp(epsilon) * normal.cdf(far)

    low, high = 0.0, 200.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle) <= delta else (middle, high)
    return high


@pytest.mark.parametrize("count", [1, 7, 60])
@pytest.mark.parametrize("scale", [20.0, 4096.0, float(1 << 40)])
def test_between_the_analytic_gaussian_and_the_naive_sum(count: int, scale: float) -> None:
    linf = round(scale / 10)
    told = [mechanism("gaussian", scale, 2, linf)] * count
    cost = release_cost(told, "epsilon", delta="1e-6")
    mu = linf / scale * math.sqrt(2 * count)
    # below a scale of 1000 the integers themselves are told, a hair off the reals
    least = analytic_gaussian(mu, 1e-6) * (1 if scale > 1000 else 0.999)
    assert least <= cost.charge.amount <= least * 1.01
    assert cost.charge.amount <= cost.naive.amount
    assert count == 1 or cost.charge.amount < cost.naive.amount / 1.3
    # an account of one group where there are two, or of a scale 2 % wider, lies below
    for less in (
        mechanism("gaussian", scale, 1, linf),
        mechanism("gaussian", scale * 1.02, 2, linf),
    ):
        assert epsilon_at([less] * count, "1e-6") < least


def test_a_hundred_laplace_releases() -> None:
    cost = release_cost([mechanism("laplace", 10)] * 100, "epsilon", delta="1e-6")
    assert cost.naive == Budget.of_epsilon(10)
    assert cost.charge.amount == pytest.approx(4.77, abs=0.01)
    assert cost.charge.delta == Fraction(1, 10**6)


def rises(epsilons: Iterable[Fraction]) -> bool:
    return all(less < more for less, more in pairwise(epsilons))


def test_it_is_monotone() -> None:
    one = mechanism("laplace", 10, 2)
    counts, scales = (1, 2, 10, 40), (900, 100, 20, 5)
    assert rises(epsilon_at([one] * count, "1e-6") for count in counts)
    assert rises(epsilon_at([one] * 40, delta) for delta in ("1e-3", "1e-6", "1e-9"))
    assert rises(epsilon_at([mechanism("gaussian", s)], "1e-6") for s in scales)
    # an account that takes releases which are alike for one does not rise
    assert not rises(epsilon_at(list({one: count}), "1e-6") for count in counts)


def test_order_and_grouping_do_not_matter() -> None:
    mixed = [mechanism("laplace", 10), mechanism("gaussian", 9), mechanism("laplace", 2000, 3, 40)]
    turned = [*mixed[::-1], *mixed]
    one, other = epsilon_at(mixed * 2, "1e-6"), epsilon_at(turned, "1e-6")
    assert one == pytest.approx(float(other), rel=1e-6)


def test_a_threshold_adds_its_delta() -> None:
    bounds = Bounds(groups=2, rows=1).counts()
    pick = make_threshold(bounds, Budget.of_epsilon(1, delta="1e-7"))
    noise = Mechanism(noise="laplace", sensitivity=bounds, scale=pick.scale)
    assert release_cost([pick], "epsilon", delta="1e-7").charge.delta <= Fraction(1, 10**7)
    left = float(Fraction(1, 10**6) - pick.delta)
    with_cutoff, alone = loss_epsilon([pick] * 9, 1e-6), loss_epsilon([noise] * 9, left)
    assert with_cutoff > loss_epsilon([noise] * 9, 1e-6)
    assert with_cutoff == pytest.approx(alone, rel=0.2)
    with pytest.raises(BudgetError, match="used up"):
        release_cost([pick] * 2, "epsilon", delta=pick.delta)
    rho = release_cost([pick, noise], "rho").charge
    assert rho.delta == pick.delta
    assert rho.amount == 2 * pick.rho


def test_without_a_delta_the_sum_is_exact() -> None:
    share = Budget.of_epsilon("0.1")
    laplace = [make_laplace(Bounds(groups=3, rows=2).counts(), share)] * 7
    cost = release_cost(laplace, "epsilon")
    assert cost.charge == cost.naive == Budget.of_epsilon(7 * 6 / laplace[0].scale)
    assert cost.charge.amount <= Fraction(7, 10)
    with pytest.raises(BudgetError, match="need a delta"):
        release_cost([mechanism("gaussian", 5)], "epsilon")
    with pytest.raises(BudgetError, match="no mechanism"):
        release_cost([], "rho")


def test_a_delta_too_small_for_distributions_still_has_a_charge() -> None:
    cost = release_cost(
        [mechanism("gaussian", 50), mechanism("laplace", 9)], "epsilon", delta="1e-30"
    )
    assert cost.charge == cost.naive
    assert 0.1 < cost.charge.amount < 1


def test_next_to_no_noise_is_charged_in_full() -> None:
    assert epsilon_at([mechanism("laplace", 0.001)], "1e-6") == pytest.approx(1000)
    assert epsilon_at([mechanism("gaussian", 0.01)], "1e-6") > 5000


def test_rho_is_exact() -> None:
    both = [mechanism("gaussian", 5, 3, 2), mechanism("laplace", 5, 3, 2)]
    assert release_cost(both, "rho").charge == Budget.of_rho(2 * Fraction(12, 50))


def test_the_filter() -> None:
    budget = Budget.of_epsilon(1, delta="1e-6")
    third = Budget.of_epsilon("1/3", delta="1e-7")
    assert admit(budget, [third] * 2, third) == Budget.of_epsilon(0, delta="7e-7")
    for charge in (Budget.of_epsilon("1/1000"), Budget.of_epsilon(0, delta="8e-7")):
        with pytest.raises(BudgetSpent, match=r"^\[PP-BUD-01\].*is left of epsilon 1"):
            admit(budget, [third] * 3, charge)
    assert admit(budget, [third] * 3, Budget.of_epsilon(0)).amount == 0
    with pytest.raises(BudgetSpent, match="more was spent"):
        admit(budget, [third] * 4, Budget.of_epsilon(0))
    with pytest.raises(BudgetError, match="in epsilon, and the release costs rho"):
        admit(budget, [], Budget.of_rho(1))
    rho = Budget.of_rho("0.5")
    assert admit(rho, [Budget.of_rho("0.2")], Budget.of_rho("0.3")) == Budget.of_rho(0)


def test_distributions_over_a_history_admit_nothing() -> None:
    """A hundred releases of 0.1 compose to less than 5, and a budget of 5 holds fifty of them."""
    tenth = mechanism("laplace", 10)
    assert epsilon_at([tenth] * 100, "1e-6") < 5
    charge = release_cost([tenth], "epsilon").charge
    assert admit(Budget.of_epsilon(5), [charge] * 49, charge).amount == 0
    with pytest.raises(BudgetSpent):
        admit(Budget.of_epsilon(5), [charge] * 50, charge)


def test_a_sensitivity_of_large_numbers() -> None:
    """Fixed point at a grid of 1e-6: the distribution costs no more than one of small numbers."""
    wide = Sensitivity(l0=4, l1=4 * 10**12, l2_squared=4 * 10**24, linf=10**12)
    for noise in ("laplace", "gaussian"):
        fine = Mechanism(noise=noise, sensitivity=wide, scale=Fraction(5 * 10**12))
        coarse = mechanism(noise, 500, 4, 100)
        assert float(epsilon_at([fine], "1e-6")) == pytest.approx(
            float(epsilon_at([coarse], "1e-6")), rel=0.01
        )
