"""How many values lie between given edges."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._groups import Groups, Values
from privpipe.aggregates._numbers import check_number, unscaled
from privpipe.errors import UsageError

__all__ = ["Histogram", "bin_places"]

_INT64_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values by `edges` (ascending): below the first, from each edge to below the next,
    and from the last on; one more than there are edges. NaN is above the last; nulls count nowhere.

    Edges are compared exactly: `Decimal("0.1")` with decimals, 0.1 as the double that it is.

    >>> counts = Histogram((0, 10)).map(Groups([0] * 4, 1), pa.array([-1, 0, 9, 10]))
    >>> counts.to_pylist()
    [[1, 2, 1]]
    """

    dp: ClassVar[bool] = True

    edges: tuple[float | Decimal, ...]

    def __post_init__(self) -> None:
        if not self.edges or not all(math.isfinite(edge) for edge in self.edges):
            raise UsageError("a histogram has finite edges, one at least")
        if any(low >= high for low, high in pairwise(map(Fraction, self.edges))):
            raise UsageError("a histogram's edges ascend")

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """Each group's counts."""
        check_number(values.type, "histogram")
        inside, numbers = groups.valid(values)
        width = len(self.edges) + 1
        cell = inside.index * width + bin_places(numbers, self.edges)
        return _lists(np.bincount(cell, minlength=groups.count * width), width)

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Counts added up."""
        width = len(self.edges) + 1
        counts = partials.flatten().to_numpy().reshape(len(partials), width)
        added = [groups.reduce(np.add, counts[:, place], 0) for place in range(width)]
        return _lists(np.array(added).T.ravel(), width)

    def finish(self, partials: pa.Array) -> pa.Array:
        """The partials."""
        return partials


def bin_places(values: pa.Array, edges: Sequence[float | Decimal | Fraction]) -> Values:
    """How many of the `edges` are at or below each value; no value is null."""
    exact = [Fraction(edge) for edge in edges]
    if pt.is_decimal128(values.type):
        ends = [edge * 10**values.type.scale for edge in exact]
        return np.array([bisect_right(ends, one) for one in unscaled(values)], dtype=np.int64)
    column = values.to_numpy(zero_copy_only=False)
    if pt.is_floating(values.type):
        column = column.astype(np.float64)
        ends_up = np.array([_double_up(edge) for edge in exact])
    else:
        column = column.astype(np.int64)
        # A whole number is at or above an edge where it is at or above the next whole one.
        whole = [min(max(math.ceil(edge), -_INT64_MAX - 1), _INT64_MAX) for edge in exact]
        beyond = sum(math.ceil(edge) > _INT64_MAX for edge in exact)
        ends_up = np.array(whole[: len(whole) - beyond], dtype=np.int64)
    found: Values = np.searchsorted(ends_up, column, side="right")
    return found


def _double_up(edge: Fraction) -> float:
    """The least double at or above an edge."""
    near = float(edge)
    return near if Fraction(near) >= edge else math.nextafter(near, math.inf)


def _lists(counts: Values, width: int) -> pa.Array:
    offsets = np.arange(len(counts) // width + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(counts.astype(np.int64)))
