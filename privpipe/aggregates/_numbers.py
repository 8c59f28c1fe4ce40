"""Arrow's numbers as digits of exact sums, and exact sums as numbers of a type."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._digits import BASE, Terms
from privpipe.aggregates._groups import Int64s
from privpipe.errors import SchemaError

__all__ = [
    "FLOAT_SCALE",
    "INFINITE",
    "MINUS_INFINITE",
    "NOT_A_NUMBER",
    "check_number",
    "doubles",
    "is_number",
    "specials",
    "square_terms",
    "terms",
    "unit",
    "unscaled",
]

FLOAT_SCALE = 1074
"""The least double is 2^-1074, and all are whole multiples of it."""

NOT_A_NUMBER, INFINITE, MINUS_INFINITE = 1, 2, 4

_LOW = np.uint64((1 << BASE) - 1)
_BASE = np.uint64(BASE)
_FRACTION = np.uint64((1 << 52) - 1)

UInt64s = npt.NDArray[np.uint64]
Doubles = npt.NDArray[np.float64]


def is_number(kind: pa.DataType) -> bool:
    """Whether the type is one of Spark's integers, floats or decimals."""
    return kind in (
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
    ) or pt.is_decimal128(kind)


def check_number(kind: pa.DataType, aggregate: str) -> None:
    """Raises: SchemaError for a type that has no sum."""
    if not is_number(kind):
        raise SchemaError(
            f"{aggregate} takes numbers, not {kind}",
            hint="integers, floats and decimals have sums: cast the column first",
        )


def unit(kind: pa.DataType) -> Fraction:
    """What 1 in the digits of an exact sum of this type stands for."""
    if pt.is_decimal128(kind):
        return Fraction(1, 10**kind.scale)
    return Fraction(1, 1 << FLOAT_SCALE) if pt.is_floating(kind) else Fraction(1)


def specials(values: pa.Array) -> npt.NDArray[np.int8] | None:
    """Which of the values are NaN or infinite, by the flags above; None where none can be."""
    if not pt.is_floating(values.type):
        return None
    column = values.to_numpy(zero_copy_only=False)
    if np.isfinite(column).all():
        return None
    flags = np.where(np.isnan(column), NOT_A_NUMBER, 0)
    flags |= np.where(column == np.inf, INFINITE, 0) | np.where(
        column == -np.inf, MINUS_INFINITE, 0
    )
    return flags.astype(np.int8)


def doubles(values: pa.Array) -> Doubles:
    """Numbers without nulls as doubles, the nearest ones, as Spark casts them; -0.0 is 0.0."""
    if pt.is_decimal128(values.type):
        return np.array([float(each) for each in values.to_pylist()], dtype=np.float64)
    found: Doubles = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return found + 0.0


def terms(index: Int64s, values: pa.Array) -> Iterator[Terms]:
    """The values' digits. No value is null, NaN or infinite."""
    if pt.is_floating(values.type):
        yield from _float_terms(index, values)
    elif pt.is_decimal128(values.type):
        low, high = _words(values)
        if ((low >> np.int64(63)) == high).all():
            yield from _word_terms(index, low, 0)
        else:
            # All but the highest digit are as without a sign: two's complement.
            bits = low.view(np.uint64)
            yield _at(index, 0, bits & _LOW)
            yield _at(index, 1, bits >> _BASE)
            yield from _word_terms(index, high, 2)
    else:
        yield from _word_terms(index, _integers(values), 0)


def square_terms(index: Int64s, values: pa.Array) -> Iterator[Terms]:
    """The digits of the values' squares, in squares of the unit."""
    if pt.is_floating(values.type):
        limbs, places = _float_limbs(values)
        base: Int64s | int = 2 * places
    else:
        limbs, base = _limbs(values), 0
    for i, one in enumerate(limbs):
        for j, other in enumerate(limbs[i:], i):
            product = one * other
            low, high = product & _LOW, product >> _BASE
            times = np.uint64(0 if i == j else 1)
            yield _at(index, base + i + j, low << times)
            yield _at(index, base + i + j + 1, high << times)


def unscaled(values: pa.Array) -> list[int]:
    """The digits of decimals without nulls, as whole numbers."""
    low, high = _words(values)
    bits = low.view(np.uint64).tolist()
    return [(top << 64) + bottom for top, bottom in zip(high.tolist(), bits, strict=True)]


def _integers(values: pa.Array) -> Int64s:
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)


def _at(index: Int64s, place: Int64s | int, digits: npt.NDArray[np.uint64]) -> Terms:
    return Terms(index=index, place=place, digits=digits.astype(np.float64))


def _word_terms(index: Int64s, words: Int64s, place: int) -> Iterator[Terms]:
    if not len(words):
        return
    high = words >> np.int64(BASE)
    if high.max() <= 0 and high.min() >= -1:
        yield Terms(index=index, place=place, digits=words.astype(np.float64))
    else:
        low = words & np.int64((1 << BASE) - 1)
        yield Terms(index=index, place=place, digits=low.astype(np.float64))
        yield Terms(index=index, place=place + 1, digits=high.astype(np.float64))


def _words(values: pa.Array) -> tuple[Int64s, Int64s]:
    """The low and the high 64 bits of decimals."""
    words = np.frombuffer(values.buffers()[1] or b"", dtype="<i8")
    pairs = words[2 * values.offset : 2 * (values.offset + len(values))].reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def _mantissas(values: pa.Array) -> tuple[UInt64s, Int64s]:
    """Whole numbers and powers of two: a value's magnitude is m * 2^p of the least doubles."""
    column = values.to_numpy(zero_copy_only=False).astype(np.float64)
    bits = column.view(np.uint64)
    exponent = ((bits >> np.uint64(52)) & np.uint64(0x7FF)).astype(np.int64)
    hidden = (exponent > 0).astype(np.uint64) << np.uint64(52)
    return (bits & _FRACTION) | hidden, np.maximum(exponent, 1) - 1


def _float_limbs(values: pa.Array) -> tuple[list[UInt64s], Int64s]:
    mantissa, power = _mantissas(values)
    shift = (power % BASE).astype(np.uint64)
    # At most 53 + 31 bits, so three digits; a shift by 32 - 0 leaves what lies above the first.
    above = mantissa >> (_BASE - shift)
    return [(mantissa << shift) & _LOW, above & _LOW, above >> _BASE], power // BASE


def _float_terms(index: Int64s, values: pa.Array) -> Iterator[Terms]:
    limbs, places = _float_limbs(values)
    sign = np.where(np.signbit(values.to_numpy(zero_copy_only=False)), -1.0, 1.0)
    for i, limb in enumerate(limbs):
        yield Terms(index=index, place=places + i, digits=limb.astype(np.float64) * sign)


def _limbs(values: pa.Array) -> list[UInt64s]:
    """The magnitude in digits, lowest first."""
    if pt.is_decimal128(values.type):
        low, high = _words(values)
        if ((low >> np.int64(63)) != high).any():
            negative = high < 0
            bits, top = low.view(np.uint64), high.view(np.uint64)
            borrow = (bits != 0).astype(np.uint64)
            top = np.where(negative, np.uint64(0) - top - borrow, top)
            bits = np.where(negative, np.uint64(0) - bits, bits)
            return [bits & _LOW, bits >> _BASE, top & _LOW, top >> _BASE]
        words = low
    else:
        words = _integers(values)
    # The magnitude of the least int64 is a uint64, though no int64.
    size = np.where(words < 0, np.uint64(0) - words.view(np.uint64), words.view(np.uint64))
    high_digit = size >> _BASE
    return [size & _LOW, high_digit] if high_digit.any() else [size]
