"""Where an increasing function of the edges crosses 0, by noisy answers at some of them.

The function is s of `privpipe.dp._bisection`, whose range is d times the rows of a group. Between
its two ends it is taken for a line with a Brownian bridge on it. What answers tell of such a curve
follows edge by edge (Kalman 1960; Rauch, Tung and Striebel 1965), and so does how likely they are.
Its range and its unevenness are unknown: the curve is the mean over a grid of both, each with the
weight that the answers give it. Where noise is small, that is the line through the two nearest
answers; where it is large, all answers count.

All of this is post-processing of noisy answers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privpipe.dp._figures import Doubles

__all__ = ["crossing"]

_SHAPES = ((0.3, 0.7), (2.0, 0.3))  # unevenness, in parts of the range, and how often it is so
_LEAST = 3  # deviations of noise that it has at least: a small group's shape is not assumed
_RANGES = 12  # that are tried, from half a deviation to eight times the largest answer
_AT_ONCE = 4096  # groups


def crossing(
    places: npt.NDArray[np.int64],
    answers: npt.NDArray[np.int64],
    *,
    bins: int,
    share: float,
    deviation: float,
) -> Doubles:
    """Where s crosses 0 in each group, in bins from the first edge.

    Input: the edges that were asked, inner ones, in any order and more than once, and the answers,
    a row a group; the quantile; the deviation of an answer's noise. A group's result is the same
    whichever groups stand beside it.
    """
    found = np.empty(len(places))
    for begin in range(0, len(places), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        order = np.argsort(places[part], axis=1, kind="stable")
        # a column a group: sums are then added in one order, wherever a group stands
        at = np.take_along_axis(places[part], order, axis=1).T / bins
        told = np.take_along_axis(answers[part], order, axis=1).T.astype(np.float64)
        curve = _curve(at, told, share, max(deviation, 0.5))
        found[part] = bins * _zero(at, curve)
    return found


def _curve(at: Doubles, told: Doubles, share: float, deviation: float) -> Doubles:
    """s at the first edge, at those that were asked, and at the last."""
    least, most = deviation / 2, np.maximum(8 * np.abs(told).max(axis=0), 64 * deviation)
    grid = least * (most / least) ** np.linspace(0, 1, _RANGES)[:, None]
    ranges = np.concatenate([grid] * len(_SHAPES))
    uneven, often = (np.repeat(each, _RANGES)[:, None] for each in np.array(_SHAPES).T)
    spread = np.maximum(uneven * ranges, _LEAST * deviation) ** 2
    bends, likely = _smoothed(at, told, ranges, spread, share, deviation**2)
    weight = np.exp(likely - likely.max(axis=0)) * often
    weight /= weight.sum(axis=0)
    size = (weight * ranges).sum(axis=0)
    inner = [
        size * (each - share) + (weight * bend).sum(axis=0)
        for each, bend in zip(at, bends, strict=True)
    ]
    return np.array([-share * size, *inner, (1 - share) * size])


def _smoothed(
    at: Doubles, told: Doubles, ranges: Doubles, spread: Doubles, share: float, noise: float
) -> tuple[list[Doubles], Doubles]:
    """The bridge at each edge, given all answers, and the log of how likely these are.

    Of each range and unevenness: forth over the edges, to the last one, where it is 0; and back.
    """
    mean, variance, likely = (np.zeros_like(ranges) for _ in range(3))
    means, after, before = [], [], []
    last = np.zeros(at.shape[1])
    for place, answer in zip(at, told, strict=True):
        ahead = variance + spread * (place - last)
        off = answer - ranges * (place - share) - mean
        whole = ahead + noise
        likely = likely - (np.log(whole) + off**2 / whole) / 2
        mean, variance, last = mean + ahead / whole * off, ahead * (noise / whole), place
        means.append(mean)
        after.append(variance)
        before.append(ahead)
    ahead = variance + spread * (1 - last)
    likely = likely - (np.log(ahead) + mean**2 / ahead) / 2
    bends = [np.zeros_like(mean)]
    for middle, known, next_ in zip(
        reversed(means), reversed(after), [ahead, *reversed(before[1:])], strict=True
    ):
        bends.append(middle + known / next_ * (bends[-1] - middle))
    return bends[:0:-1], likely


def _zero(at: Doubles, curve: Doubles) -> Doubles:
    """Where the ascending form of the curve crosses 0, as a part of the way between the ends."""
    places = np.vstack([np.zeros(at.shape[1]), at, np.ones(at.shape[1])])
    up = np.maximum.accumulate(curve, axis=0)
    down = np.minimum.accumulate(curve[::-1], axis=0)[::-1]
    ascending = (up + down) / 2
    upper = np.clip((ascending < 0).sum(axis=0), 1, len(places) - 1)
    column = np.arange(at.shape[1])
    below, above = ascending[upper - 1, column], ascending[upper, column]
    low, high = places[upper - 1, column], places[upper, column]
    rise = above - below
    inside = np.where(rise > 0, -below / np.where(rise > 0, rise, 1), 0.5)
    return np.asarray(low + np.clip(inside, 0, 1) * (high - low), dtype=np.float64)
