"""Chunks, slices and validity bitmaps: what every other file here stands on."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from privpipe.errors import EncodingError

__all__ = [
    "LARGE",
    "Bytes",
    "Ints",
    "Items",
    "Mask",
    "bitmap",
    "bits",
    "children_of",
    "edges",
    "flat",
    "is_bytes",
    "listed",
    "offsets_of",
    "raw",
    "validity",
    "windows",
]

Bytes: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Items: TypeAlias = npt.NDArray[np.void]

LARGE = 2**31 - 1
"""The last offset that Arrow's 32-bit layouts can hold."""

_NOTHING: Bytes = np.empty(0, dtype=np.uint8)


def flat(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous array. Copies only where there are several chunks."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    if array.num_chunks == 1:
        return array.chunk(0)
    if array.num_chunks == 0:
        return pa.array([], type=array.type)
    try:
        whole = array.combine_chunks()
    except pa.ArrowInvalid:
        whole = None
    # Arrow keeps several chunks where one array's 32-bit offsets would overflow.
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks == 1 else None
    if whole is None:
        raise EncodingError(
            "more than 2 GiB in one batch of a column", hint="hand over smaller batches"
        )
    return whole


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a value of the type is text or bytes of any length."""
    return any(
        test(kind)
        for test in (
            pt.is_string,
            pt.is_binary,
            pt.is_large_string,
            pt.is_large_binary,
            pt.is_string_view,
            pt.is_binary_view,
        )
    )


def raw(buffer: pa.Buffer | None) -> Bytes:
    """A buffer's bytes, for reading only; empty where there is none."""
    if buffer is None or buffer.size == 0:
        return _NOTHING
    data = np.frombuffer(buffer, dtype=np.uint8)
    data.flags.writeable = False
    return data


def validity(array: pa.Array) -> Mask | None:
    """True where a row holds a value; None where every row does."""
    if array.null_count == 0:
        return None
    buffer = array.buffers()[0]
    if buffer is None:  # the null type, and unions, keep no bitmap
        return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=np.bool_)
    return bits(buffer, array.offset, len(array))


def bits(buffer: pa.Buffer, offset: int, length: int) -> Mask:
    """`length` bits of a bitmap from bit `offset` on."""
    first = offset >> 3
    packed = raw(buffer)[first : (offset + length + 7) >> 3]
    skip = offset & 7
    unpacked = np.unpackbits(packed, count=skip + length, bitorder="little")
    return unpacked[skip:].view(np.bool_)


def bitmap(valid: Mask | None) -> pa.Buffer | None:
    """The validity buffer of a mask; None where nothing is null."""
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def offsets_of(array: pa.Array, *, large: bool) -> npt.NDArray[np.signedinteger]:
    """The n + 1 offsets of a list- or binary-like array's own rows, as they lie there."""
    kind = np.dtype(np.int64 if large else np.int32)
    if len(array) == 0:  # an empty array may have no offsets at all
        return np.zeros(1, dtype=kind)
    buffer = array.buffers()[1]
    return np.frombuffer(buffer, kind, count=len(array) + 1, offset=array.offset * kind.itemsize)


def children_of(array: pa.Array) -> tuple[Ints, list[pa.Array]]:
    """The rows of a list, large list or map array, laid bare.

    Row i holds the items `rows[i]` to `rows[i + 1]` of each child: [elements], or [keys, values].
    The children are cut to the array's own rows, so `rows[0]` is 0. A null row may still span
    items.
    """
    rows = offsets_of(array, large=pt.is_large_list(array.type)).astype(np.int64)
    first, count = int(rows[0]), int(rows[-1] - rows[0])
    children = [array.keys, array.items] if pt.is_map(array.type) else [array.values]
    return rows - first, [child.slice(first, count) for child in children]


def listed(kind: pa.DataType, rows: Ints, valid: Mask | None, children: list[pa.Array]) -> pa.Array:
    """The inverse of `children_of`: a list, large list or map array of type `kind`."""
    if pt.is_map(kind):
        entries = pa.struct([kind.key_field, kind.item_field])
        children = [pa.Array.from_buffers(entries, int(rows[-1]), [None], children=children)]
    offsets = pa.py_buffer(rows.astype(np.int64 if pt.is_large_list(kind) else np.int32))
    return pa.Array.from_buffers(kind, len(rows) - 1, [bitmap(valid), offsets], children=children)


def edges(lengths: Ints) -> Ints:
    """Offsets (n + 1) of rows of these lengths that lie one behind the other."""
    ends = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ends


def windows(data: Bytes, width: int) -> Items:
    """Item i is `data[i:i + width]`."""
    count = max(len(data) - width + 1, 0)
    return np.ndarray((count,), dtype=np.dtype(f"V{width}"), buffer=data, strides=(1,))
