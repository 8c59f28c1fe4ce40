"""Strict Mondrian on the rows of one partition, as arrays of ranks. No Spark.

Source: LeFevre, DeWitt and Ramakrishnan, Mondrian Multidimensional K-Anonymity, ICDE 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privpipe.spark.risk._closeness import Distribution, Ints

__all__ = ["Block", "Rules", "classes", "median_cut"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What both sides of a cut must have: `k` rows, and in each sensitive column so many distinct
    values and so small a distance from the whole table, which `spreads` tell."""

    k: int
    diversity: int = 1
    closeness: float = 1.0
    spreads: tuple[Distribution, ...] = ()

    @property
    def look_inside(self) -> bool:
        """Whether the values of sensitive columns count."""
        return self.diversity > 1 or self.closeness < 1

    def hold(self, spread: Distribution, ranks: Ints, counts: Ints) -> bool:
        """Whether a class of so many rows of each rank is diverse and close enough."""
        distinct, inverse = np.unique(ranks, return_inverse=True)
        if len(distinct) < self.diversity:
            return False
        if self.closeness >= 1:
            return True
        sums = np.bincount(inverse, weights=counts).astype(np.int64)
        return spread.distance(distinct, sums) <= self.closeness + 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Distinct rows: a rank and a place from 0 to 1 for each column, a rank for each sensitive one,
    and how many rows of the table each stands for."""

    ranks: tuple[Ints, ...]
    places: tuple[Floats, ...]
    sensitive: tuple[Ints, ...]
    counts: Ints

    def part(self, mask: Mask | Ints) -> Block:
        """Some of the rows."""
        return Block(
            ranks=tuple(each[mask] for each in self.ranks),
            places=tuple(each[mask] for each in self.places),
            sensitive=tuple(each[mask] for each in self.sensitive),
            counts=self.counts[mask],
        )

    def holds(self, rules: Rules) -> bool:
        """Whether these rows may be a class."""
        if self.counts.sum() < rules.k:
            return False
        return not rules.look_inside or all(
            rules.hold(spread, ranks, self.counts)
            for spread, ranks in zip(rules.spreads, self.sensitive, strict=True)
        )


def median_cut(ranks: Ints, counts: Ints) -> tuple[int, int] | None:
    """The rank after which the two sides are nearest to halves, the lower of two, and the rows of
    the smaller side; None where all ranks are one.

    Where this cut leaves a side of fewer than k rows, every other one does.

    >>> median_cut(np.array([3, 1, 1, 7]), np.array([1, 2, 2, 4]))
    (1, 4)
    """
    distinct, inverse = np.unique(ranks, return_inverse=True)
    if len(distinct) < 2:
        return None
    sums = np.bincount(inverse, weights=counts).astype(np.int64)
    below = np.cumsum(sums)[:-1]
    total = int(counts.sum())
    at = int(np.argmin(np.abs(2 * below - total)))
    return int(distinct[at]), min(int(below[at]), total - int(below[at]))


def classes(block: Block, rules: Rules) -> Ints:
    """The class of each row, counted from 0: cut until no cut is allowed."""
    found = np.zeros(len(block.counts), np.int64)
    waiting = [np.arange(len(block.counts))]
    done = 0
    while waiting:
        rows = waiting.pop()
        own = block.part(rows)
        left = _left(own, rules)
        if left is None:
            found[rows] = done
            done += 1
        else:
            waiting += [rows[~left], rows[left]]
    return found


def _left(own: Block, rules: Rules) -> Mask | None:
    """Which rows go left, by the widest column that has an allowed cut; None where none has."""
    for at in _widest(own.places):
        cut = median_cut(own.ranks[at], own.counts)
        if cut is None or cut[1] < rules.k:
            continue
        left = own.ranks[at] <= cut[0]
        if not rules.look_inside or (own.part(left).holds(rules) and own.part(~left).holds(rules)):
            return left
    return None


def _widest(places: Sequence[Floats]) -> list[int]:
    widths = [float(each.max() - each.min()) for each in places]
    return sorted(range(len(widths)), key=lambda at: (-widths[at], at))
