"""Intervals, means and variances: near the exact ones, and covered as often as they say."""

from __future__ import annotations

from collections.abc import Callable
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
    fit_release,
    interval,
    non_negative,
)
from privpipe.errors import FixedOverflow, UsageError

Int64s = npt.NDArray[np.int64]
Twin = Callable[[str, float, int | tuple[int, ...]], Int64s]
AGES = FixedPoint.of(low=0, high=120, step="0.1")
ROWS = Bounds(groups=1, rows=1)
TRIALS = 20_000


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
@pytest.mark.parametrize("scale", [0.05, 0.7, 40.0])
@pytest.mark.parametrize("parts", [2, 30])
def test_intervals_of_sums_hold_and_are_not_idle(
    twin: Twin, noise: str, scale: float, parts: int
) -> None:
    kind: Any = noise
    mechanism = Mechanism(noise=kind, sensitivity=ROWS.counts(), scale=Fraction(scale))
    found = 7 + twin(noise, scale, (TRIALS, parts)).sum(axis=1)
    ends = interval(found, mechanism, parts=parts)
    held = ((ends.low <= 7) & (ends.high >= 7)).mean()
    assert held >= 0.948
    one = interval(found, mechanism)
    if scale > 1:
        # A single noise's width does not do, and a bound may not be twice as wide as needed.
        assert ((one.low <= 7) & (one.high >= 7)).mean() < 0.93
        needed = np.quantile(np.abs(found - 7), 0.95)
        assert (ends.high - ends.low).max() / 2 < 2 * needed
    tiny = Mechanism(noise=kind, sensitivity=ROWS.counts(), scale=Fraction(1, 2**40))
    assert tiny.half_width(parts=30) <= 1


def test_counts_end_at_0(twin: Twin) -> None:
    mechanism = Mechanism(noise="laplace", sensitivity=ROWS.counts(), scale=Fraction(4))
    noisy = 3 + twin("laplace", 4, TRIALS)
    ends = interval(noisy, mechanism, counts=True)
    assert ends.low.min() == 0
    assert (ends.low <= ends.high).all()
    assert ((ends.low <= 3) & (ends.high >= 3)).mean() >= 0.94
    plain = interval(noisy, mechanism)
    assert plain.low.min() < 0
    assert (plain.high - plain.low == 2 * mechanism.half_width()).all()
    assert non_negative(np.array([-3, 0, 5])).tolist() == [0, 0, 5]


def made_of(moments: Moments, noise: Any, epsilon: int) -> tuple[Mechanism, ...]:
    budget = (
        Budget.of_epsilon(epsilon, delta="1e-6")
        if noise == "gaussian"
        else Budget.of_epsilon(epsilon)
    )
    return fit_release(moments.queries(noise), budget)


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
@pytest.mark.parametrize("rows", [0, 1, 40, 3000])
def test_means_and_variances(noise: str, rows: int, twin: Twin) -> None:
    """Over many draws on one group: the figure, an interval that holds at least as often as it says
    (it is conservative), and a planted one that fails."""
    values = np.random.default_rng(rows).gamma(4, 9, rows + 7)
    values[:7] = np.nan
    units, valid = AGES.encode(values)
    moments = Moments(fixed=AGES, bounds=ROWS, variance=True)
    columns = [valid.astype(np.int64), moments.centred(units, valid), moments.squares(units, valid)]
    exact = [int(column.sum()) for column in columns]
    mechanisms = made_of(moments, noise, 4)
    noisy = [
        total + twin(noise, float(mechanism.scale), TRIALS)
        for total, mechanism in zip(exact, mechanisms, strict=True)
    ]
    mean, variance = moments.figures(noisy, mechanisms)
    kept = AGES.doubles(units[valid])
    for figures, true in (
        (mean, kept.mean() if rows else 60),
        (variance, kept.var() if rows else 0),
    ):
        assert (figures.low <= figures.value).all()
        assert (figures.value <= figures.high).all()
        covered = (figures.low <= true + 1e-9) & (true - 1e-9 <= figures.high)
        assert covered.mean() >= 0.95 - 0.008  # five deviations
    assert ((mean.low >= 0) & (mean.high <= 120)).all()
    assert ((variance.low >= 0) & (variance.high <= 3600)).all()
    if rows == 3000:
        assert np.sqrt(((mean.value - kept.mean()) ** 2).mean()) < 0.5
        assert np.sqrt(((variance.value - kept.var()) ** 2).mean()) < 40
        assert (mean.high - mean.low).mean() < 2
        narrow = [
            Mechanism(noise=each.noise, sensitivity=each.sensitivity, scale=each.scale / 4)
            for each in mechanisms
        ]
        planted, _ = moments.figures(noisy, narrow)
        covered = (planted.low <= kept.mean()) & (kept.mean() <= planted.high)
        assert covered.mean() < 0.9


def test_without_noise_they_are_exact() -> None:
    values = np.array([1.0, 2.5, 119.9, 400.0])
    units, valid = AGES.encode(values)
    moments = Moments(fixed=AGES, bounds=ROWS, variance=True)
    sums = [
        np.array([4]),
        moments.centred(units, valid).sum(keepdims=True),
        moments.squares(units, valid).sum(keepdims=True),
    ]
    mean, variance = moments.figures(sums, made_of(moments, "laplace", 1))
    kept = np.array([1.0, 2.5, 119.9, 120.0])
    assert mean.value[0] == pytest.approx(kept.mean())
    assert variance.value[0] == pytest.approx(kept.var())


def test_a_row_moves_the_sums_by_what_is_declared() -> None:
    fixed = FixedPoint.of(low=-3, high=4)
    moments = Moments(fixed=fixed, bounds=ROWS, variance=True)
    units = np.arange(-3, 5)
    valid = np.ones(8, dtype=np.bool_)
    declared = [query.sensitivity.linf for query in moments.queries()]
    columns = [np.ones(8), moments.centred(units, valid), moments.squares(units, valid)]
    assert [int(np.abs(column).max()) for column in columns] == declared == [1, 7, 49]
    assert moments.largest == 49
    assert max(np.abs(units)) * 2 > 7  # what values that are not centred would move, doubled
    assert not moments.squares(units, ~valid).any()
    assert Moments(fixed=fixed, bounds=ROWS).largest == 7


def test_moments_of_other_results_are_refused() -> None:
    moments = Moments(fixed=AGES, bounds=ROWS)
    mechanisms = made_of(moments, "laplace", 1)
    with pytest.raises(UsageError, match="2 noisy results"):
        moments.figures([np.zeros(1, np.int64)] * 3, mechanisms)
    (mean,) = moments.figures([np.array([0, 5]), np.array([9, -600])], mechanisms)
    assert mean.low.tolist() == [0, 0]
    assert mean.high.tolist() == [120, 120]
    assert mean.value.tolist() == pytest.approx([60.45, 54])


def test_squares_that_overflow_are_refused() -> None:
    fine = FixedPoint.of(low=0, high=10**4, step="0.000001")
    with pytest.raises(FixedOverflow, match="squares"):
        Moments(fixed=fine, bounds=ROWS, variance=True)
    Moments(fixed=fine, bounds=ROWS)
