"""Canonical bytes back to typed values, and nothing that is not exactly a value of the type.

The bytes were authenticated before they come here, so a refusal means that they were written
under another type than the one asked for. The cells of every level keep the order in which they
lie in the buffer, so that they can be copied out as the slices of one binary column.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from privpipe.arrow._build import build
from privpipe.arrow._cells import Cells, cells
from privpipe.arrow._encode import NULL
from privpipe.arrow._fixed import from_matrix, width_of
from privpipe.arrow._layout import (
    LARGE,
    Bytes,
    Ints,
    Mask,
    bitmap,
    edges,
    flat,
    is_bytes,
    listed,
)
from privpipe.errors import EncodingError

__all__ = ["decode"]


def decode(values: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """The column of type `kind` whose `encode` is `values`, a binary column; nulls stay null.

    Text is its bytes, whatever they are: Spark holds strings that are not UTF-8, and what it held
    comes back. Raises EncodingError where any row is not exactly one value of the type: another
    length, a bool other than 00 and 01, a number out of range, lengths that overrun or leave a
    remainder, a null where the type allows none. Raises SchemaError for a type that has no
    canonical bytes.
    """
    array = flat(values)
    if pt.is_dictionary(array.type):
        array = array.dictionary_decode()
    if is_bytes(kind) and is_bytes(array.type):
        return _text(array, kind)
    return _decode(cells(array), kind)


def _decode(rows: Cells, kind: pa.DataType, *, nullable: bool = True) -> pa.Array:
    """A typed column of the rows; with `nullable` off, null rows become empty or zero values.

    Arrow lets a field that holds no nulls lie beneath a parent that does.
    """
    if is_bytes(kind):
        return _text(_copied(rows, nullable=nullable), kind)
    if pt.is_dictionary(kind):
        return _decode(rows, kind.value_type, nullable=nullable).dictionary_encode().cast(kind)
    if pt.is_struct(kind):
        return _struct(rows, kind, nullable=nullable)
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_map(kind):
        return _ragged(rows, kind, nullable=nullable)
    width = width_of(kind)
    if (_held(rows) & (rows.lengths != width)).any():
        raise EncodingError(f"bytes of a length that no {kind} has")
    return from_matrix(_heads(rows, width, kind), kind, rows.valid if nullable else None)


def _text(array: pa.Array, kind: pa.DataType) -> pa.Array:
    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    as_it_is = pc.CastOptions(target_type=views.get(kind, kind), allow_invalid_utf8=True)
    try:
        return pc.cast(array, options=as_it_is).cast(kind)
    except pa.ArrowInvalid:
        # Arrow's own message may print the bytes.
        raise EncodingError(f"bytes that are no {kind}, or too many for one batch") from None


def _struct(rows: Cells, kind: pa.StructType, *, nullable: bool) -> pa.Array:
    fields = [kind.field(i) for i in range(kind.num_fields)]
    head = 4 * len(fields)
    lengths = _numbers(_heads(rows, head, kind)).reshape(len(rows), len(fields))
    absent = lengths == NULL
    lengths[absent] = 0
    _exact(rows, head + lengths.sum(axis=1), kind)
    held = _held(rows)
    starts = (rows.starts + head * held)[:, np.newaxis] + np.cumsum(lengths, axis=1) - lengths
    children = []
    for i, field in enumerate(fields):
        _allowed(field, absent[:, i])
        cell = _cells(rows.data, starts[:, i], lengths[:, i], held & ~absent[:, i])
        children.append(_decode(cell, field.type, nullable=field.nullable))
    validity = bitmap(rows.valid) if nullable else None
    return pa.Array.from_buffers(kind, len(rows), [validity], children=children)


def _ragged(rows: Cells, kind: pa.DataType, *, nullable: bool) -> pa.Array:
    fields = [kind.key_field, kind.item_field] if pt.is_map(kind) else [kind.value_field]
    ends, items = _items(rows, len(fields), kind)
    children = []
    for field, item in zip(fields, items, strict=True):
        _allowed(field, ~_held(item))
        children.append(_decode(item, field.type, nullable=field.nullable))
    if ends[-1] > LARGE and not pt.is_large_list(kind):
        raise EncodingError("more items than one batch can hold", hint="hand over smaller batches")
    return listed(kind, ends, rows.valid if nullable else None, children)


def _items(rows: Cells, columns: int, kind: pa.DataType) -> tuple[Ints, list[Cells]]:
    """Offsets (n + 1) into the items of all rows, and the cells of each column of items."""
    counts = _numbers(_heads(rows, 4, kind))
    head = 4 + 4 * columns * counts
    if (_held(rows) & (head > rows.lengths)).any():
        raise EncodingError(f"counts that overrun a {kind}")
    held = _held(rows)
    table = Cells(
        data=rows.data, starts=rows.starts + 4 * held, lengths=(head - 4) * held, valid=None
    )
    lengths = _numbers(_joined(table))
    absent = lengths == NULL
    lengths[absent] = 0
    ends, bounds = edges(counts), edges(lengths)
    first = bounds[ends * columns]  # where each row's items begin, counted over all of them
    _exact(rows, head + np.diff(first), kind)
    base = np.repeat(rows.starts + head * held - first[:-1], counts * columns)
    starts = base + bounds[:-1]
    return ends, [
        _cells(rows.data, starts[i::columns], lengths[i::columns], ~absent[i::columns])
        for i in range(columns)
    ]


def _cells(data: Bytes, starts: Ints, lengths: Ints, held: Mask) -> Cells:
    valid = None if held.all() else held
    return Cells(data=data, starts=starts, lengths=lengths, valid=valid)


def _held(rows: Cells) -> Mask:
    return np.ones(len(rows), dtype=np.bool_) if rows.valid is None else rows.valid


def _allowed(field: pa.Field, absent: Mask) -> None:
    if not field.nullable and absent.any():
        raise EncodingError(f"a null in {field.name!r}, which holds none")


def _exact(rows: Cells, sizes: Ints, kind: pa.DataType) -> None:
    if (_held(rows) & (rows.lengths != sizes)).any():
        raise EncodingError(f"lengths that do not add up to a {kind}")


def _numbers(data: Bytes) -> Ints:
    """Big-endian u32 numbers that lie one behind the other."""
    return np.ascontiguousarray(data).reshape(-1).view(">u4").astype(np.int64)


def _heads(rows: Cells, width: int, kind: pa.DataType) -> Bytes:
    """The first `width` bytes of each row, shape (n, width); zeros where it is null."""
    count, valid = len(rows), rows.valid
    if width == 0 or count == 0:
        return np.zeros((count, width), dtype=np.uint8)
    if (_held(rows) & (rows.lengths < width)).any():
        raise EncodingError(f"bytes too few for a {kind}")
    first, last = int(rows.starts[0]), int(rows.starts[-1])
    if valid is None and last - first == (count - 1) * width:
        # Cells lie in order and none is shorter than `width`, so these lie side by side.
        return rows.data[first : last + width].reshape(count, width)
    heads = np.zeros((count, width), dtype=np.uint8)
    if valid is None or valid.any():
        windows = np.lib.stride_tricks.sliding_window_view(rows.data, width)
        where = slice(None) if valid is None else valid
        heads[where] = windows[rows.starts[where]]
    return heads


def _copied(rows: Cells, *, nullable: bool) -> pa.Array:
    """The rows as a binary column of their own.

    Rows lie in order, so they are every second value of a binary column over the same buffer.
    """
    count = len(rows)
    if count == 0:
        return pa.array([], pa.binary())
    bounds = np.empty(2 * count, dtype=np.int64)
    bounds[0::2] = rows.starts
    bounds[1::2] = rows.starts + rows.lengths
    absent = None if rows.valid is None or not nullable else ~rows.valid
    wanted = pa.array(np.arange(0, 2 * count, 2), mask=absent)
    return build(rows.data, bounds, None).take(wanted)


def _joined(rows: Cells) -> Bytes:
    """The rows' bytes, one behind the other."""
    column = cells(_copied(rows, nullable=False))
    return column.data[: int(column.lengths.sum())]
