"""Partials that are lists: the different values of each group, in order, and how often each is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.aggregates._groups import Groups, Int64s, ordered
from privpipe.aggregates._ordered import plain

__all__ = ["Listed", "listed", "opened"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The values of the groups in a row, where each group's begin, and how often each stands."""

    values: pa.Array
    offsets: Int64s
    counts: Int64s

    def lists(self) -> pa.Array:
        """The values as a list a group."""
        return pa.ListArray.from_arrays(pa.array(self.offsets.astype(np.int32)), self.values)

    def counted(self) -> pa.Array:
        """The values and their counts as a list of structs a group."""
        pairs = pa.StructArray.from_arrays(
            [self.values, pa.array(self.counts)], names=["value", "count"]
        )
        return pa.ListArray.from_arrays(pa.array(self.offsets.astype(np.int32)), pairs)


def listed(groups: Groups, values: pa.Array, counts: Int64s | None = None) -> Listed:
    """Each group's values, each once and in order; nulls are left out."""
    if values.null_count:
        mask = values.is_valid().to_numpy(zero_copy_only=False)
        counts = None if counts is None else counts[mask]
        groups, values = groups.valid(values)
    coded = plain(values).dictionary_encode()
    # Arrow sorts NaN behind all numbers, and strings by their bytes, as Spark does.
    sorting = pc.array_sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(sorting), dtype=np.int64)
    rank[sorting] = np.arange(len(sorting))
    code = rank[coded.indices.to_numpy()]
    by_code = ordered(code, max(len(sorting), 1))
    order = by_code[ordered(groups.index[by_code], groups.count)]
    group, code = groups.index[order], code[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (group[1:] != group[:-1]) | (code[1:] != code[:-1])
    starts = np.flatnonzero(fresh)
    weights = np.ones(len(order), dtype=np.int64) if counts is None else counts[order]
    sizes = np.bincount(group[starts], minlength=groups.count)
    return Listed(
        values=coded.dictionary.take(pa.array(sorting[code[starts]])),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        counts=np.add.reduceat(weights, starts) if len(starts) else weights,
    )


def opened(groups: Groups, lists: pa.Array) -> tuple[Groups, pa.Array]:
    """The items of lists, and the groups that they are in."""
    lengths = np.diff(lists.offsets.to_numpy())
    return Groups(np.repeat(groups.index, lengths), groups.count), lists.flatten()
