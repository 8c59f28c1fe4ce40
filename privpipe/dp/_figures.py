"""Figures and the intervals beside them, from noisy integers alone.

All is post-processing: it costs nothing, and may be done again. An interval tells of the noise,
and not of the sample or of rows that the bounds cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privpipe.dp._exact import Written
from privpipe.dp._mechanisms import Mechanism
from privpipe.dp._noise import Int64s
from privpipe.dp._sensitivity import INT64_MAX

__all__ = ["Figures", "Interval", "interval", "non_negative"]

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Ends of int64, both inside, one pair for each noisy value."""

    low: Int64s
    high: Int64s


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Derived doubles, one for each group, and the ends between which the exact one lies."""

    value: Doubles
    low: Doubles
    high: Doubles


def non_negative(noisy: Int64s) -> Int64s:
    """Noisy values with those below 0 shown as 0: nearer to a count, and no longer unbiased."""
    return np.maximum(noisy, 0)


def interval(
    noisy: Int64s,
    mechanism: Mechanism,
    level: Written = "0.95",
    *,
    counts: bool = False,
    parts: int = 1,
) -> Interval:
    """Where the exact values lie with a chance of `level`, each for itself.

    The chance is over all groups: of the keys that a threshold let show, more stand above their
    exact count than below. `counts` says that they are no less than 0, and `parts` of how many
    noisy values each is the sum: then the ends are wider than they need be. A noisy value at an end
    of 64 bits was saturated, and its interval reaches to that end.

    Raises: `BudgetError` for a level outside (0, 1).
    """
    width = min(mechanism.half_width(level, parts), INT64_MAX)
    least, most = np.int64(-INT64_MAX - 1), np.int64(INT64_MAX)
    below = np.maximum(noisy, least + width) - width
    above = np.minimum(noisy, most - width) + width
    # saturated: the noisy value itself would lie further out
    below = np.where(noisy == least, least, below)
    above = np.where(noisy == most, most, above)
    if counts:
        return Interval(low=np.maximum(below, 0), high=np.maximum(above, 0))
    return Interval(low=below, high=above)
