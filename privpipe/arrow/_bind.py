"""The associated data of values that are bound to their rows.

It is `pp1:b:`, the length of the context as u32, the context, the number of bound columns as u32,
of each its name and the family of its type as it is stored, each with its length before it as u32,
and zeros up to a whole multiple of 16 bytes; then, for each bound column, the length of the row's
canonical bytes as u32 and these bytes; then, for each list and map on the way to the value, from
the outside in: a list's place for the element as u32, counted from 0, or a map's key as the bound
columns are written. All integers are big-endian. Every part has a fixed size or its length before
it, the head says how many columns are bound, and the lists and maps on the way are those of the
column's type: two values of a column come to the same bytes only where all of these are the same.
(The entries of a map that has a key twice are not told apart.)

Names are written in lower case, since Spark's match without regard to it; the family, and not the
type, so that a column may be widened. Without the two, who can write both a table and its catalog
could have a value read as bound to another column that holds the same.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from privpipe.arrow._build import build
from privpipe.arrow._cells import WIDE, Cells, cells, put_rows
from privpipe.arrow._encode import NULL, encode
from privpipe.arrow._layout import (
    LARGE,
    Bytes,
    Ints,
    Items,
    Mask,
    children_of,
    edges,
    flat,
    is_bytes,
    validity,
    windows,
)
from privpipe.arrow._nested import fits, leaf, leaf_rows
from privpipe.arrow._path import Path, Step
from privpipe.errors import EncodingError, InvalidValue, SchemaError, UsageError

__all__ = ["Bound", "bound"]

_U32 = np.dtype(">u4")
_BLOCK = 16

_FAMILIES = (
    (pt.is_string, "text"),
    (pt.is_large_string, "text"),
    (pt.is_string_view, "text"),
    (is_bytes, "bytes"),
    (pt.is_fixed_size_binary, "bytes"),
    (pt.is_boolean, "boolean"),
    (pt.is_signed_integer, "integer"),
    (pt.is_float32, "float"),
    (pt.is_float64, "double"),
    (pt.is_date32, "date"),
    (pt.is_time64, "time"),
    (pt.is_duration, "interval_dt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Associated data, one a value: `head`, which all values share, then the value's own `rest`.

    Apart, so that a kernel takes in the head once for the column. `plain` is the two together.
    """

    head: bytes
    rest: Cells

    def __len__(self) -> int:
        """The number of values."""
        return len(self.rest)

    def take(self, rows: pa.Array) -> Bound:
        """Those of some values."""
        return Bound(head=self.head, rest=_at(self.rest, rows.to_numpy(zero_copy_only=False)))

    def plain(self) -> pa.Array:
        """The associated data as everyone sees it: a binary column, null where `rest` is."""
        ends = edges(self.rest.lengths)
        out = np.empty(int(ends[-1]), dtype=np.uint8)
        put_rows(self.rest, out, ends[:-1])
        small = len(out) + len(self.head) * len(self) <= LARGE
        kind = pa.binary() if small else pa.large_binary()
        rest = build(out, ends, self.rest.valid).cast(kind)
        return pc.binary_join_element_wise(pa.scalar(self.head, kind), rest, pa.scalar(b"", kind))


def bound(
    column: pa.Array | pa.ChunkedArray,
    path: Path,
    context: bytes,
    keys: Sequence[tuple[str, pa.Array | pa.ChunkedArray]],
) -> Bound:
    """The associated data of each value of `leaf(column, path)`.

    `keys` are the bound columns, each with its name, as they are stored: a value for each row of
    `column`, of a type of single values. Raises InvalidValue where a bound column is null in a row
    that holds a value here, SchemaError for a path or a type that does not fit, UsageError for
    columns of another length.
    """
    array = flat(column)
    parts = [_key(key, len(array)) for _, key in keys]
    head = _head(context, [(name, _family(key.type)) for name, key in keys])
    for i, step in enumerate(path):
        fits(array.type, step, path[: i + 1])
        if not isinstance(step, Step):
            array = array.field(array.type.get_field_index(step))
            continue
        offsets, children = children_of(array)
        above = np.repeat(np.arange(len(array)), np.diff(offsets))
        parts = [_Part(cells=_at(part.cells, above), sized=part.sized) for part in parts]
        if step is Step.VALUES:
            parts.append(_key(children[0], len(above)))
        else:
            parts.append(_places(offsets, above))
        array = children[-1]
    held = _held(parts)
    if held is not None:
        _refuse_nulls(column, path, held)
        held = None if held.all() else held
    return Bound(head=head, rest=_packed(parts, len(array), held))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What each value's associated data says next; `sized` is what has its length before it."""

    cells: Cells
    sized: bool


def _head(context: bytes, named: Sequence[tuple[str, str]]) -> bytes:
    head = b"pp1:b:" + _sized(context) + struct.pack(">I", len(named))
    for name, family in named:
        head += _sized(name.lower().encode()) + _sized(family.encode())
    return head + bytes(-len(head) % _BLOCK)


def _sized(part: bytes) -> bytes:
    return struct.pack(">I", len(part)) + part


def _family(kind: pa.DataType) -> str:
    """The types whose equal values have equal bytes, in the words of a policy's domains."""
    if pt.is_dictionary(kind):
        return _family(kind.value_type)
    if pt.is_decimal(kind):
        return f"decimal.{kind.scale}"
    if pt.is_timestamp(kind):
        return "timestamp" if kind.tz else "timestamp_ntz"
    for fits_kind, family in _FAMILIES:
        if fits_kind(kind):
            return family
    raise SchemaError(f"a bound column is of the type {kind}, which is not one of single values")


def _key(key: pa.Array | pa.ChunkedArray, count: int) -> _Part:
    if len(key) != count:
        raise UsageError(f"{len(key)} values of a bound column for {count} rows")
    found = cells(encode(key))
    if found.lengths.max(initial=0) >= NULL:
        raise EncodingError("a value of 4 GiB or more in a bound column")
    return _Part(cells=found, sized=True)


def _places(offsets: Ints, above: Ints) -> _Part:
    places = np.arange(len(above)) - offsets[above]
    return _Part(cells=_numbers(places), sized=False)


def _numbers(numbers: Ints) -> Cells:
    """u32 of each."""
    starts = np.arange(len(numbers), dtype=np.int64) * 4
    data = numbers.astype(_U32).view(np.uint8)
    return Cells(data=data, starts=starts, lengths=np.full_like(starts, 4), valid=None)


def _at(own: Cells, rows: Ints) -> Cells:
    return Cells(
        data=own.data,
        starts=own.starts[rows],
        lengths=own.lengths[rows],
        valid=None if own.valid is None else own.valid[rows],
    )


def _held(parts: list[_Part]) -> Mask | None:
    """The values of which no part is null; None where that is all of them."""
    held = None
    for part in parts:
        if part.cells.valid is not None:
            held = part.cells.valid if held is None else held & part.cells.valid
    return held


def _refuse_nulls(column: pa.Array | pa.ChunkedArray, path: Path, held: Mask) -> None:
    valid = validity(leaf(column, path))
    loose = ~held if valid is None else valid & ~held
    if loose.any():
        count = len(np.unique(leaf_rows(column, path)[loose]))
        raise InvalidValue(
            f"rows that hold a value and have null in a bound column: {count}",
            hint="bind to columns that name every row, or leave these rows out",
        )


def _packed(parts: list[_Part], count: int, held: Mask | None) -> Cells:
    """The parts of each value, one behind the other."""
    lengths = np.zeros(count, dtype=np.int64)
    for part in parts:
        lengths += part.cells.lengths + 4 * part.sized
    widest = sum(int(part.cells.lengths.max(initial=0)) + 4 * part.sized for part in parts)
    stride = -(-widest // _BLOCK) * _BLOCK
    # Rows at one distance are written in a few large moves. Where a few long ones would make room
    # for all, each has its exact size.
    if stride <= WIDE or stride * count <= 4 * int(lengths.sum()):
        data, starts = _even(parts, count, stride)
    else:
        data, starts = _exact(parts, lengths)
    if held is not None:
        lengths *= held
    return Cells(data=data, starts=starts, lengths=lengths, valid=held)


def _even(parts: list[_Part], count: int, stride: int) -> tuple[Bytes, Ints]:
    """The parts, `stride` bytes from row to row.

    A part is moved with whatever makes it as long as the longest: that lies in the room of its own
    row, where the next part is written later, or behind the row's end.
    """
    out = np.empty(stride * (count + 1) + _BLOCK, dtype=np.uint8)
    starts = np.arange(count, dtype=np.int64) * stride

    def put(rows: Items, at: int | Ints) -> None:
        if isinstance(at, int):
            kind, strides = rows.dtype, (stride,)
            np.ndarray((count,), kind, buffer=out, offset=at, strides=strides)[...] = rows
        else:
            windows(out, rows.dtype.itemsize)[starts + at] = rows

    at: int | Ints = 0  # one number, as far as all parts before it have one length each
    for part in parts:
        own = part.cells
        if part.sized:
            put(own.lengths.astype(_U32).view("V4"), at)
            at = at + 4
        width, least = int(own.lengths.max(initial=0)), int(own.lengths.min(initial=0))
        if width:
            put(_widened(own, width), at)
        at = at + (width if width == least else own.lengths)
    return out, starts


def _exact(parts: list[_Part], lengths: Ints) -> tuple[Bytes, Ints]:
    """The parts, with no byte between one row and the next."""
    ends = edges(lengths)
    out = np.empty(int(ends[-1]) + _BLOCK, dtype=np.uint8)
    at = starts = ends[:-1]
    for part in parts:
        own = part.cells
        if part.sized:
            windows(out, 4)[at] = own.lengths.astype(_U32).view("V4")
            at = at + 4
        put_rows(own, out, at)
        at = at + own.lengths
    return out, starts


def _widened(own: Cells, width: int) -> Items:
    """`width` bytes from the start of each row on."""
    data, starts = own.data, own.starts
    low, high = int(starts.min()), int(starts.max()) + width
    if high > len(data):
        data = np.zeros(high - low, dtype=np.uint8)
        data[: len(own.data) - low] = own.data[low:]
        starts = starts - low
    return windows(data, width)[starts]
