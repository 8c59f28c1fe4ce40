"""A binary-like column laid bare for kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.arrow._layout import (
    LARGE,
    Bytes,
    Ints,
    Mask,
    edges,
    flat,
    offsets_of,
    raw,
    validity,
)
from privpipe.errors import SchemaError

__all__ = ["WIDE", "Cells", "cells", "put_rows"]

WIDE = 64
"""Bytes: a row as wide as this may be mostly room, and a longer one repays a move of its own"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The bytes of a column, slice-normalised: row i is `data[starts[i]:starts[i] + lengths[i]]`.

    `data` (uint8) is the column's own buffer, so it may hold more than the rows and is read-only.
    `starts` and `lengths` are int64 of shape (n,); the length of a null row is 0. `valid` is None
    where no row is null, else bool of shape (n,).
    """

    data: Bytes
    starts: Ints
    lengths: Ints
    valid: Mask | None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.starts)


def cells(array: pa.Array | pa.ChunkedArray) -> Cells:
    """Lay bare a string, binary, large, view, fixed-size binary or dictionary column.

    No value is copied, except for views and for columns of several chunks. Raises SchemaError for
    any other type.
    """
    if isinstance(array, pa.ChunkedArray):
        array = flat(_widened(array))
    kind = array.type
    if pt.is_string(kind) or pt.is_binary(kind):
        return _variable(array, large=False)
    if pt.is_large_string(kind) or pt.is_large_binary(kind):
        return _variable(array, large=True)
    if pt.is_fixed_size_binary(kind):
        return _fixed(array, kind.byte_width)
    if pt.is_dictionary(kind):
        return _looked_up(array)
    if pt.is_string_view(kind) or pt.is_binary_view(kind):
        return _variable(array.cast(pa.large_binary()), large=True)
    raise SchemaError(f"a column of type {kind} holds no bytes")


def _widened(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Large where several 32-bit chunks together would overflow."""
    small = pt.is_string(array.type) or pt.is_binary(array.type)
    return array.cast(pa.large_binary()) if small and array.nbytes > LARGE else array


def _variable(array: pa.Array, *, large: bool) -> Cells:
    offsets = offsets_of(array, large=large)
    starts = offsets[:-1].astype(np.int64)
    lengths = np.subtract(offsets[1:], offsets[:-1], dtype=np.int64)
    valid = validity(array)
    if valid is not None:
        lengths *= valid
    return Cells(data=raw(array.buffers()[2]), starts=starts, lengths=lengths, valid=valid)


def _fixed(array: pa.Array, width: int) -> Cells:
    starts = np.arange(array.offset, array.offset + len(array), dtype=np.int64) * width
    lengths = np.full(len(array), width, dtype=np.int64)
    valid = validity(array)
    if valid is not None:
        lengths *= valid
    return Cells(data=raw(array.buffers()[1]), starts=starts, lengths=lengths, valid=valid)


def _looked_up(array: pa.DictionaryArray) -> Cells:
    words = cells(array.dictionary)
    valid = validity(array.indices)
    if len(words) == 0:  # every row is null, or lies beneath a null, whatever its index says
        return cells(pa.nulls(len(array), pa.binary()))
    rows = array.indices.fill_null(0).to_numpy(zero_copy_only=False)
    lengths = words.lengths[rows]
    if words.valid is not None:  # a word of the dictionary may itself be null
        known = words.valid[rows]
        valid = known if valid is None else valid & known
        valid = None if valid.all() else valid
    if valid is not None:
        lengths *= valid
    return Cells(data=words.data, starts=words.starts[rows], lengths=lengths, valid=valid)


def put_rows(own: Cells, out: Bytes, at: Ints) -> None:
    """Each row to `out[at[i]]`, and no byte more: long rows one by one, all others at once."""
    starts, lengths = own.starts, own.lengths
    long = lengths > WIDE
    if long.any():
        for to, start, length in zip(
            *(x[long].tolist() for x in (at, starts, lengths)), strict=True
        ):
            out[to : to + length] = own.data[start : start + length]
        at, starts, lengths = at[~long], starts[~long], lengths[~long]
    ends = edges(lengths)
    inner = np.arange(int(ends[-1])) - np.repeat(ends[:-1], lengths)
    out[np.repeat(at, lengths) + inner] = own.data[np.repeat(starts, lengths) + inner]
