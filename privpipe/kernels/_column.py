"""What a kernel is given: the rows of a column that are not null, with their associated data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from privpipe.arrow import Bound, Cells, cells
from privpipe.errors import EncodingError, UsageError
from privpipe.kernels._head import RowAad, split
from privpipe.kernels._pack import Bytes, Ints, Mask, Slices

__all__ = ["Aad", "Column", "each", "take_in"]

Aad: TypeAlias = bytes | RowAad
"""One for all rows, or one a row."""

LONGEST = 2**31 - 64
"""What one call of the library takes; the standards' own limits lie higher"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`rows` are those of `count` that `valid` marks (None: all), each with its `aad`."""

    rows: Slices
    aad: Aad
    valid: Mask | None
    count: int

    def offsets(self, lengths: Ints) -> Ints:
        """The offsets of an output column whose rows have these lengths, nulls being empty."""
        offsets = np.zeros(self.count + 1, dtype=np.int64)
        if self.valid is None:
            np.cumsum(lengths, out=offsets[1:])
        else:
            offsets[1:][self.valid] = lengths
            np.cumsum(offsets, out=offsets)
        return offsets

    def own(self, column: Ints) -> Ints:
        """Of a column of all `count` rows, those that `rows` are."""
        return column if self.valid is None else column[self.valid]

    def without(self, failing: Mask) -> Column:
        """Some of `rows` turned to nulls."""
        keep = ~failing
        valid = keep
        if self.valid is not None:
            valid = self.valid.copy()
            valid[self.valid] = keep
        aad = self.aad.only(keep) if isinstance(self.aad, RowAad) else self.aad
        return Column(rows=self.rows.only(keep), aad=aad, valid=valid, count=self.count)


def each(aad: Aad) -> Iterable[bytes | memoryview]:
    """The associated data of one row after the other; endless where it is one for all."""
    return aad.views() if isinstance(aad, RowAad) else repeat(aad)


def take_in(values: pa.Array | pa.ChunkedArray, aad: bytes | pa.Array | Bound) -> Column:
    """Lay bare a column and its associated data; UsageError where the two do not fit."""
    found = cells(values)
    return Column(
        rows=_slices(found, found.valid),
        aad=aad if isinstance(aad, bytes) else _one_a_row(aad, found),
        valid=found.valid,
        count=len(found),
    )


def _one_a_row(aad: pa.Array | Bound, values: Cells) -> RowAad:
    if isinstance(aad, Bound):
        rest = _fitting(aad.rest, values)
        if len(aad.head) % 16 == 0 and (len(rest) == 0 or rest.lengths.min() > 0):
            return RowAad(head=aad.head, rest=rest)
        aad = aad.plain()
    if not isinstance(aad, pa.Array | pa.ChunkedArray):
        raise UsageError("associated data is neither bytes nor an Arrow array")
    return split(_fitting(cells(aad), values))


def _fitting(found: Cells, values: Cells) -> Slices:
    """The associated data of the values that are not null."""
    if len(found) != len(values):
        raise UsageError(f"{len(found)} rows of associated data for {len(values)} values")
    if found.valid is not None:
        needed = np.ones(len(values), dtype=np.bool_) if values.valid is None else values.valid
        if (needed & ~found.valid).any():
            raise UsageError("a value that is not null has null as associated data")
    return _slices(found, values.valid)


def _slices(found: Cells, keep: Mask | None) -> Slices:
    """The rows to keep, over a buffer with 16 spare bytes behind them (a copy only if it must)."""
    starts = found.starts if keep is None else found.starts[keep]
    lengths = found.lengths if keep is None else found.lengths[keep]
    if len(starts) == 0:
        return Slices(data=np.zeros(16, dtype=np.uint8), starts=starts, lengths=lengths)
    if int(lengths.max()) > LONGEST:
        raise EncodingError("a value of 2 GiB or more", hint="cut it into pieces")
    end = int((starts + lengths).max())
    data: Bytes = found.data
    if end + 16 > len(data):
        low = int(starts.min())
        data = np.zeros(end - low + 16, dtype=np.uint8)
        data[: end - low] = found.data[low:end]
        starts = starts - low
    return Slices(data=data, starts=starts, lengths=lengths)
