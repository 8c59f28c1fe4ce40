"""Sorting rows by a key of three integers into runs: by one mixed integer, which is quick, and by
the key itself in the rare case that two keys mix to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Triples", "first_in_runs", "mixed", "runs_of", "within_runs"]

Int64s = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]
Which = npt.NDArray[np.bool_] | Places

_FACTORS = tuple(
    np.uint64(each) for each in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
)


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


def mixed(key: Triples) -> npt.NDArray[np.uint64]:
    """One integer of each key, by the finish of SplitMix64; equal keys give equal ones."""
    parts = (key.first, key.second, key.group)
    state = np.zeros(len(key.group), dtype=np.uint64)
    for part, factor in zip(parts, _FACTORS, strict=True):
        state ^= part.view(np.uint64) * factor
        state ^= state >> np.uint64(30)
        state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)


def runs_of(key: Triples, by: Sequence[Int64s] = ()) -> tuple[Places, Places]:
    """An order in which equal keys stand together, and where each run begins in it.

    Within a run, rows stand in the order of `by`, the first of which counts most.
    """
    if not len(key.group):
        nothing = np.zeros(0, dtype=np.intp)
        return nothing, nothing
    code = mixed(key)
    order = np.lexsort((*reversed(by), code)) if by else np.argsort(code)
    new = _begins(order, code)
    differs = _begins(order, key.first, key.second, key.group)
    if (new != differs).any():
        order = np.lexsort((*reversed(by), key.group, key.second, key.first))
        new = _begins(order, key.first, key.second, key.group)
    return order, np.flatnonzero(new)


def _begins(order: Places, *keys: npt.NDArray[np.int64] | npt.NDArray[np.uint64]) -> Which:
    new = np.zeros(len(order), dtype=np.bool_)
    new[0] = True
    for key in keys:
        sorted_key = key[order]
        new[1:] |= sorted_key[1:] != sorted_key[:-1]
    return new


def within_runs(starts: Places, count: int) -> Places:
    """The place of each of `count` rows in its run, from 0 on."""
    lengths = np.diff(np.append(starts, count))
    return np.arange(count) - np.repeat(starts, lengths)


def first_in_runs(marks: npt.NDArray[np.bool_], starts: Places) -> npt.NDArray[np.bool_]:
    """For each row, whether any row of its run is marked."""
    if not len(starts):
        return marks
    any_marked = np.logical_or.reduceat(marks, starts)
    return np.repeat(any_marked, np.diff(np.append(starts, len(marks))))
