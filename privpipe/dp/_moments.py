"""Means and variances from noisy counts and sums of centred values.

Values are centred on the middle of their range, which halves what one row can add to a sum; so
that they stay integers, they are doubled. With u the units of a `FixedPoint` from lo to hi, and w
= hi - lo: c = 2 u - lo - hi lies in [-w, w], and 2 c^2 - w^2 in [-w^2, w^2].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from privpipe.dp._calibration import Query
from privpipe.dp._exact import Written, parse_exact
from privpipe.dp._figures import Doubles, Figures, interval
from privpipe.dp._fixed import FixedPoint
from privpipe.dp._mechanisms import Mechanism
from privpipe.dp._noise import Int64s
from privpipe.dp._sensitivity import INT64_MAX, Bounds
from privpipe.errors import FixedOverflow, UsageError

__all__ = ["Moments"]

Valid = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """The mean, or the mean and variance, of a clamped value in each group.

    The `queries` are, in order: counts of rows that have a value, sums of `centred`, and for the
    variance sums of `squares`. They share the budget evenly: the error of a mean is about that of
    the sum plus that of the count times the mean's distance from the middle, which is up to w.

    Raises: `FixedOverflow` where a square leaves 64 bits.
    """

    fixed: FixedPoint
    bounds: Bounds
    variance: bool = False

    def __post_init__(self) -> None:
        if self.variance and 2 * self._width**2 > INT64_MAX:
            raise FixedOverflow("squares that 64 bits do not hold", hint="a coarser step")

    def queries(self, noise: Literal["laplace", "gaussian"] = "gaussian") -> tuple[Query, ...]:
        """What a release draws noise for, in order."""
        width = self._width
        sums = [width, width**2] if self.variance else [width]
        found = [self.bounds.counts()]
        found += [self.bounds.sums(low=-each, high=each) for each in sums]
        return tuple(Query(sensitivity=each, noise=noise) for each in found)

    @property
    def largest(self) -> int:
        """What one row adds to a sum at most, in units of that sum: see `check_sum`."""
        return self._width**2 if self.variance else self._width

    def centred(self, units: Int64s, valid: Valid) -> Int64s:
        """Row by row, 2 u - lo - hi; 0 where there is no value."""
        return np.where(valid, 2 * units - self._ends, 0)

    def squares(self, units: Int64s, valid: Valid) -> Int64s:
        """Row by row, 2 c^2 - w^2; 0 where there is no value."""
        return np.where(valid, 2 * self.centred(units, valid) ** 2 - self._width**2, 0)

    def figures(
        self, noisy: Sequence[Int64s], mechanisms: Sequence[Mechanism], level: Written = "0.95"
    ) -> tuple[Figures, ...]:
        """The mean, and the variance (over n) where it is wanted, in each group, in the value's
        own measure.

        Input: the noisy results of `queries` and what drew them, in order. Intervals hold with a
        chance of at least `level` for each figure: the results divide what may fail. Where the
        count may be 0 they are the whole range.

        Raises: `UsageError` for another number of results.
        """
        wanted = 3 if self.variance else 2
        if len(noisy) != wanted or len(mechanisms) != wanted:
            raise UsageError(f"moments are made of {wanted} noisy results")
        mean = self._mean(noisy, mechanisms, level)
        if not self.variance:
            return (self._told(mean),)
        width, quarter = float(self._width), float(self._width) ** 2 / 4
        inner = self._level(level, 3)
        centre = _ratio(noisy[1], noisy[0], mechanisms[1], mechanisms[0], inner, width)
        square = _ratio(noisy[2], noisy[0], mechanisms[2], mechanisms[0], inner, width**2)
        farthest = np.maximum(centre.low**2, centre.high**2)
        nearest = np.clip(0.0, centre.low, centre.high) ** 2
        spread = [
            np.clip(((mean_square + width**2) / 2 - squared_mean) / 4, 0, quarter)
            for mean_square, squared_mean in (
                (square.value, centre.value**2),
                (square.low, farthest),
                (square.high, nearest),
            )
        ]
        value, low, high = (self.fixed.doubles(self.fixed.doubles(each)) for each in spread)
        return self._told(mean), Figures(value=value, low=low, high=high)

    def _mean(
        self, noisy: Sequence[Int64s], mechanisms: Sequence[Mechanism], level: Written
    ) -> Figures:
        """In doubled units from the middle."""
        inner = self._level(level, 2)
        width = float(self._width)
        return _ratio(noisy[1], noisy[0], mechanisms[1], mechanisms[0], inner, width)

    def _told(self, mean: Figures) -> Figures:
        value, low, high = (
            np.clip(
                self.fixed.doubles((each + self._ends) / 2),
                float(self.fixed.low),
                float(self.fixed.high),
            )
            for each in (mean.value, mean.low, mean.high)
        )
        return Figures(value=value, low=low, high=high)

    @staticmethod
    def _level(level: Written, results: int) -> Written:
        return 1 - (1 - parse_exact(level)) / results

    @property
    def _ends(self) -> int:
        return self.fixed.low_units + self.fixed.high_units

    @property
    def _width(self) -> int:
        return self.fixed.high_units - self.fixed.low_units


def _ratio(
    sums: Int64s,
    counts: Int64s,
    of_sums: Mechanism,
    of_counts: Mechanism,
    level: Written,
    largest: float,
) -> Figures:
    """Sum over count, within [-largest, largest]."""
    tops, rows = interval(sums, of_sums, level), interval(counts, of_counts, level)
    some = rows.low >= 1
    fewest: Doubles = np.maximum(rows.low, 1).astype(np.float64)
    most: Doubles = np.maximum(rows.high, 1).astype(np.float64)
    low = np.where(tops.low < 0, tops.low / fewest, tops.low / most)
    high = np.where(tops.high < 0, tops.high / most, tops.high / fewest)
    return Figures(
        value=np.clip(sums / np.maximum(counts, 1), -largest, largest),
        low=np.where(some, np.clip(low, -largest, largest), -largest),
        high=np.where(some, np.clip(high, -largest, largest), largest),
    )
