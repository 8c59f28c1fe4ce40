"""Partials that are values with the units that have them: as many units of each as decide.

A partial is a list of `struct<value, unit, count>` in the order of values, nulls last, and units.
Of a value `k` units are kept, since more decide nothing; the rows of others count with the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.aggregates._groups import Groups, Int64s, Mask
from privpipe.aggregates._ordered import plain

__all__ = ["Runs", "distinct_units", "pairs", "repaired", "runs_of", "shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The values of groups, one after another: their group, how many rows have them, and of how
    many units, `k` at most. Of each pair, `pair_run` is the place of its value, `unit` its unit,
    and `whose` whether it has one."""

    group: Int64s
    values: pa.Array
    counts: Int64s
    units: Int64s
    pair_run: Int64s
    unit: Int64s
    whose: Mask
    groups: int


def pairs(
    groups: Groups,
    values: pa.Array,
    units: pa.Array | None,
    k: int,
    counts: Int64s | None = None,
    *,
    nulls: bool = True,
) -> pa.Array:
    """Each group's pairs; without `units` each row is one of its own, and counts tell of them.
    Without `nulls`, rows that have no value are left out."""
    whose = pa.nulls(len(values), pa.bool_()) if units is None else units
    value, value_of = groups.once("coded", values, lambda: _coded(values))
    unit, unit_of = groups.once("coded", whose, lambda: _coded(whose))
    order = np.lexsort((unit, value, groups.index))
    if not nulls:
        order = order[value[order] < len(value_of) - 1]
    group, value, unit = groups.index[order], value[order], unit[order]
    weights = np.ones(len(order), dtype=np.int64) if counts is None else counts[order]

    starts = np.flatnonzero(_fresh(group, value, unit))
    group, value, unit = group[starts], value[starts], unit[starts]
    weights = np.add.reduceat(weights, starts) if len(starts) else weights

    begins = np.flatnonzero(_fresh(group, value))
    lengths = np.diff(np.append(begins, len(group)))
    kept = np.arange(len(group)) - np.repeat(begins, lengths) < k
    if not kept.all():
        weights[begins] += np.add.reduceat(np.where(kept, 0, weights), begins)
    return _lists(
        groups.count,
        group[kept],
        [value_of.take(pa.array(value[kept])), unit_of.take(pa.array(unit[kept]))],
        weights[kept],
    )


def repaired(groups: Groups, partials: pa.Array, k: int, *, rows: bool) -> pa.Array:
    """Partials of equal groups put together."""
    items = partials.flatten()
    index = np.repeat(groups.index, np.diff(partials.offsets.to_numpy()))
    units = None if rows else items.field("unit")
    counts = items.field("count").to_numpy()
    return pairs(Groups(index, groups.count), items.field("value"), units, k, counts)


def runs_of(partials: pa.Array, *, rows: bool) -> Runs:
    """The values in partials; with `rows` each row is a unit."""
    items = partials.flatten()
    group = np.repeat(np.arange(len(partials)), np.diff(partials.offsets.to_numpy()))
    value, _ = _coded(items.field("value"))
    unit, _ = _coded(items.field("unit"))
    counts = items.field("count").to_numpy().astype(np.int64)
    fresh = _fresh(group, value)
    begins = np.flatnonzero(fresh)
    summed = np.add.reduceat(counts, begins) if len(begins) else counts
    pair_run = np.cumsum(fresh) - 1
    whose = items.field("unit").is_valid().to_numpy(zero_copy_only=False)
    known = np.bincount(pair_run[whose], minlength=len(begins))
    return Runs(
        group=group[begins],
        values=items.field("value").take(pa.array(begins)),
        counts=summed,
        units=summed if rows else known,
        pair_run=pair_run,
        unit=unit,
        whose=whose,
        groups=len(partials),
    )


def distinct_units(runs: Runs, cell: Int64s, cells: int, *, rows: bool) -> Int64s:
    """How many units have some value of each cell; `cell` tells the place of each value's, or -1.

    Right as far as `k`, since each value has at most so many of its units.
    """
    if rows:
        inside = cell >= 0
        found = np.zeros(cells, dtype=np.int64)
        np.add.at(found, cell[inside], runs.counts[inside])
        return found
    of_pair = cell[runs.pair_run]
    inside = (of_pair >= 0) & runs.whose
    order = np.lexsort((runs.unit[inside], of_pair[inside]))
    place, unit = of_pair[inside][order], runs.unit[inside][order]
    return np.bincount(place[_fresh(place, unit)], minlength=cells).astype(np.int64)


def shown(runs: Runs, k: int, most: int | None, *, rows: bool) -> tuple[Mask, Int64s]:
    """Which values may be shown with their counts, and the place of each in its group: the most
    frequent first, of two that are as frequent the smaller.

    A value is shown if `k` units have it. What is not shown, nulls among it, is what is left of a
    group's rows: if it is of some units, and fewer than `k`, the last value is not shown either.
    """
    fit = (runs.units >= k) & runs.values.is_valid().to_numpy(zero_copy_only=False)
    order = np.lexsort((-runs.counts, ~fit, runs.group))
    sizes = np.bincount(runs.group, minlength=runs.groups)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    mask = fit if most is None else fit & (place < most)
    left = distinct_units(runs, np.where(mask, -1, runs.group), runs.groups, rows=rows)
    few = (left > 0) & (left < k)
    last = np.bincount(runs.group[mask], minlength=runs.groups) - 1
    return mask & ~(few[runs.group] & (place == last[runs.group])), place


def _coded(values: pa.Array) -> tuple[Int64s, pa.Array]:
    """The place of each value in the order of values, and these; null is the last."""
    coded = plain(values).dictionary_encode()
    if pa.types.is_null(coded.dictionary.type) or not len(coded.dictionary):
        return np.zeros(len(values), dtype=np.int64), pa.nulls(1, values.type)
    sorting = pc.array_sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(sorting) + 1, dtype=np.int64)
    rank[sorting] = np.arange(len(sorting))
    rank[-1] = len(sorting)
    places = coded.indices.fill_null(len(sorting)).to_numpy(zero_copy_only=False)
    ordered = coded.dictionary.take(pa.array(sorting))
    return rank[places], pa.concat_arrays([ordered, pa.nulls(1, values.type)])


def _fresh(*keys: Int64s) -> Mask:
    """Where one of the keys is another than in the place before."""
    found = np.ones(len(keys[0]), dtype=np.bool_)
    found[1:] = False
    for key in keys:
        found[1:] |= key[1:] != key[:-1]
    return found


def _lists(count: int, group: Int64s, columns: list[pa.Array], counts: Int64s) -> pa.Array:
    value, unit = columns
    items = pa.StructArray.from_arrays(
        [value, unit, pa.array(counts)], names=["value", "unit", "count"]
    )
    offsets = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.bincount(group, minlength=count), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), items)
