"""Quantiles by bisection: a few noisy comparisons for each, in place of a whole noisy histogram.

At an edge m, the quantile a / d lies to the right where s(m) = (d - a) left - a right is below 0:
`left` and `right` are the rows on either side. Each step asks for s at the middle of what is left
of the range, noisy; its sign says in which half to go on. With B bins that is ceil(log2 B) numbers
whose noise grows with the root of so many, where a histogram's adds up over B / 4 bins.

Which edge is asked next depends on the noisy answers so far. How far a unit moves an answer does
not: each row moves s by at most max(a, d - a), wherever m lies. So the steps are one vector of
that sensitivity in each step, drawn step by step: Laplace and Gaussian noise compose the same
where queries are chosen by earlier answers, since each answer's loss is bounded by its own
distribution whatever came before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from privpipe.dp._exact import Written, parse_exact
from privpipe.dp._figures import Doubles, Figures
from privpipe.dp._mechanisms import Mechanism
from privpipe.dp._noise import Int64s, add_noise
from privpipe.dp._sensitivity import Bounds, Sensitivity
from privpipe.errors import BudgetError, UsageError

__all__ = ["Bisection"]

Places = npt.NDArray[np.int64]
_MOST_PARTS = 1000  # of the common denominator: a count of rows times it stays in 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """The quantiles `at` of values in `bins` bins.

    Raises: `BudgetError` for fewer than two bins, no quantile, one outside (0, 1), and quantiles
    without a common denominator of at most 1000.
    """

    bins: int
    at: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if self.bins < 2 or not self.at or not all(0 < each < 1 for each in self.at):
            raise BudgetError("a bisection is of two bins or more, at quantiles in (0, 1)")
        if self.parts > _MOST_PARTS:
            raise BudgetError("quantiles too fine for a bisection", hint="at most three decimals")

    @property
    def parts(self) -> int:
        """The common denominator: an answer is in so many parts of a row."""
        return math.lcm(*(each.denominator for each in self.at))

    @property
    def steps(self) -> int:
        """How often each quantile asks."""
        return (self.bins - 1).bit_length()

    def sensitivity(self, bounds: Bounds) -> Sensitivity:
        """How far one unit moves the answers, in parts of a row."""
        moves = [int(max(each, 1 - each) * self.parts) * bounds.rows for each in self.at]
        return Sensitivity(
            l0=bounds.groups * self.steps * len(moves),
            l1=bounds.groups * self.steps * sum(moves),
            l2_squared=bounds.groups * self.steps * sum(each**2 for each in moves),
            linf=max(moves),
        )

    def draw(self, exact: Int64s, mechanism: Mechanism) -> Int64s:
        """The noisy answers: a row a group, and for each quantile a column a step.

        Input: exact counts, a row a group and a column a bin. A second call is a second release.
        Raises: as `add_noise`, and `UsageError` for another number of bins.
        """
        answers = np.zeros((len(exact), len(self.at) * self.steps), dtype=np.int64)
        for column, places in self._walk(answers):
            asked = self._sides(exact, column, places)
            answers[:, column] = add_noise(asked, mechanism)
        return answers

    def asked(self, answers: Int64s, exact: Int64s) -> Int64s:
        """What the answers would be on `exact` without noise, at the edges that were asked."""
        told = np.zeros_like(answers)
        for column, places in self._walk(answers):
            told[:, column] = self._sides(exact, column, places)
        return told

    def figures(
        self, answers: Int64s, edges: npt.ArrayLike, mechanism: Mechanism, level: Written = "0.95"
    ) -> tuple[Figures, ...]:
        """The quantiles in each group, in the order of `at`, each with an interval.

        Input: what `draw` gave, and drew it; the edges of the bins, in the value's own measure.
        Output: between the two edges that are left, where the line through their answers crosses 0.
        The ends of an interval are edges that were asked, and hold at least with a chance of
        `level` in each group; where no answer is sure enough they are the ends of the range.

        Raises: `UsageError` for edges that do not fit, `BudgetError` for a level outside (0, 1).
        """
        cuts: Doubles = np.asarray(edges, dtype=np.float64)
        if cuts.shape != (self.bins + 1,) or answers.shape[1] != len(self.at) * self.steps:
            raise UsageError("answers of another bisection")
        # to one side, and over all steps
        sure = 1 - 2 * (1 - parse_exact(level)) / self.steps
        reach = mechanism.half_width(max(sure, Fraction(1, 2)))
        found = []
        walk = list(self._walk(answers))
        for quantile in range(len(self.at)):
            part = slice(quantile * self.steps, (quantile + 1) * self.steps)
            places = np.column_stack([each for _, each in walk[part]])
            found.append(self._figures(answers[:, part], places, cuts, reach))
        return tuple(found)

    def _figures(self, answers: Int64s, places: Places, cuts: Doubles, reach: int) -> Figures:
        groups = len(answers)
        low, high = np.zeros(groups, np.int64), np.full(groups, self.bins)
        below, above = np.full(groups, np.nan), np.full(groups, np.nan)
        first, last = low.copy(), high.copy()
        for step in range(self.steps):
            place, answer = places[:, step], answers[:, step].astype(np.float64)
            left = self._goes_left(low, high, answers[:, step])
            right = ~left & (high - low > 1)
            above = np.where(left, answer, above)
            below = np.where(right, answer, below)
            high, low = np.where(left, place, high), np.where(right, place, low)
            first = np.where(answer < -reach, np.maximum(first, place), first)
            last = np.where(answer >= reach, np.minimum(last, place), last)
        crossed = (0 - below) / (above - below)
        inside = np.where(np.isfinite(crossed), crossed, 0.5)
        value = cuts[low] + np.clip(inside, 0, 1) * (cuts[high] - cuts[low])
        ends = cuts[np.minimum(first, last)], cuts[np.maximum(first, last)]
        return Figures(value=np.clip(value, *ends), low=ends[0], high=ends[1])

    def _walk(self, answers: Int64s) -> Iterator[tuple[int, Places]]:
        """Each column and the edges that it asks for, from the answers in the columns before."""
        for quantile in range(len(self.at)):
            low = np.zeros(len(answers), dtype=np.int64)
            high = np.full(len(answers), self.bins, dtype=np.int64)
            for step in range(self.steps):
                column = quantile * self.steps + step
                places = np.maximum((low + high) // 2, 1)
                yield column, places
                left = self._goes_left(low, high, answers[:, column])
                right = ~left & (high - low > 1)
                high, low = np.where(left, places, high), np.where(right, places, low)

    @staticmethod
    def _goes_left(low: Places, high: Places, answer: Int64s) -> npt.NDArray[np.bool_]:
        """A bin that is alone stays so: what is asked then is charged, and changes nothing."""
        return np.asarray((answer >= 0) & (high - low > 1))

    def _sides(self, exact: Int64s, column: int, places: Places) -> Int64s:
        if exact.ndim != 2 or exact.shape[1] != self.bins:
            raise UsageError("a bisection is of counts, a row a group and a column a bin")
        share = self.at[column // self.steps]
        running = np.cumsum(exact, axis=1)
        left = running[np.arange(len(exact)), places - 1]
        return np.asarray(self.parts * left - int(share * self.parts) * running[:, -1], np.int64)
