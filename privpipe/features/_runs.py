"""Sorting rows by a key of three integers into runs: by one integer of it, which is quick, and by
the key itself in the rare case that the one does not tell two keys apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Sorted", "Triples", "mixed", "sort_units", "within_runs"]

Int64s = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]
Marks = npt.NDArray[np.bool_]
Which = Marks | Places

_FACTORS = tuple(
    np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
)
_BITS_OF_UNIT = np.uint64(40)
_OF_UNIT = np.uint64((1 << 64) - (1 << 24))


@dataclass(frozen=True, slots=True, kw_only=True)
class Triples:
    """A key in three vectors of one length: a unit's two hashes, and a group."""

    first: Int64s
    second: Int64s
    group: Int64s

    def joined(self, more: Triples) -> Triples:
        """These rows, and `more` behind them."""
        return Triples(
            first=np.concatenate([self.first, more.first]),
            second=np.concatenate([self.second, more.second]),
            group=np.concatenate([self.group, more.group]),
        )

    def only(self, which: Which) -> Triples:
        """The rows that `which` names."""
        return Triples(first=self.first[which], second=self.second[which], group=self.group[which])

    @property
    def units(self) -> Marks:
        """Where a row is of another unit than the one before."""
        return _changes(self.first) | _changes(self.second)

    @property
    def pairs(self) -> Marks:
        """Where it is of another unit or group."""
        return self.units | _changes(self.group)


def mixed(*parts: Int64s) -> npt.NDArray[np.uint64]:
    """One integer of up to three, by the finish of SplitMix64; equal ones give equal ones."""
    state = np.zeros(len(parts[0]), dtype=np.uint64)
    for part, factor in zip(parts, _FACTORS, strict=False):
        state ^= part.view(np.uint64) * factor
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Rows of one unit together, and within it those of one group; `order` says which they were.

    `units` and `pairs` mark where another unit, and another unit or group, begins.
    """

    order: Places
    key: Triples
    units: Marks
    pairs: Marks


def sort_units(key: Triples, rank: npt.NDArray[np.uint64]) -> Sorted:
    """Sorts rows by unit, and within a unit by the `rank` of its groups, then by group.

    By one integer: 40 bits of the unit's hash and 24 of the rank. Where these are alike of what is
    not, the rows about it are sorted anew by all that they have.
    """
    code = (key.first.view(np.uint64) & _OF_UNIT) | (rank >> _BITS_OF_UNIT)
    order = np.argsort(code)
    code = code[order]
    found = _marked(key, order)
    alike = _changes(code & _OF_UNIT)
    wrong = np.flatnonzero((alike != found.units) | (_changes(code) != found.pairs))
    if not len(wrong):
        return found
    runs = np.cumsum(alike)
    rows = np.flatnonzero(np.isin(runs, runs[wrong]))
    which = order[rows]
    again = (key.group[which], rank[which], key.second[which], key.first[which], runs[rows])
    order[rows] = which[np.lexsort(again)]
    return _marked(key, order)


def _marked(key: Triples, order: Places) -> Sorted:
    rows = key.only(order)
    units = rows.units
    return Sorted(order=order, key=rows, units=units, pairs=units | _changes(rows.group))


def _changes(values: npt.NDArray[np.int64] | npt.NDArray[np.uint64]) -> Marks:
    """Where a value is another than the one before; the first one is."""
    new = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    return new


def within_runs(begins: Marks) -> Places:
    """The place of each row in its run, from 0 on; a run begins at each mark."""
    starts = np.flatnonzero(begins)
    lengths = np.diff(np.append(starts, len(begins)))
    return np.arange(len(begins)) - np.repeat(starts, lengths)
