"""Types of one width: their canonical bytes as rows of a matrix, and back.

Integers of any width, dates, times and durations take 8 bytes, so that equal numbers meet in a
join whatever their columns' widths. Floats are moved as bits, never as numbers: -0.0 and the
payload of a NaN come back as they were.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from privpipe.arrow._layout import Bytes, Mask, bitmap, bits, raw
from privpipe.errors import EncodingError, SchemaError

__all__ = ["from_matrix", "to_matrix", "width_of"]

_DECIMAL = 16


def _stored(kind: pa.DataType) -> np.dtype[np.generic]:
    """How Arrow stores a value: signed for what widens to 8 bytes, unsigned for bare bits."""
    if pt.is_signed_integer(kind):
        return np.dtype(f"<i{kind.bit_width // 8}")
    if pt.is_date32(kind):
        return np.dtype("<i4")
    micros = (pt.is_timestamp(kind) or pt.is_duration(kind)) and kind.unit == "us"
    if micros or (pt.is_time64(kind) and kind.unit == "ns"):
        return np.dtype("<i8")
    if pt.is_float32(kind) or pt.is_float64(kind):
        return np.dtype(f"<u{kind.bit_width // 8}")
    raise SchemaError(f"a value of type {kind} has no canonical bytes")


def _wire(stored: np.dtype[np.generic]) -> np.dtype[np.generic]:
    return np.dtype(">i8") if stored.kind == "i" else stored.newbyteorder(">")


def width_of(kind: pa.DataType) -> int:
    """Bytes of a canonical value. Raises SchemaError for a type that has none."""
    if pt.is_boolean(kind):
        return 1
    if pt.is_decimal128(kind):
        return _DECIMAL
    if pt.is_fixed_size_binary(kind):
        return int(kind.byte_width)
    return _wire(_stored(kind)).itemsize


def to_matrix(array: pa.Array) -> Bytes:
    """The canonical bytes of every row, shape (n, width); what a null row holds is undefined."""
    kind, first, count = array.type, array.offset, len(array)
    if count == 0:
        return np.empty((0, width_of(kind)), dtype=np.uint8)
    buffer = array.buffers()[1]
    if pt.is_boolean(kind):
        return bits(buffer, first, count).view(np.uint8).reshape(count, 1)
    if pt.is_decimal128(kind) or pt.is_fixed_size_binary(kind):
        width = kind.byte_width
        rows = raw(buffer)[first * width : (first + count) * width].reshape(count, width)
        return rows[:, ::-1] if pt.is_decimal128(kind) else rows
    stored = _stored(kind)
    values = np.frombuffer(buffer, stored, count=count, offset=first * stored.itemsize)
    return values.astype(_wire(stored)).view(np.uint8).reshape(count, -1)


def from_matrix(rows: Bytes, kind: pa.DataType, valid: Mask | None) -> pa.Array:
    """A typed column from canonical bytes of shape (n, width); a null row's bytes are zeros."""
    data: npt.NDArray[np.generic]
    if pt.is_boolean(kind):
        data = _truth(rows)
    elif pt.is_decimal128(kind):
        data = np.ascontiguousarray(rows[:, ::-1])
    elif pt.is_fixed_size_binary(kind):
        data = np.ascontiguousarray(rows)
    else:
        data = _numbers(rows, kind)
    array = pa.Array.from_buffers(kind, len(rows), [bitmap(valid), pa.py_buffer(data)])
    try:
        array.validate(full=True)  # a decimal's precision, a time's range
    except pa.ArrowInvalid:
        # Arrow's own message prints the value.
        raise EncodingError(f"a value out of the range of {kind}") from None
    return array


def _truth(rows: Bytes) -> Bytes:
    if (rows > 1).any():
        raise EncodingError("bytes that are no bool")
    return np.packbits(rows, bitorder="little")


def _numbers(rows: Bytes, kind: pa.DataType) -> npt.NDArray[np.generic]:
    stored = _stored(kind)
    wire = np.ascontiguousarray(rows).view(_wire(stored)).reshape(-1)
    values = wire.astype(stored)
    if not np.array_equal(values, wire):
        raise EncodingError(f"a value out of the range of {kind}")
    return values
