"""The discrete Laplace and Gaussian distributions: deviation, mean error, quantiles, moments.

Laplace: P(x) proportional to exp(-|x| / scale); Gaussian: to exp(-x^2 / (2 scale^2)), over the
integers (Ghosh, Roughgarden and Sundararajan 2012; Canonne, Kamath and Steinke 2020). What is told
here informs people, so doubles are fine; widths are rounded up. Tails decide thresholds, and are
bounds of the truth but for a rounding of 1e-12, which whoever uses them adds.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = [
    "FINE",
    "gaussian_deviation",
    "gaussian_error",
    "gaussian_tail",
    "gaussian_width",
    "laplace_deviation",
    "laplace_error",
    "laplace_log_moment",
    "laplace_tail",
    "laplace_width",
    "summed_width",
]

FINE = 1000.0
"""From this scale on, a Gaussian over the integers and one over the reals are told alike"""
_REACH = 14  # in scales: what lies beyond is less than a double tells


def laplace_deviation(scale: float) -> float:
    """The standard deviation."""
    half = 0.5 / scale
    return 0.0 if half > 700 else 1 / (math.sqrt(2) * math.sinh(half))


def laplace_error(scale: float) -> float:
    """The mean absolute value."""
    return 0.0 if scale < 1 / 700 else 1 / math.sinh(1 / scale)


def laplace_tail(scale: float, at: int) -> float:
    """P(noise >= at), for `at` from 1 on."""
    return math.exp(-at / scale) / (1 + math.exp(-1 / scale))


def laplace_width(scale: float, failure: float) -> int:
    """The least k with P(|noise| > k) <= `failure`."""
    start = -scale * math.log(failure * (1 + math.exp(-1 / scale)) / 2) - 1
    k = max(0, math.floor(start) - 1)
    while 2 * laplace_tail(scale, k + 1) > failure:
        k += 1
    return k


def laplace_log_moment(scale: float, at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """log E exp(at * noise), for `at` in [0, 1 / scale).

    It is -log(1 - (sinh(at / 2) / sinh(1 / (2 scale)))^2). Written by expm1, which keeps its digits
    where the scale is large, and overflows nowhere where it is small.
    """
    end = np.float64(1 / scale)
    ratio = np.exp(at - end) * (np.expm1(-at) / np.expm1(-end)) ** 2
    return np.asarray(-np.log1p(-ratio), dtype=np.float64)


def summed_width(scale: float, parts: int, failure: float, *, gaussian: bool) -> int:
    """A k with P(|sum of `parts` noises| > k) <= `failure`, by Chernoff's bound: not the least.

    A Gaussian over the integers has no greater moments than one over the reals (Canonne, Kamath and
    Steinke 2020, lemma 9).
    """
    each = math.log(2 / failure)
    if gaussian:
        return math.ceil(scale * math.sqrt(2 * parts * each))
    s = np.geomspace(1e-4, 0.999, 400) / scale
    return math.ceil(float(((parts * laplace_log_moment(scale, s) + each) / s).min()))


def _weights(scale: float) -> tuple[npt.NDArray[np.float64], float]:
    """Unscaled probabilities of 0, 1, 2, ..., and their sum over all integers."""
    steps = np.arange(math.ceil(_REACH * scale) + 2, dtype=np.float64)
    weights = np.exp(-0.5 * (steps / scale) ** 2)
    return weights, float(2 * weights[::-1].sum() - 1)


def gaussian_deviation(scale: float) -> float:
    """The standard deviation: below the scale by less than a double shows, from 3 on."""
    if scale >= FINE:
        return scale
    weights, whole = _weights(scale)
    return math.sqrt(2 * float(weights @ np.arange(len(weights)) ** 2.0) / whole)


def gaussian_error(scale: float) -> float:
    """The mean absolute value."""
    if scale >= FINE:
        return scale * math.sqrt(2 / math.pi)
    weights, whole = _weights(scale)
    return 2 * float(weights @ np.arange(len(weights))) / whole


def gaussian_tail(scale: float, at: int) -> float:
    """P(noise >= at), for `at` from 1 on; from a scale of `FINE` on a bound of it.

    It is that of the reals from `at` - 1 on (Canonne, Kamath and Steinke 2020, proposition 25).
    Below, sums of probabilities, and for what lies beyond `_REACH` scales that same bound.
    """
    beyond = math.ceil(_REACH * scale) + 2
    if scale >= FINE or at >= beyond:
        return math.erfc((at - 1) / (scale * math.sqrt(2))) / 2
    weights, whole = _weights(scale)
    far = math.erfc((beyond - 1) / (scale * math.sqrt(2))) / 2
    return float(weights[at:][::-1].sum()) / whole + far


def gaussian_width(scale: float, failure: float) -> int:
    """The least k with P(|noise| > k) <= `failure`; from a scale of `FINE` on at most 2 more."""
    if scale >= FINE:
        return math.ceil(-scale * NormalDist().inv_cdf(failure / 2)) + 1
    weights, whole = _weights(scale)
    beyond = 2 * np.cumsum(weights[::-1])[::-1] / whole  # beyond[k]: P(|noise| >= k), k > 0
    return int(np.argmax(beyond[1:] <= failure))
