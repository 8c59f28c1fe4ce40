"""Quantiles from one noisy histogram: any number of them, for the cost of the histogram."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from privpipe.dp._exact import Written, parse_exact
from privpipe.dp._figures import Doubles, Figures
from privpipe.dp._mechanisms import Mechanism
from privpipe.dp._noise import Int64s
from privpipe.dp._tails import laplace_log_moment
from privpipe.errors import BudgetError, UsageError

__all__ = ["quantile"]


def quantile(
    noisy: Int64s,
    edges: npt.ArrayLike,
    mechanism: Mechanism,
    at: Written,
    level: Written = "0.95",
) -> Figures:
    """The quantile `at` in each group, and an interval for it.

    Input: noisy counts, a row a group and a column a bin; the edges of the bins, one more than
    bins, ascending, in the value's own measure; what drew the noise. Output: the least value that
    `at` of the rows do not exceed, interpolated inside its bin over running counts that were made
    to ascend; the middle of the range where the noisy counts sum to
    no more than 0; and brought within the interval. The interval's ends are edges, and
    hold at least with a chance of `level` in each group, by Chernoff's bound over all edges.

    Raises: `UsageError` for edges that do not ascend or fit, `BudgetError` for `at` or a level
    outside (0, 1).
    """
    cuts: Doubles = np.asarray(edges, dtype=np.float64)
    share, sure = parse_exact(at), parse_exact(level)
    if not (0 < share < 1 and 0 < sure < 1):
        raise BudgetError("a quantile and a confidence level lie between 0 and 1")
    if noisy.ndim != 2 or noisy.shape[1] < 1 or cuts.shape != (noisy.shape[1] + 1,):
        raise UsageError("a histogram has a row a group, and one more edge than bins")
    if not (np.isfinite(cuts).all() and (np.diff(cuts) > 0).all()):
        raise UsageError("edges of a histogram are finite and ascend")
    running: Doubles = np.zeros((noisy.shape[0], len(cuts)))
    np.cumsum(noisy, axis=1, dtype=np.float64, out=running[:, 1:])
    q = float(share)
    # below 0 left of the quantile: (1 - q) of the rows to the left, less q of those to the right
    side = running - q * running[:, -1:]
    reach = _reach(mechanism, q, noisy.shape[1], float(1 - sure))
    certainly_left = side[:, 1:-1] + reach < 0
    certainly_right = side[:, 1:-1] - reach >= 0
    groups, bins = noisy.shape
    ends = np.ones((groups, 1), dtype=np.bool_)  # the quantile lies between the outer edges
    right_of = np.hstack([ends, certainly_left])
    left_of = np.hstack([certainly_right, ends])
    last = bins - 1 - np.argmax(right_of[:, ::-1], axis=1)
    first = 1 + np.argmax(left_of, axis=1)
    value = _crossing(running, cuts, q)
    low = np.minimum(cuts[last], cuts[first])
    high = np.maximum(cuts[last], cuts[first])
    return Figures(value=np.clip(value, low, high), low=low, high=high)


def _crossing(running: Doubles, cuts: Doubles, q: float) -> Doubles:
    """Where the ascending form of the running counts reaches q of their end."""
    up = np.maximum.accumulate(running, axis=1)
    down = np.minimum.accumulate(running[:, ::-1], axis=1)[:, ::-1]
    ascending = np.clip((up + down) / 2, 0, None)
    ascending -= ascending[:, :1]
    target = q * ascending[:, -1]
    at = np.clip((ascending < target[:, None]).sum(axis=1), 1, len(cuts) - 1)
    rows = np.arange(len(running))
    before, after = ascending[rows, at - 1], ascending[rows, at]
    inside = (target - before) / np.where(after > before, after - before, 1.0)
    value = cuts[at - 1] + np.clip(inside, 0, 1) * (cuts[at] - cuts[at - 1])
    middle = (cuts[0] + cuts[-1]) / 2
    return np.asarray(np.where(running[:, -1] > 0, value, middle), dtype=np.float64)


def _reach(mechanism: Mechanism, q: float, bins: int, failure: float) -> Doubles:
    """How far the noise in `side` goes at each inner edge, to one side, over all of them.

    A sum of weighted noises exceeds t with a chance of at most exp(K(s) - s t), K its log moment.
    """
    left = np.arange(1, bins, dtype=np.float64)
    each = math.log(2 * max(bins - 1, 1) / failure)
    scale = float(mechanism.scale)
    if mechanism.noise == "gaussian":
        squares = (1 - q) ** 2 * left + q**2 * (bins - left)
        return np.asarray(scale * np.sqrt(2 * each * squares), dtype=np.float64)
    s = np.geomspace(1e-4, 0.999, 400) / (scale * max(q, 1 - q))
    log_moment = left[:, None] * laplace_log_moment(scale, (1 - q) * s) + (
        bins - left[:, None]
    ) * laplace_log_moment(scale, q * s)
    return np.asarray(((log_moment + each) / s).min(axis=1), dtype=np.float64)
