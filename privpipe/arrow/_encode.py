"""Typed values to canonical bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from privpipe.arrow._build import build
from privpipe.arrow._fixed import to_matrix, width_of
from privpipe.arrow._layout import (
    LARGE,
    Ints,
    Mask,
    children_of,
    edges,
    flat,
    is_bytes,
    offsets_of,
    raw,
    validity,
)
from privpipe.errors import EncodingError

__all__ = ["NULL", "encode"]

NULL = 0xFFFF_FFFF
"""Stands for the length of an item that is null."""

_U32 = np.dtype(">u4")


def encode(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The canonical bytes of each value: `binary`, or `large_binary` for large types and views.

    Nulls stay null. All integers are big-endian:

    - string: its UTF-8; binary of any kind: as it is; a dictionary: as its values;
    - bool: one byte, 00 or 01; int8 to int64: 8 bytes, two's complement;
    - float32: 4 bytes, float64: 8, IEEE 754, bit for bit;
    - decimal128: the unscaled number in 16 bytes, two's complement;
    - date32: days since 1970-01-01 in 8 bytes; timestamp[us], with a zone or without, and
      duration[us]: microseconds in 8 bytes; time64[ns]: nanoseconds in 8 bytes;
    - struct: the length of each field's bytes as u32 (FFFFFFFF for null), then those bytes;
    - list: the number of elements as u32, the length of each, then their bytes;
    - map: the number of entries as u32, the lengths of key, value, key, value…, then their bytes
      in the same order.

    Raises SchemaError for a type that has no canonical bytes, EncodingError for one item of 4 GiB.
    """
    return _encode(flat(array))


def _encode(array: pa.Array) -> pa.Array:
    kind = array.type
    if pt.is_string(kind) or pt.is_binary(kind):
        return array.cast(pa.binary())
    if is_bytes(kind):
        return array.cast(pa.large_binary())
    if pt.is_dictionary(kind):
        return _looked_up(array)
    if pt.is_struct(kind):
        return _struct(array)
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_map(kind):
        return _ragged(array)
    return _fixed(array, width_of(kind))


def _fixed(array: pa.Array, width: int) -> pa.Array:
    rows, valid = to_matrix(array), validity(array)
    if valid is None:
        ends = np.arange(len(array) + 1, dtype=np.int64) * width
    else:  # whatever lies beneath a null is left behind
        rows = rows[valid]
        ends = edges(valid.astype(np.int64) * width)
    return build(np.ascontiguousarray(rows).reshape(-1), ends, valid)


def _looked_up(array: pa.DictionaryArray) -> pa.Array:
    words = _encode(array.dictionary)
    if len(words) == 0:  # every row is null, or lies beneath a null, whatever its index says
        return pa.nulls(len(array), words.type)
    longest = int(_bounds(words)[1].max(initial=0))
    if longest * len(array) > LARGE:
        words = words.cast(pa.large_binary())
    return words.take(array.indices)


def _struct(array: pa.StructArray) -> pa.Array:
    fields = [_encode(array.field(i)) for i in range(array.type.num_fields)]
    head = _headers(_table(fields, len(array)), validity(array))
    return _join([head, *(_dense(field) for field in fields)])


def _ragged(array: pa.Array) -> pa.Array:
    """Lists and maps: the rows' items lie one behind the other, so a row's part of the lengths and
    of the bytes is one slice of all of them."""
    rows, columns = children_of(array)
    items = [_encode(column) for column in columns]
    lengths = _table(items, int(rows[-1]))
    body = _join([_dense(item) for item in items])
    counts = np.diff(rows).astype(_U32)[:, np.newaxis]
    table = build(lengths.view(np.uint8).reshape(-1), rows * (4 * len(items)), None)
    return _join([_headers(counts, validity(array)), table, _slices(body, rows)])


def _slices(body: pa.Array, rows: Ints) -> pa.Array:
    """Row i holds the bytes of `body[rows[i]:rows[i + 1]]`, one behind the other."""
    bounds, _ = _bounds(body)
    return build(raw(body.buffers()[2]), bounds[rows], None)


def _headers(numbers: npt.NDArray[np.uint32], valid: Mask | None) -> pa.Array:
    """Row i holds the numbers of row i, 4 bytes each."""
    count, width = numbers.shape
    ends = np.arange(count + 1, dtype=np.int64) * (4 * width)
    return build(np.ascontiguousarray(numbers).reshape(-1).view(np.uint8), ends, valid)


def _table(items: list[pa.Array], count: int) -> npt.NDArray[np.uint32]:
    """The lengths of `count` rows of all items, shape (count, items)."""
    lengths = np.empty((count, len(items)), dtype=_U32)
    for i, item in enumerate(items):
        lengths[:, i] = _lengths(item)
    return lengths


def _lengths(item: pa.Array) -> npt.NDArray[np.uint32]:
    """The length of each row as big-endian u32, NULL where it is null."""
    lengths, valid = _bounds(item)[1], validity(item)
    if valid is not None:
        lengths *= valid
    if lengths.max(initial=0) >= NULL:
        raise EncodingError("an item of 4 GiB or more")
    if valid is not None:
        lengths[~valid] = NULL
    return lengths.astype(_U32)


def _bounds(array: pa.Array) -> tuple[Ints, Ints]:
    """Offsets (n + 1) and lengths (n) of a binary column's rows."""
    bounds = offsets_of(array, large=pt.is_large_binary(array.type)).astype(np.int64)
    return bounds, np.diff(bounds)


def _dense(array: pa.Array) -> pa.Array:
    """Without nulls, and without what may lie beneath them."""
    return array.fill_null(b"") if array.null_count else array


def _join(parts: list[pa.Array]) -> pa.Array:
    """Row by row, one behind the other; null where a part is null."""
    small = all(pt.is_binary(part.type) for part in parts) and sum(p.nbytes for p in parts) <= LARGE
    kind = pa.binary() if small else pa.large_binary()
    return pc.binary_join_element_wise(*(p.cast(kind) for p in parts), pa.scalar(b"", kind))
