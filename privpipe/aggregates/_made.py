"""Exact figures as Arrow arrays of the types that Spark SQL gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from privpipe.aggregates._groups import Int64s, Mask
from privpipe.errors import EncodingError

__all__ = ["bigints", "bounded", "decimals", "nearest", "scaled", "short_decimals"]

_MOST = 38
_INT64 = 1 << 63


def bounded(precision: int, scale: int) -> pa.DataType:
    """Spark's `DecimalType.bounded`."""
    return pa.decimal128(min(precision, _MOST), min(scale, _MOST))


def bigints(figures: Sequence[int | None]) -> pa.Array:
    """Raises: EncodingError for one that 64 bits do not hold."""
    if any(each is not None and not -_INT64 <= each < _INT64 for each in figures):
        raise EncodingError(
            "a sum is beyond bigint", hint="cast the column to decimal(38,0) before it is summed"
        )
    return pa.array(figures, pa.int64())


def decimals(unscaled: Sequence[int | None], kind: pa.DataType) -> pa.Array:
    """Decimals of these digits. Raises: EncodingError for one that the type does not hold."""
    limit = 10**kind.precision
    if any(each is not None and abs(each) >= limit for each in unscaled):
        raise EncodingError(
            f"a figure is beyond {kind}", hint="cast the column to fewer digits, or to double"
        )
    words = b"".join((each or 0).to_bytes(16, "little", signed=True) for each in unscaled)
    there = np.array([each is not None for each in unscaled], dtype=np.bool_)
    valid = np.packbits(there, bitorder="little")
    buffers = [pa.py_buffer(valid.tobytes()), pa.py_buffer(words)]
    return pa.Array.from_buffers(kind, len(unscaled), buffers)


def short_decimals(unscaled: Int64s, valid: Mask, kind: pa.DataType) -> pa.Array | None:
    """Decimals of these digits, or None where one of them is beyond the type."""
    if kind.precision < 19 and (np.abs(unscaled) >= 10**kind.precision).any():
        return None
    words = np.stack([unscaled, unscaled >> 63], axis=1).astype("<i8")
    bits = np.packbits(valid, bitorder="little")
    buffers = [pa.py_buffer(bits.tobytes()), pa.py_buffer(words.tobytes())]
    return pa.Array.from_buffers(kind, len(unscaled), buffers)


def nearest(numerator: int, denominator: int) -> float:
    """The double nearest to a fraction; infinite beyond the last one."""
    try:
        return numerator / denominator
    except OverflowError:
        return float("-inf") if (numerator < 0) != (denominator < 0) else float("inf")


def scaled(numerator: int, denominator: int, places: int) -> int:
    """numerator / denominator in units of 10^-places, halves away from zero, as Spark rounds."""
    sign = -1 if (numerator < 0) != (denominator < 0) else 1
    whole, rest = divmod(abs(numerator) * 10**places, abs(denominator))
    up = 1 if 2 * rest >= abs(denominator) else 0
    return int(sign * (whole + up))
