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


def of_scale(search: Bisection, scale: Fraction, noise: Any = "laplace") -> Mechanism:
    bounds = Bounds(groups=1, rows=1)
    return Mechanism(noise=noise, sensitivity=search.sensitivity(bounds), scale=scale)


def by_signs(exact: Int64s, mechanism: Mechanism) -> npt.NDArray[np.float64]:
    """The median by the sign of each answer and a line through the last two, and no more."""
    groups, bins = exact.shape
    running = np.cumsum(exact, axis=1)
    low, high = np.zeros(groups, dtype=np.int64), np.full(groups, bins)
    below, above = np.full(groups, np.nan), np.full(groups, np.nan)
    for _ in range((bins - 1).bit_length()):
        place, open_ = np.maximum((low + high) // 2, 1), high - low > 1
        side = 2 * running[np.arange(groups), place - 1] - running[:, -1]
        answer = add_noise(side, mechanism)
        right = answer < 0
        above, below = (
            np.where(open_ & ~right, answer, above),
            np.where(open_ & right, answer, below),
        )
        high, low = np.where(open_ & ~right, place, high), np.where(open_ & right, place, low)
    inside = np.nan_to_num(-below / (above - below), nan=0.5)
    return np.asarray(low + np.clip(inside, 0, 1) * (high - low), dtype=np.float64)


def test_without_noise_it_is_the_bin_of_the_quantile() -> None:
    exact = np.vstack([groups_of(size, 1, size) for size in (1, 2, 7, 100, 5001)])
    barely = of_scale(THREE, Fraction(1, 64))
    answers = THREE.draw(exact, barely)
    assert (answers == THREE.asked(answers, exact, barely)).all()
    for at, found in zip(THREE.at, THREE.figures(answers, EDGES, barely), strict=True):
        running = np.cumsum(exact, axis=1)
        place = np.argmax(running * at.denominator >= at.numerator * running[:, -1:], axis=1)
        assert (found.low == place).all()
        assert (found.high == place + 1).all()
        assert ((place <= found.value) & (found.value <= place + 1)).all()


@given(st.integers(2, 300), st.integers(0, 10**6), st.integers(1, 10**9))
def test_without_noise_the_last_step_has_found_the_bin(bins: int, seed: int, rows: int) -> None:
    """However the rows lie, and where the bins are as many as so many steps can halve at most."""
    random = np.random.default_rng(seed)
    bins = random.choice([bins, 1 << (bins - 1).bit_length()])
    search = Bisection(bins=int(bins), at=(Fraction(int(random.integers(1, 20)), 20),))
    share = random.dirichlet(np.full(bins, random.choice([0.003, 0.05, 1]) + 1e-9), 20)
    exact = np.floor(np.nan_to_num(share, nan=1) * rows).astype(np.int64) + 1
    barely = of_scale(search, Fraction(1, 64))
    [found] = search.figures(search.draw(exact, barely), np.arange(bins + 1), barely)
    running = np.cumsum(exact, axis=1)
    [at] = search.at
    place = np.argmax(running * at.denominator >= at.numerator * running[:, -1:], axis=1)
    assert (found.low == place).all()
    assert (found.high == place + 1).all()


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
    made = of_scale(search, Fraction(int(random.integers(1, 60))), "gaussian")
    one, other = (search.asked(answers, each, made) for each in (others + more, others))
    moved = np.abs(one - other)
    assert np.count_nonzero(moved) <= told.l0
    assert moved.max() <= told.linf
    assert moved.sum() <= told.l1
    assert (moved**2).sum() <= told.l2_squared


def test_the_bounds_are_reached() -> None:
    told = MEDIAN.sensitivity(Bounds(groups=3, rows=2))
    exact = np.zeros((3, 90), dtype=np.int64)
    exact[:, 0] = 2
    made = of_scale(MEDIAN, Fraction(5))
    moved = np.abs(MEDIAN.asked(np.zeros((3, 7), dtype=np.int64), exact, made))
    assert (moved == told.linf).all()
    assert int(moved.sum()) == told.l1
    assert int((moved**2).sum()) == told.l2_squared


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
def test_intervals_hold_at_least_as_often_as_they_say_and_the_rank_errs_as_told(noise: Any) -> None:
    many, size = 3000, 4000
    made = fitted(THREE, Bounds(groups=5, rows=1), Budget.of_epsilon(1, delta="1e-9"), noise)
    exact = groups_of(size, many)
    answers = THREE.draw(exact, made)
    left = np.concatenate([[0], np.cumsum(exact[0])]) / size
    for at, found in zip(THREE.at, THREE.figures(answers, EDGES, made), strict=True):
        true = int(np.argmax(left >= float(at)))
        held = (found.low <= true - 1) & (true <= found.high)
        assert float(held.mean()) > 0.94, "at least 95 %, give or take"
        assert float((found.high - found.low).mean()) < 65, "and they tell something"
        rank = np.interp(found.value, EDGES, left) * size - float(at) * size
        told = made.deviation / THREE.parts * THREE.gathered
        assert 0.5 * told < float(np.sqrt((rank**2).mean())) < told + exact[0][true - 1]  # one bin


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
@pytest.mark.parametrize("size", [3, 250])
def test_intervals_hold_at_least_as_often_of_small_groups(noise: Any, size: int) -> None:
    """Where every answer's sign may be wrong, and edges are asked that tell nothing."""
    made = fitted(THREE, Bounds(groups=5, rows=1), Budget.of_epsilon(1, delta="1e-9"), noise)
    exact = groups_of(size, 2000)
    left = np.concatenate([[0], np.cumsum(exact[0])]) / size
    told = THREE.figures(THREE.draw(exact, made), EDGES, made)
    for at, found in zip(THREE.at, told, strict=True):
        true = int(np.argmax(left >= float(at)))
        held = (found.low <= true - 1) & (true <= found.high)
        assert float(held.mean()) > 0.91, "0.95, less 8 deviations of what so many draws tell"
        assert ((found.low <= found.value) & (found.value <= found.high)).all()


def shaped(name: str) -> Int64s:
    """One group of 300 rows, or of 20, in 90 bins."""
    random = np.random.default_rng(11)
    ages = {
        "even": random.uniform(0, 90, 300),
        "one hump": random.gamma(2.2, 16, 300),
        "heavy tail": random.pareto(1.2, 300) * 4,
        "two humps": np.where(random.random(300) < 0.6, 20, 65) + random.normal(0, 6, 300),
        "one bin": np.full(300, 61.5),
        "tiny": random.gamma(2.2, 16, 20),
    }[name]
    return np.histogram(ages.clip(0, 89.9), EDGES)[0].astype(np.int64)


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        ("even", 0.8),
        ("one hump", 0.75),
        ("heavy tail", 0.75),
        ("two humps", 0.7),
        ("one bin", 0.85),
        ("tiny", 0.97),
    ],
)
def test_it_errs_less_than_by_signs_alone(shape: str, most: float) -> None:
    """Of noise as for five groups a person; in one hump it is to be 0.6."""
    made = fitted(MEDIAN, Bounds(groups=5, rows=1), Budget.of_epsilon(1, delta="1e-9"))
    exact = np.tile(shaped(shape), (8000, 1))
    running = np.concatenate([[0], np.cumsum(exact[0])])
    place = int(np.argmax(running >= running[-1] / 2))
    true = place - (running[place] - running[-1] / 2) / exact[0][place - 1]
    [found] = MEDIAN.figures(MEDIAN.draw(exact, made), EDGES, made)
    errors = [np.sqrt(((each - true) ** 2).mean()) for each in (found.value, by_signs(exact, made))]
    assert float(errors[0]) < most * float(errors[1])


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
    search, bounds = Bisection(bins=16, at=(Fraction(1, 2),)), Bounds(groups=1, rows=2)
    delta = "0.01" if noise == "gaussian" else "0"
    made = fitted(search, bounds, Budget.of_epsilon(1, delta=delta), noise)
    epsilon = float(release_cost([made], "epsilon", delta=delta).charge.amount)
    others = np.array([[1, 0, 2, 1, 0, 0, 1, 0] + [0] * 8], dtype=np.int64)
    unit = np.array([[2] + [0] * 15], dtype=np.int64)

    def gap(mechanism: Mechanism) -> float:
        runs = 40_000
        ratios = []
        for truth in (others + unit, others):
            told = search.draw(np.tile(truth, (runs, 1)), mechanism)
            sides = (np.tile(each, (runs, 1)) for each in (others + unit, others))
            one, other = (np.abs(told - search.asked(told, each, mechanism)) for each in sides)
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
