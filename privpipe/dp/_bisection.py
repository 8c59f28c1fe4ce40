"""Quantiles by bisection: a few noisy comparisons for each, in place of a whole noisy histogram.

At an edge m, the quantile a / d lies to the right where s(m) = (d - a) left - a right is below 0:
`left` and `right` are the rows on either side. Each step asks for s at one edge, noisy: the first
two halve the range by the answer's sign, and the others ask where all answers so far let s cross 0
(`privpipe.dp._crossing`; the third half-way there), but not where too much would be left for the
rest to halve. So answers gather where they tell most, and without noise the last one has found the
bin (probabilistic bisection; Waeber, Frazier and Henderson 2013). With B bins that is ceil(log2 B)
numbers whose noise grows with the root of so many, where a histogram's adds up over B / 4 bins.

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

from privpipe.dp._crossing import crossing
from privpipe.dp._exact import Written, parse_exact
from privpipe.dp._figures import Doubles, Figures
from privpipe.dp._mechanisms import Mechanism
from privpipe.dp._noise import Int64s, add_noise
from privpipe.dp._sensitivity import Bounds, Sensitivity
from privpipe.errors import BudgetError, UsageError

__all__ = ["Bisection"]

Places = npt.NDArray[np.int64]
_MOST_PARTS = 1000  # of the common denominator: a count of rows times it stays in 64 bits
_HALVED = 2  # steps by the answers' signs alone, before all that they tell is used
_SURE = Fraction(95, 100)  # that no sign is taken wrongly: if one is, an edge is ill chosen


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

    @property
    def gathered(self) -> float:
        """What part of one answer's deviation a rank errs by: of all steps about half ask near it.

        Measured for smooth shapes, where a bin holds less than the noise: 0.4 to 0.6 for 7 steps.
        """
        return math.sqrt(2 / max(self.steps, 2))

    def draw(self, exact: Int64s, mechanism: Mechanism) -> Int64s:
        """The noisy answers: a row a group, and for each quantile a column a step.

        Input: exact counts, a row a group and a column a bin. A second call is a second release.
        Raises: as `add_noise`, and `UsageError` for another number of bins.
        """
        answers = np.zeros((len(exact), len(self.at) * self.steps), dtype=np.int64)
        for column, places in self._walk(answers, mechanism):
            asked = self._sides(exact, column, places)
            answers[:, column] = add_noise(asked, mechanism)
        return answers

    def asked(self, answers: Int64s, exact: Int64s, mechanism: Mechanism) -> Int64s:
        """What the answers would be on `exact` without noise, at the edges that were asked."""
        told = np.zeros_like(answers)
        for column, places in self._walk(answers, mechanism):
            told[:, column] = self._sides(exact, column, places)
        return told

    def figures(
        self, answers: Int64s, edges: npt.ArrayLike, mechanism: Mechanism, level: Written = "0.95"
    ) -> tuple[Figures, ...]:
        """The quantiles in each group, in the order of `at`, each with an interval.

        Input: what `draw` gave; the edges of the bins, in the value's own measure; what drew the
        noise. Output: where all answers let s cross 0, on a line between edges, brought
        within the interval. It is nearer to the middle of the range the less a group's rows stand
        out from the noise. The ends of an interval are edges that were asked, and hold at least
        with a chance of `level` in each group; where no answer is sure enough they are the ends of
        the range.

        Raises: `UsageError` for edges that do not fit, `BudgetError` for a level outside (0, 1).
        """
        cuts: Doubles = np.asarray(edges, dtype=np.float64)
        if cuts.shape != (self.bins + 1,) or answers.shape[1] != len(self.at) * self.steps:
            raise UsageError("answers of another bisection")
        reach = self._reach(mechanism, parse_exact(level))
        found = []
        walk = [places for _, places in self._walk(answers, mechanism)]
        for quantile in range(len(self.at)):
            part = slice(quantile * self.steps, (quantile + 1) * self.steps)
            places, told = np.column_stack(walk[part]), answers[:, part]
            first, last = self._left(places, told, reach)
            ends = cuts[np.minimum(first, last)], cuts[np.maximum(first, last)]
            at = self._crossing(quantile, places, told, mechanism)
            value = np.interp(at, np.arange(len(cuts)), cuts)
            found.append(Figures(value=np.clip(value, *ends), low=ends[0], high=ends[1]))
        return tuple(found)

    def _walk(self, answers: Int64s, mechanism: Mechanism) -> Iterator[tuple[int, Places]]:
        """Each column and the edges that it asks for, from the answers in the columns before."""
        reach = self._reach(mechanism, _SURE)
        for quantile in range(len(self.at)):
            begin = quantile * self.steps
            asked = np.zeros((len(answers), 0), dtype=np.int64)
            low, high = np.zeros(len(answers), np.int64), np.full(len(answers), self.bins)
            for step in range(self.steps):
                told = answers[:, begin : begin + step]
                wanted = (low + high) // 2
                if step >= _HALVED:
                    crossed = self._crossing(quantile, asked, told, mechanism)
                    between = (crossed + wanted) / 2 if step == _HALVED else crossed
                    wanted = np.rint(between).astype(np.int64)
                left = self._left(asked, told, reach)
                places = self._within(wanted, *left, self.steps - step)
                yield begin + step, places
                asked = np.column_stack([asked, places])
                right = answers[:, begin + step] < 0
                low, high = np.where(right, places, low), np.where(right, high, places)

    def _crossing(
        self, quantile: int, places: Places, answers: Int64s, mechanism: Mechanism
    ) -> Doubles:
        share, deviation = float(self.at[quantile]), mechanism.deviation
        return crossing(places, answers, bins=self.bins, share=share, deviation=deviation)

    def _reach(self, mechanism: Mechanism, level: Fraction) -> int:
        """How far noise goes to one side, over all steps."""
        sure = 1 - 2 * (1 - level) / self.steps
        return mechanism.half_width(max(sure, Fraction(1, 2)))

    def _left(self, places: Places, answers: Int64s, reach: int) -> tuple[Places, Places]:
        """The edges between which the quantile lies, by the answers that are sure."""
        first = np.where(answers < -reach, places, 0).max(axis=1, initial=0)
        last = np.where(answers >= reach, places, self.bins).min(axis=1, initial=self.bins)
        return first, last

    def _within(self, places: Places, first: Places, last: Places, steps: int) -> Places:
        """`places` moved to inner edges of what is left, and to where the other `steps` but this
        one can still halve either side of it down to one bin, if so many can."""
        crossed = first >= last
        first, last = np.where(crossed, 0, first), np.where(crossed, self.bins, last)
        rest = 1 << (steps - 1)
        able = last - first <= 2 * rest
        low = np.where(able, np.maximum(first + 1, last - rest), first + 1)
        high = np.where(able, np.minimum(last - 1, first + rest), last - 1)
        # a bin that is alone has no inner edge, and one of its own is asked again
        inner = np.clip(places, np.minimum(low, high), np.maximum(low, high))
        return np.clip(inner, 1, self.bins - 1)

    def _sides(self, exact: Int64s, column: int, places: Places) -> Int64s:
        if exact.ndim != 2 or exact.shape[1] != self.bins:
            raise UsageError("a bisection is of counts, a row a group and a column a bin")
        share = self.at[column // self.steps]
        running = np.cumsum(exact, axis=1)
        left = running[np.arange(len(exact)), places - 1]
        return np.asarray(self.parts * left - int(share * self.parts) * running[:, -1], np.int64)
