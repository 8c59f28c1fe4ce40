"""Quantiles from noisy histograms."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import Bounds, Mechanism, quantile
from privpipe.errors import BudgetError, UsageError

Int64s = npt.NDArray[np.int64]
Twin = Callable[[str, float, int | tuple[int, ...]], Int64s]
EDGES = np.linspace(0, 100, 65)
BINS = Bounds(groups=1, rows=1).histogram(bins=64)
TRIALS = 4000


def made(noise: Any, scale: int) -> Mechanism:
    return Mechanism(noise=noise, sensitivity=BINS, scale=Fraction(scale))


@pytest.mark.parametrize("at", ["0.5", "0.1", "0.99"])
def test_without_noise_the_error_is_a_bin(at: str) -> None:
    values = np.random.default_rng(3).beta(2, 5, 10_000) * 100
    counts = np.histogram(values, EDGES)[0][None, :]
    found = quantile(counts, EDGES, made("laplace", 1), at)
    assert found.value[0] == pytest.approx(np.quantile(values, float(at)), abs=100 / 64)
    assert found.low[0] <= np.quantile(values, float(at)) <= found.high[0]


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
@pytest.mark.parametrize("at", ["0.5", "0.05"])
def test_with_noise(noise: str, at: str, twin: Twin) -> None:
    """Intervals hold at least as often as they say: they are conservative."""
    values = np.random.default_rng(5).beta(2, 5, 20_000) * 100
    counts = np.histogram(values, EDGES)[0]
    noisy = counts + twin(noise, 100, (TRIALS, 64))
    true = np.quantile(values, float(at), method="inverted_cdf")
    found = quantile(noisy, EDGES, made(noise, 100), at)
    assert ((found.low <= true) & (true <= found.high)).mean() >= 0.95 - 0.018  # five deviations
    assert (found.high - found.low).mean() < 15
    assert np.sqrt(((found.value - true) ** 2).mean()) < 3
    planted = quantile(noisy, EDGES, made(noise, 1), at)  # as if there were hardly any noise
    narrower = (planted.low <= true) & (true <= planted.high)
    assert (planted.high - planted.low).mean() < (found.high - found.low).mean() / 2
    assert narrower.mean() < 0.9


def test_more_of_a_quantile_is_further_right(twin: Twin) -> None:
    noisy = 50 + twin("laplace", 10, (200, 64))
    rising = [quantile(noisy, EDGES, made("laplace", 10), at).value for at in ("0.2", "0.5", "0.8")]
    assert (rising[0] < rising[1]).all()
    assert (rising[1] < rising[2]).all()


def test_odd_groups() -> None:
    nothing = np.array([[0, 0], [-5, -7], [4, 0], [0, 4], [1, -1]])
    found = quantile(nothing, [0, 1, 3], made("laplace", 1), "0.5")
    assert found.value.tolist() == [1.5, 1.5, 0.5, 2.0, 1.5]
    assert (found.low <= found.high).all()
    one = quantile(np.array([[9]]), [0, 2], made("gaussian", 1), "0.25")
    assert (one.value.tolist(), one.low.tolist(), one.high.tolist()) == ([0.5], [0], [2])
    none = quantile(np.zeros((0, 2), np.int64), [0, 1, 2], made("laplace", 1), "0.5")
    assert none.value.shape == none.low.shape == (0,)


@pytest.mark.parametrize(
    ("noisy", "edges", "at", "error"),
    [
        (np.zeros((1, 2)), [0, 1, 2], 0, BudgetError),
        (np.zeros((1, 2)), [0, 1, 2], 1, BudgetError),
        (np.zeros((1, 2)), [0, 1], "0.5", UsageError),
        (np.zeros((1, 2)), [0, 1, 1], "0.5", UsageError),
        (np.zeros((1, 2)), [0, 1, np.inf], "0.5", UsageError),
        (np.zeros(2), [0, 1, 2], "0.5", UsageError),
        (np.zeros((1, 0)), [0], "0.5", UsageError),
    ],
)
def test_what_makes_no_quantile(noisy: Any, edges: Any, at: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        quantile(noisy, edges, made("laplace", 1), at)
