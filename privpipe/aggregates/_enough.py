"""Figures that show a value of single rows only where enough units have it.

`k` units at least: a unit is what a second column names, or with `rows` each row by itself. They
are exact, and hide nobody from who knows the rest: the weaker thing beside `privpipe.dp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.aggregates._groups import Groups, Int64s, Mask
from privpipe.aggregates._histogram import bin_places
from privpipe.aggregates._listed import listed, opened
from privpipe.aggregates._numbers import check_number
from privpipe.aggregates._ordered import check_ordered, plain
from privpipe.aggregates._shared import Runs, distinct_units, pairs, repaired, runs_of, shown
from privpipe.errors import UsageError

__all__ = ["Enough", "SharedBins", "SharedExtreme", "SharedQuantile", "SharedTop"]


@dataclass(frozen=True, slots=True)
class Enough:
    """Whether there are at least `k` different values, nulls aside. Its partials are `k` values.

    >>> units = Enough(2).map(Groups([0, 0, 1, 1], 2), pa.array(["a", "b", "c", "c"]))
    >>> Enough(2).finish(units).to_pylist()
    [True, False]
    """

    dp: ClassVar[bool] = False

    k: int

    def __post_init__(self) -> None:
        _check(self.k)

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """The least `k` values of each group."""
        check_ordered(values.type, "enough")
        return self._least(listed(groups, values).lists())

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """The least `k` of all of them."""
        return self._least(listed(*opened(groups, partials)).lists())

    def finish(self, partials: pa.Array) -> pa.Array:
        """Whether they are `k`."""
        return pc.greater_equal(partials.value_lengths(), self.k)

    def _least(self, lists: pa.Array) -> pa.Array:
        lengths = np.diff(lists.offsets.to_numpy())
        place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, self.k))]).astype(np.int32)
        return pa.ListArray.from_arrays(
            pa.array(offsets), lists.flatten().filter(pa.array(place < self.k))
        )


@dataclass(frozen=True, slots=True)
class SharedTop:
    """The `most` frequent values that at least `k` units have, with their counts of rows.

    What is left of a group's rows is of no unit, or of `k` at least: else the last of the values
    is left out too, since rows that are known in all would tell of it. Partials grow with the
    number of different values, and have at most `k` units of each.
    """

    dp: ClassVar[bool] = False

    k: int
    most: int = 10
    rows: bool = False

    def __post_init__(self) -> None:
        _check(self.k)
        if self.most < 1:
            raise UsageError("the top has one value at least", where=f"most={self.most}")

    def map(self, groups: Groups, values: pa.Array, *units: pa.Array) -> pa.Array:
        """Each group's values and who has them."""
        check_ordered(values.type, "top")
        return pairs(groups, values, _units(units, rows=self.rows), self.k)

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Both put together."""
        return repaired(groups, partials, self.k, rows=self.rows)

    def finish(self, partials: pa.Array) -> pa.Array:
        """The values that may be shown."""
        runs = runs_of(partials, rows=self.rows)
        mask, place = shown(runs, self.k, self.most, rows=self.rows)
        chosen = np.flatnonzero(mask)
        chosen = chosen[np.lexsort((place[chosen], runs.group[chosen]))]
        items = pa.StructArray.from_arrays(
            [runs.values.take(pa.array(chosen)), pa.array(runs.counts[chosen])],
            names=["value", "count"],
        )
        offsets = np.zeros(len(partials) + 1, dtype=np.int32)
        np.cumsum(np.bincount(runs.group[chosen], minlength=len(partials)), out=offsets[1:])
        return pa.ListArray.from_arrays(pa.array(offsets), items)


@dataclass(frozen=True, slots=True)
class SharedBins:
    """Rows in each bin between `edges`, null where fewer than `k` units are in it; beyond the edges
    lie the outer bins, NaN nowhere. What is not shown is hidden as in `SharedTop`."""

    dp: ClassVar[bool] = False

    k: int
    edges: tuple[Fraction, ...]
    rows: bool = False

    def __post_init__(self) -> None:
        _check(self.k)
        _check_edges(self.edges)

    def map(self, groups: Groups, values: pa.Array, *units: pa.Array) -> pa.Array:
        """The bins of each group, and who is in them."""
        return pairs(groups, _bins(values, self.edges), _units(units, rows=self.rows), self.k)

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Both put together."""
        return repaired(groups, partials, self.k, rows=self.rows)

    def finish(self, partials: pa.Array) -> pa.Array:
        """The counts that may be shown."""
        runs = runs_of(partials, rows=self.rows)
        mask, _ = shown(runs, self.k, None, rows=self.rows)
        width = len(self.edges) - 1
        counts = np.zeros(len(partials) * width, dtype=np.int64)
        cell = runs.group[mask] * width + runs.values.filter(pa.array(mask)).to_numpy()
        counts[cell] = runs.counts[mask]
        hidden = np.ones(len(counts), dtype=np.bool_)
        hidden[cell] = False
        offsets = np.arange(len(partials) + 1, dtype=np.int32) * width
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(counts, mask=hidden))


@dataclass(frozen=True, slots=True)
class SharedQuantile:
    """The beginning of the bin in which each quantile lies, the least value that `at` of the rows
    do not exceed; bins are as in `SharedBins`.

    Quantiles cut a group's rows in parts; where some part is of a unit, and of fewer than `k`, or
    the bin that one lies in is of fewer, all of that group are null.
    """

    dp: ClassVar[bool] = False

    k: int
    edges: tuple[Fraction, ...]
    at: tuple[Fraction, ...]
    several: bool = False
    rows: bool = False

    def __post_init__(self) -> None:
        _check(self.k)
        _check_edges(self.edges)
        if not self.at or any(not 0 < at < 1 for at in self.at):
            raise UsageError("a quantile lies between 0 and 1", where=f"at={self.at}")

    def map(self, groups: Groups, values: pa.Array, *units: pa.Array) -> pa.Array:
        """The bins of each group, and who is in them."""
        bins = _bins(values, self.edges)
        return pairs(groups, bins, _units(units, rows=self.rows), self.k, nulls=False)

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Both put together."""
        return repaired(groups, partials, self.k, rows=self.rows)

    def finish(self, partials: pa.Array) -> pa.Array:
        """The quantiles that may be shown."""
        runs = runs_of(partials, rows=self.rows)
        count = len(partials)
        sums = np.zeros(count, dtype=np.int64)
        np.add.at(sums, runs.group, runs.counts)
        before = np.concatenate([[0], np.cumsum(sums)])[:-1]
        upto = np.cumsum(runs.counts) - before[runs.group]  # of the rows of a group
        bins = runs.values.to_numpy(zero_copy_only=False).astype(np.int64)
        lone = np.zeros(count, dtype=np.bool_)
        cuts = []
        for at in self.at:
            wanted = np.array([-(-at.numerator * int(n) // at.denominator) for n in sums])
            reached = upto >= wanted[runs.group] if len(bins) else np.zeros(0, dtype=np.bool_)
            cut = np.zeros(count, dtype=np.int64)
            # Backwards, so that the first that reaches it is written last.
            first = np.flatnonzero(reached)[::-1]
            cut[runs.group[first]] = bins[first]
            cuts.append(cut)
            lone |= _any(runs, (bins == cut[runs.group]) & (runs.units < self.k))
        part = sum((bins > cut[runs.group]).astype(np.int64) for cut in cuts)
        wide = len(cuts) + 1
        units = distinct_units(runs, runs.group * wide + part, count * wide, rows=self.rows)
        parts = units.reshape(count, wide)
        hidden = lone | (sums == 0) | ((parts > 0) & (parts < self.k)).any(axis=1)
        return self._told(np.array(cuts), hidden)

    def _told(self, cuts: Int64s, hidden: Mask) -> pa.Array:
        begins = np.array([float(edge) for edge in self.edges])[cuts].T
        if not self.several:
            return pa.array(begins[:, 0], pa.float64(), mask=hidden)
        offsets = np.arange(len(hidden) + 1, dtype=np.int32) * begins.shape[1]
        flat = pa.array(np.ascontiguousarray(begins).ravel())
        return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(hidden))


@dataclass(frozen=True, slots=True)
class SharedExtreme:
    """The least value, or the `greatest`, if at least `k` units have that very one; else null."""

    dp: ClassVar[bool] = False

    k: int
    greatest: bool = False
    rows: bool = False

    def __post_init__(self) -> None:
        _check(self.k)

    def map(self, groups: Groups, values: pa.Array, *units: pa.Array) -> pa.Array:
        """Each group's extreme, and who has it."""
        check_ordered(values.type, "extreme")
        whose = _units(units, rows=self.rows)
        return self._ends(pairs(groups, values, whose, self.k, nulls=False))

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """The extreme of extremes."""
        return self._ends(repaired(groups, partials, self.k, rows=self.rows))

    def finish(self, partials: pa.Array) -> pa.Array:
        """The value, where it may be shown."""
        runs = runs_of(partials, rows=self.rows)
        place = np.zeros(len(partials), dtype=np.int64)
        place[runs.group] = np.arange(len(runs.group))
        hidden = np.ones(len(partials), dtype=np.bool_)
        hidden[runs.group] = runs.units < self.k
        return runs.values.take(pa.array(place, mask=hidden))

    def _ends(self, lists: pa.Array) -> pa.Array:
        """Of each list the pairs of its first value, or of its last."""
        runs = runs_of(lists, rows=self.rows)
        edge = np.ones(len(runs.group), dtype=np.bool_)
        step = np.diff(runs.group) != 0
        if self.greatest:
            edge[:-1] = step
        else:
            edge[1:] = step
        kept = edge[runs.pair_run]
        group = runs.group[runs.pair_run][kept]
        offsets = np.zeros(len(lists) + 1, dtype=np.int32)
        np.cumsum(np.bincount(group, minlength=len(lists)), out=offsets[1:])
        return pa.ListArray.from_arrays(pa.array(offsets), lists.flatten().filter(pa.array(kept)))


def _any(runs: Runs, of: Mask) -> Mask:
    """The groups of which some value is one of these."""
    found = np.zeros(runs.groups, dtype=np.bool_)
    found[runs.group[of]] = True
    return found


def _check(k: int) -> None:
    if k < 2:
        raise UsageError("enough units are two at least", where=f"k={k}")


def _check_edges(edges: tuple[Fraction, ...]) -> None:
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise UsageError("bins lie between two edges at least, and edges ascend")


def _units(units: tuple[pa.Array, ...], *, rows: bool) -> pa.Array | None:
    if len(units) != (0 if rows else 1):
        raise UsageError(
            "who has a value is told by a column of units, or each row is one",
            hint="(aggregate, [column, unit]); or (aggregate, column) with rows=True",
        )
    return units[0] if units else None


def _bins(values: pa.Array, edges: tuple[Fraction, ...]) -> pa.Array:
    """The bin of each value; null for nulls and NaN."""
    check_number(values.type, "histogram")
    there = values.is_valid()
    if pa.types.is_floating(values.type):
        there = pc.and_kleene(there, pc.invert(pc.is_nan(values))).fill_null(False)
    mask = there.to_numpy(zero_copy_only=False)
    places = np.zeros(len(values), dtype=np.int64)
    if len(edges) > 2:
        places[mask] = bin_places(plain(values.filter(there)), edges[1:-1])
    return pa.array(places, mask=~mask)
