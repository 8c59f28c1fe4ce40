"""Exact quantiles, by the values themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from privpipe.aggregates._groups import Groups, Int64s, Values, ordered
from privpipe.aggregates._numbers import check_number, doubles
from privpipe.errors import UsageError

__all__ = ["Quantile", "check_ranks", "figures"]


@dataclass(frozen=True, slots=True)
class Quantile:
    """The values at a rank from 0 to 1, or at each of several: Spark's `percentile`, bit for bit.

    A double (or an array of them) between the two values around the rank; null where there is no
    value. NaN is above all numbers. Its partials are all values, as doubles: `Kll` bounds them.

    >>> column = pa.array([1, 2, 3, 4])
    >>> Quantile(0.5).finish(Quantile(0.5).map(Groups([0, 0, 0, 0], 1), column)).to_pylist()
    [2.5]
    """

    dp: ClassVar[bool] = True

    at: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        check_ranks(self.at)

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """Each group's values in order."""
        check_number(values.type, "quantile")
        return groups.once("values", values, lambda: _mapped(groups, values))

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Lists merged."""
        index = np.repeat(groups.index, np.diff(partials.offsets.to_numpy()))
        return _lists(index, groups.count, partials.flatten().to_numpy())

    def finish(self, partials: pa.Array) -> pa.Array:
        """The values around each rank, and what lies between."""
        lists = partials.offsets.to_numpy().astype(np.int64)
        start, sizes = lists[:-1] - lists[0], np.diff(lists)
        values = partials.flatten().to_numpy()
        ranks = self.at if isinstance(self.at, tuple) else (self.at,)
        columns = [_between(values, start[sizes > 0], sizes[sizes > 0], rank) for rank in ranks]
        return figures(self.at, columns, sizes == 0)


def check_ranks(at: float | tuple[float, ...]) -> None:
    """Raises: UsageError."""
    ranks = at if isinstance(at, tuple) else (at,)
    if not ranks or any(not 0 <= rank <= 1 for rank in ranks):
        raise UsageError("a quantile's rank is from 0 to 1", where=f"at={at}")


def figures(at: float | tuple[float, ...], columns: list[Values], empty: Values) -> pa.Array:
    """A double for each group that is not `empty`, or a list of them for several ranks."""
    wide = np.zeros((len(empty), len(columns)))
    wide[~empty] = np.array(columns).T
    if not isinstance(at, tuple):
        return pa.array(wide[:, 0], pa.float64(), mask=empty, from_pandas=False)
    offsets = np.arange(len(empty) + 1, dtype=np.int32) * len(columns)
    values = pa.array(wide.ravel(), pa.float64(), from_pandas=False)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(empty))


def _mapped(groups: Groups, values: pa.Array) -> pa.Array:
    inside, numbers = groups.valid(values)
    return _lists(inside.index, groups.count, doubles(numbers))


def _lists(index: Int64s, count: int, values: Values) -> pa.Array:
    by_value = np.argsort(values)  # NaN last
    order = by_value[ordered(index[by_value], count)]
    offsets = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.bincount(index, minlength=count), out=offsets[1:])
    made = pa.array(values[order], pa.float64(), from_pandas=False)
    return pa.ListArray.from_arrays(pa.array(offsets), made)


def _between(values: Values, start: Int64s, sizes: Int64s, rank: float) -> Values:
    position = (sizes - 1) * rank
    low, high = np.floor(position), np.ceil(position)
    lower, higher = values[start + low.astype(np.int64)], values[start + high.astype(np.int64)]
    with np.errstate(invalid="ignore"):
        mixed = (high - position) * lower + (position - low) * higher
    same = (low == high) | (lower == higher) | np.isnan(lower)
    found: Values = np.where(same, lower, mixed)
    return found
