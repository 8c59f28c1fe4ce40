"""What of each unit is kept, summed by group: the one pass over the rows, as arrays.

All rows of a unit come to one `BoundedSums`. It folds them, batch after batch, into one row for
each unit and group, keeps `bounds.groups` groups of each unit by a salted hash of unit and group,
and adds up what is left. Which rows and groups of a unit are kept depends on that unit's own rows
and on nothing else: not on order, on batches, or on who else is there. So a group is hashed by its
name, and not by its place, which is another where somebody else brings a group that comes before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.dp import Bounds
from privpipe.features._grouped import OURS
from privpipe.features._measures import Measure
from privpipe.features._runs import Sorted, Triples, mixed, sort_units, within_runs
from privpipe.features._sums import GroupSums, Pairs, different, merge_sums
from privpipe.features._values import NO_VALUE, row_values

__all__ = ["GROUP", "HASH", "KEY", "UNIT", "BoundedSums", "group_bits"]

Int64s = npt.NDArray[np.int64]

UNIT = "__unit"
"""A salted 64-bit hash of the unit"""
KEY = "__key"
"""A second one, and in its last `group_bits` the place of the row's group: a column less on a way
that each costs time. Of a thousand groups a unit is so of 118 bits, of a million of 108."""
GROUP = f"{OURS}group"
"""The place of the row's group, from 0 on; alone, where each row is a unit"""
HASH = "__row"
"""A salted hash of a row's own values, by which single rows are kept"""

_FOLDED = 1 << 20  # rows that are taken together


def group_bits(groups: int) -> int:
    """How many bits of `KEY` are the group's."""
    return max(groups - 1, 0).bit_length()


class BoundedSums:
    """Folds rows; `totals` tells the sums. `per_unit` is false where each row is a unit.

    `names` has a number of each group, in the order of places, which its values alone decide.
    """

    def __init__(
        self, measures: Sequence[Measure], bounds: Bounds, names: Int64s, *, per_unit: bool
    ) -> None:
        self._measures, self._bounds, self._names = tuple(measures), bounds, names
        self._per_unit = per_unit
        # A sum is cut by the number of its own values.
        needed = [Measure(kind="values", column=each.column) for each in measures if each.fixed]
        every = dict.fromkeys([*measures, *needed])
        self._summed = [each for each in every if each.column and not each.per_row]
        self._single = [each for each in every if each.per_row]
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._done: list[GroupSums] = []
        self._empty()

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows: `UNIT` and `KEY`, or `GROUP` where each row is a unit; `HASH` where single
        rows of a unit are kept; and the columns."""
        if batch.num_rows:
            self._waiting.append(batch)
            self._rows += batch.num_rows
        if self._rows >= _FOLDED:
            self._fold()

    def totals(self) -> GroupSums:
        """The sums of all that was added. Call it once."""
        self._fold()
        pairs, kept = self._pairs, self._kept
        if self._per_unit and self._bounds.groups < len(self._names):
            chosen = _chosen(pairs.key, self._bounds.groups)
            if self._single:
                # Of every pair some row is kept, and both stand in one order.
                kept = kept.only(chosen[np.cumsum(kept.key.pairs) - 1])
            pairs = pairs.only(chosen)
        return merge_sums([*self._done, self._by_group(pairs, kept)])

    def _empty(self) -> None:
        self._pairs = _Folded.none(len(self._summed) + 1)
        self._kept = _Folded.none(len(self._single) + 1)

    def _fold(self) -> None:
        if not self._waiting:
            return
        table = pa.Table.from_batches(self._waiting).combine_chunks()
        self._waiting, self._rows = [], 0
        values = row_values(table, [*self._summed, *self._single])
        key = self._key(table)
        ones = np.ones(table.num_rows, dtype=np.int64)
        pairs = self._pairs.joined(key, [ones, *(values[each] for each in self._summed)])
        self._pairs = _added_up(pairs, self._names) if self._per_unit else pairs
        if self._single:
            order = table.column(HASH).to_numpy() if self._per_unit else ones
            self._kept = self._kept.joined(key, [order, *(values[each] for each in self._single)])
            if self._per_unit:
                self._kept = _least(self._kept, self._names, self._bounds.rows)
        if not self._per_unit:
            self._done = [merge_sums([*self._done, self._by_group(self._pairs, self._kept)])]
            self._empty()

    def _key(self, table: pa.Table) -> Triples:
        if not self._per_unit:
            # Each row is a unit, of which nothing is cut.
            group = table.column(GROUP).to_numpy().astype(np.int64)
            nobody = np.zeros(len(group), dtype=np.int64)
            return Triples(first=nobody, second=nobody, group=group)
        of_group = (1 << group_bits(len(self._names))) - 1
        first, both = (table.column(name).to_numpy() for name in (UNIT, KEY))
        return Triples(first=first, second=both & ~of_group, group=both & of_group)

    def _by_group(self, pairs: _Folded, kept: _Folded) -> GroupSums:
        rows, *summed = pairs.values
        sums = dict(zip(self._summed, summed, strict=True))
        there = np.bincount(pairs.key.group, minlength=len(self._names)) > 0
        groups, place = np.flatnonzero(there), (np.cumsum(there) - 1)[pairs.key.group]
        columns = [np.zeros((len(groups), 0), dtype=np.int64)]
        for measure in self._measures:
            if measure.binned:
                columns.append(self._binned(measure, kept, groups))
            elif measure.kind != "distinct":
                total = np.zeros(len(groups), dtype=np.int64)
                np.add.at(total, place, self._bounded(measure, rows, sums))
                columns.append(total[:, None])
        distinct = [each for each in self._measures if each.kind == "distinct"]
        return GroupSums(
            groups=groups,
            sums=np.hstack(columns),
            pairs=tuple(self._distinct(each, kept) for each in distinct),
        )

    def _bounded(self, measure: Measure, rows: Int64s, sums: Mapping[Measure, Int64s]) -> Int64s:
        """A unit's part in a group: as it is, or the bounds' share of it."""
        if measure.kind == "units":
            # Where each row is a unit, it is one row.
            return np.ones_like(rows) if self._per_unit else rows
        found = rows if measure.kind == "rows" else sums[measure]
        if not self._per_unit:
            return found
        most = self._bounds.rows
        if measure.kind in ("rows", "values"):
            return np.minimum(found, most)
        return _share(found, sums[Measure(kind="values", column=measure.column)], most)

    def _single_of(self, measure: Measure, kept: _Folded) -> tuple[Int64s, Int64s]:
        return kept.key.group, kept.values[self._single.index(measure) + 1]

    def _binned(self, measure: Measure, kept: _Folded, groups: Int64s) -> Int64s:
        group, bins = self._single_of(measure, kept)
        there = bins >= 0
        place = np.searchsorted(groups, group[there]) * measure.width + bins[there]
        flat = np.bincount(place, minlength=len(groups) * measure.width)
        return flat.astype(np.int64).reshape(len(groups), measure.width)

    def _distinct(self, measure: Measure, kept: _Folded) -> Pairs:
        group, value = self._single_of(measure, kept)
        there = value != NO_VALUE
        return different(group[there], value[there])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folded:
    """Rows of a key, and the numbers of each."""

    key: Triples
    values: tuple[Int64s, ...]

    @classmethod
    def none(cls, width: int) -> _Folded:
        empty = np.zeros(0, dtype=np.int64)
        return cls(key=Triples(first=empty, second=empty, group=empty), values=(empty,) * width)

    def joined(self, key: Triples, values: Sequence[Int64s]) -> _Folded:
        return _Folded(
            key=self.key.joined(key),
            values=tuple(
                np.concatenate([mine, theirs])
                for mine, theirs in zip(self.values, values, strict=True)
            ),
        )

    def only(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> _Folded:
        return _Folded(key=self.key.only(which), values=tuple(each[which] for each in self.values))


def _sorted(key: Triples, names: Int64s) -> Sorted:
    """Rows by unit and group, in the order in which a unit's groups are chosen: by a salted hash of
    the unit and the group's name, and those of one hash by their places, which is the order of
    their values."""
    # Of the first hash alone: what is left of the second depends on how many groups others bring.
    return sort_units(key, mixed(key.first, names[key.group]))


def _added_up(rows: _Folded, names: Int64s) -> _Folded:
    """One row for each unit and group, of sums."""
    found = _sorted(rows.key, names)
    starts = np.flatnonzero(found.pairs)
    if len(starts) == len(found.order):
        return _Folded(key=found.key, values=tuple(each[found.order] for each in rows.values))
    return _Folded(
        key=found.key.only(starts),
        values=tuple(np.add.reduceat(each[found.order], starts) for each in rows.values),
    )


def _least(rows: _Folded, names: Int64s, most: int) -> _Folded:
    """Of each unit in a group the `most` rows that come first by the first number, then by the
    others, so that rows of one hash are told apart by what they hold."""
    found = _sorted(rows.key, names)
    order, kept = found.order, within_runs(found.pairs) < most
    runs = np.cumsum(found.pairs)
    # The order of rows matters where there are more of them than that.
    long = np.flatnonzero(np.isin(runs, runs[~kept], kind="table"))
    which = order[long]
    order[long] = which[np.lexsort((*(each[which] for each in rows.values[::-1]), runs[long]))]
    return rows.only(order[kept])


def _chosen(key: Triples, most: int) -> npt.NDArray[np.bool_]:
    """Of each unit its first `most` groups, of pairs in order."""
    return within_runs(key.units) < most


def _share(sums: Int64s, rows: Int64s, most: int) -> Int64s:
    """`sums` * most / rows where there are more rows than that, cut towards 0: at most `most`
    rows' worth, as no row is larger than the largest. No product leaves 64 bits that the sum of
    all rows would not."""
    if not (rows > most).any():
        return sums
    over = np.maximum(rows, most)
    whole, rest = np.divmod(np.abs(sums), over)
    share: Int64s = np.sign(sums) * (whole * most + rest * most // over)
    return share
