"""How far a class's values are from the table's: t-closeness, over counts by rank. No Spark."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["Distribution", "Ints"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How often each value of a column occurs in the whole table, by its rank among them.

    `ordered` asks for the distance of ordered values: mass moves from rank to rank, and the way
    from the least to the greatest is 1; else every value is as far from every other, and the
    distance is half of the differences (total variation). Source: Li, Li and Venkatasubramanian,
    t-Closeness, ICDE 2007, sections 4.1 and 4.2.
    """

    counts: Ints
    ordered: bool

    @cached_property
    def rows(self) -> int:
        """Of the whole table."""
        return int(self.counts.sum())

    @cached_property
    def below(self) -> Ints:
        """At `i`, how many rows have one of the first `i + 1` values."""
        return np.cumsum(self.counts, dtype=np.int64)

    @cached_property
    def _area(self) -> Ints:
        # One longer, so that any run of ranks is a difference of two.
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.below, dtype=np.int64)])

    def distance(self, ranks: Ints, counts: Ints) -> float:
        """From a class that has so many rows of each of these ranks, which ascend.

        >>> nine = Distribution(counts=np.ones(9, np.int64), ordered=True)
        >>> round(nine.distance(np.array([0, 1, 2]), np.ones(3, np.int64)), 3)
        0.375
        >>> round(nine.distance(np.array([3, 5, 8]), np.ones(3, np.int64)), 3)
        0.167
        """
        own = counts / counts.sum()
        if not self.ordered:
            all_own = self.counts[ranks] / self.rows
            return float((np.abs(own - all_own) - all_own).sum() + 1) / 2
        if len(self.counts) < 2:
            return 0.0
        share = np.cumsum(counts) / counts.sum()
        ends = np.append(ranks[1:], len(self.counts))
        return float(self.runs(ranks, ends, share).sum() + self.heads(ranks[:1])[0])

    def runs(self, starts: Ints, ends: Ints, shares: Floats) -> Floats:
        """What the ranks from `starts` to before `ends` add, where the class has this share of its
        rows at them or below."""
        wanted = shares * self.rows
        turn = np.clip(np.searchsorted(self.below, wanted), starts, ends)
        under = (turn - starts) * wanted - (self._area[turn] - self._area[starts])
        over = (self._area[ends] - self._area[turn]) - (ends - turn) * wanted
        found: Floats = (under + over) / self._whole
        return found

    def heads(self, firsts: Ints) -> Floats:
        """What the ranks before the first one of a class add."""
        found: Floats = self._area[firsts] / self._whole
        return found

    @property
    def _whole(self) -> float:
        return float(self.rows) * max(len(self.counts) - 1, 1)
