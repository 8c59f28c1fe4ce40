"""Quantiles by bisection: sensitivity step by step, errors and intervals as told, and an attack."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.dp import (
    Bisection,
    Bounds,
    Budget,
    Mechanism,
    Query,
    add_noise,
    fit_release,
    quantile,
    release_cost,
)
from privpipe.errors import BudgetError, UsageError

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

Int64s = npt.NDArray[np.int64]
EDGES = np.arange(91)
MEDIAN = Bisection(bins=90, at=(Fraction(1, 2),))
THREE = Bisection(bins=90, at=(Fraction(1, 10), Fraction(1, 2), Fraction(3, 4)))


def fitted(search: Bisection, bounds: Bounds, budget: Budget, noise: Any = "gaussian") -> Mechanism:
    [made] = fit_release([Query(sensitivity=search.sensitivity(bounds), noise=noise)], budget)
    return made


def groups_of(size: int, many: int, seed: int = 3) -> Int64s:
    """One group of so many ages, many times over."""
    ages = np.random.default_rng(seed).gamma(2.2, 16, size).clip(0, 89.9)
    counts, _ = np.histogram(ages, EDGES)
    return np.tile(counts.astype(np.int64), (many, 1))


def test_without_noise_it_is_the_bin_of_the_quantile() -> None:
    exact = np.vstack([groups_of(size, 1, size) for size in (1, 2, 7, 100, 5001)])
    barely = Mechanism(
        noise="laplace",
        sensitivity=THREE.sensitivity(Bounds(groups=1, rows=1)),
        scale=Fraction(1, 64),
    )
    answers = THREE.draw(exact, barely)
    assert (answers == THREE.asked(answers, exact)).all()
    for at, found in zip(THREE.at, THREE.figures(answers, EDGES, barely), strict=True):
        running = np.cumsum(exact, axis=1)
        place = np.argmax(running * at.denominator >= at.numerator * running[:, -1:], axis=1)
        assert (found.low == place).all()
        assert (found.high == place + 1).all()
        assert ((place <= found.value) & (found.value <= place + 1)).all()


@given(st.integers(2, 40), st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4))
def test_no_unit_moves_the_answers_further_than_told(
    bins: int, seed: int, groups: int, rows: int
) -> None:
    """Whatever was asked: the edges are those of answers that have nothing to do with the data."""
    random = np.random.default_rng(seed)
    at = tuple(Fraction(int(each), 20) for each in random.integers(1, 20, 2))
    search, bounds = Bisection(bins=bins, at=at), Bounds(groups=groups, rows=rows)
    told = search.sensitivity(bounds)
    others = random.integers(0, 9, (groups, bins))
    more = np.zeros_like(others)
    for group in range(groups):  # at one end, at the other, or anywhere
        ends = ([0], [bins - 1], list(range(bins)))[random.integers(3)]
        np.add.at(more[group], random.choice(ends, rows), 1)
    answers = random.integers(-50, 50, (groups, 2 * search.steps))
    moved = np.abs(search.asked(answers, others + more) - search.asked(answers, others))
    assert np.count_nonzero(moved) <= told.l0
    assert moved.max() <= told.linf
    assert moved.sum() <= told.l1
    assert (moved**2).sum() <= told.l2_squared


def test_the_bounds_are_reached() -> None:
    told = MEDIAN.sensitivity(Bounds(groups=3, rows=2))
    exact = np.zeros((3, 90), dtype=np.int64)
    exact[:, 0] = 2
    moved = np.abs(MEDIAN.asked(np.zeros((3, 7), dtype=np.int64), exact))
    assert (moved == told.linf).all()
    assert int(moved.sum()) == told.l1
    assert int((moved**2).sum()) == told.l2_squared


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
def test_intervals_hold_and_the_rank_errs_as_told(noise: Any) -> None:
    many, size = 3000, 4000
    made = fitted(THREE, Bounds(groups=5, rows=1), Budget.of_epsilon(1, delta="1e-9"), noise)
    exact = groups_of(size, many)
    answers = THREE.draw(exact, made)
    left = np.concatenate([[0], np.cumsum(exact[0])]) / size
    for at, found in zip(THREE.at, THREE.figures(answers, EDGES, made), strict=True):
        true = int(np.argmax(left >= float(at)))
        held = (found.low <= true - 1) & (true <= found.high)
        assert float(held.mean()) > 0.94, "at least 95 %, give or take"
        assert float((found.high - found.low).mean()) < 60, "and they tell something"
        rank = np.interp(found.value, EDGES, left) * size - float(at) * size
        room = made.deviation / THREE.parts + exact[0][true - 1]  # and one bin
        assert 0.2 * room < float(np.sqrt((rank**2).mean())) < 1.3 * room


def test_it_errs_far_less_than_a_histogram() -> None:
    bounds, budget = Bounds(groups=5, rows=1), Budget.of_epsilon(1, delta="1e-9")
    exact = groups_of(500, 400)
    made = fitted(MEDIAN, bounds, budget)
    [found] = MEDIAN.figures(MEDIAN.draw(exact, made), EDGES, made)
    [flat] = fit_release([Query(sensitivity=bounds.histogram(bins=90))], budget)
    noisy = add_noise(exact.ravel(), flat).reshape(exact.shape)
    other = quantile(noisy, EDGES, flat, "0.5")
    running = np.concatenate([[0], np.cumsum(exact[0])])
    true = float(np.interp(250, running, EDGES))
    errors = [float(np.sqrt(((each.value - true) ** 2).mean())) for each in (found, other)]
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
def test_the_best_attack_finds_no_more_than_was_charged(noise: Any) -> None:
    """As of `test_release`, where each edge that is asked depends on the answers before."""
    search, bounds = Bisection(bins=8, at=(Fraction(1, 2),)), Bounds(groups=1, rows=2)
    delta = "0.01" if noise == "gaussian" else "0"
    made = fitted(search, bounds, Budget.of_epsilon(1, delta=delta), noise)
    epsilon = float(release_cost([made], "epsilon", delta=delta).charge.amount)
    others = np.array([[1, 0, 2, 1, 0, 0, 1, 0]], dtype=np.int64)
    unit = np.array([[2, 0, 0, 0, 0, 0, 0, 0]], dtype=np.int64)

    def gap(mechanism: Mechanism) -> float:
        runs = 40_000
        ratios = []
        for truth in (others + unit, others):
            told = search.draw(np.tile(truth, (runs, 1)), mechanism)
            sides = (np.tile(each, (runs, 1)) for each in (others + unit, others))
            one, other = (np.abs(told - search.asked(told, each)) for each in sides)
            scale = float(mechanism.scale)
            likelier = (other - one) / scale
            if noise == "gaussian":
                likelier = (other.astype(float) ** 2 - one.astype(float) ** 2) / (2 * scale**2)
            ratios.append(likelier.sum(axis=1))
        found = []
        for cut in np.quantile(np.concatenate(ratios), np.linspace(0.02, 0.98, 49)):
            more, less = float((ratios[0] >= cut).mean()), float((ratios[1] >= cut).mean())
            spare = 6 * math.sqrt((more + math.exp(2 * epsilon) * less) / runs)
            found.append(more - math.exp(epsilon) * less - spare)
        return max(found)

    assert gap(made) <= float(delta)
    # planted: noise for one step alone
    scale = Fraction(float(made.scale) / search.steps)
    planted = Mechanism(noise=made.noise, sensitivity=made.sensitivity, scale=scale)
    assert gap(planted) > float(delta)


@pytest.mark.parametrize(
    ("bins", "at"),
    [(1, [Fraction(1, 2)]), (9, []), (9, [Fraction(1)]), (9, [Fraction(1, 7), Fraction(1, 999)])],
)
def test_what_cannot_be_bisected(bins: int, at: list[Fraction]) -> None:
    with pytest.raises(BudgetError):
        Bisection(bins=bins, at=tuple(at))


def test_answers_of_another_are_refused() -> None:
    made = fitted(MEDIAN, Bounds(groups=1, rows=1), Budget.of_epsilon(1, delta="1e-9"))
    with pytest.raises(UsageError):
        MEDIAN.draw(np.zeros((2, 8), dtype=np.int64), made)
    with pytest.raises(UsageError):
        MEDIAN.figures(np.zeros((2, 7), dtype=np.int64), np.arange(9), made)
