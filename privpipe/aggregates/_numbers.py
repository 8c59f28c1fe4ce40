"""Arrow's numbers as digits of exact sums, and exact sums as numbers of a type."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._digits import BASE, Span, Terms, block_of, summed
from privpipe.aggregates._groups import Groups, Int64s
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
    "summed_squares",
    "summed_values",
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


def summed_values(groups: Groups, values: pa.Array) -> pa.StructArray:
    """Each group's exact sum. No value is null, NaN or infinite."""
    span = _span(values, 1)
    terms = (
        Terms(rows=rows, base=base, digits=digits)
        for rows in _blocks(groups, values, span)
        for base, digits in (_digits(values[rows]),)
    )
    return summed(groups, span, terms)


def summed_squares(groups: Groups, values: pa.Array) -> pa.StructArray:
    """Each group's exact sum of squares, in squares of the unit."""
    span = _span(values, 2)
    terms = (
        Terms(rows=rows, base=2 * base, digits=_squared(limbs))
        for rows in _blocks(groups, values, span)
        for base, limbs in (_limbs(values[rows]),)
    )
    return summed(groups, span, terms)


def unscaled(values: pa.Array) -> list[int]:
    """The digits of decimals without nulls, as whole numbers."""
    low, high = _words(values)
    bits = low.view(np.uint64).tolist()
    return [(top << 64) + bottom for top, bottom in zip(high.tolist(), bits, strict=True)]


def _blocks(groups: Groups, values: pa.Array, span: Span) -> Iterator[slice]:
    block = block_of(groups.count, span)
    for start in range(0, len(values), block):
        yield slice(start, start + block)


def _span(values: pa.Array, power: int) -> Span:
    """The places of the values' digits, or of those of their squares."""
    if not pt.is_floating(values.type):
        return 0, 4 * power - 1
    size = np.abs(values.to_numpy(zero_copy_only=False))
    least = np.min(size, where=size > 0, initial=np.inf)
    low, high = (_power(each) // BASE for each in (least, np.max(size, initial=0.0)))
    return power * min(low, high), power * (high + 3) - 1


def _power(number: float) -> int:
    """How many times the least double is doubled in a number's last bit."""
    return max(math.frexp(number)[1] + FLOAT_SCALE - 53, 0) if math.isfinite(number) else 1 << 12


def _digits(values: pa.Array) -> tuple[Int64s | int, list[Doubles]]:
    """The place of the lowest digits, and the digits, lowest first; the sign is in each, or, in
    two's complement, in the last."""
    if pt.is_floating(values.type):
        base, limbs = _limbs(values)
        sign = np.where(np.signbit(values.to_numpy(zero_copy_only=False)), -1.0, 1.0)
        return base, [limb.astype(np.float64) * sign for limb in limbs]
    if not pt.is_decimal128(values.type):
        return 0, _word_digits(_integers(values))
    low, high = _words(values)
    if ((low >> np.int64(63)) == high).all():
        return 0, _word_digits(low)
    bits = low.view(np.uint64)
    lower = [(bits & _LOW).astype(np.float64), (bits >> _BASE).astype(np.float64)]
    return 0, [*lower, *_word_digits(high)]


def _word_digits(words: Int64s) -> list[Doubles]:
    high = words >> np.int64(BASE)
    if not len(words) or (high.max() <= 0 and high.min() >= -1):
        return [words.astype(np.float64)]
    low = words & np.int64((1 << BASE) - 1)
    return [low.astype(np.float64), high.astype(np.float64)]


def _limbs(values: pa.Array) -> tuple[Int64s | int, list[UInt64s]]:
    """The place of the lowest digits of the magnitudes, and those, lowest first."""
    if pt.is_floating(values.type):
        return _float_limbs(values)
    if not pt.is_decimal128(values.type):
        return 0, _word_limbs(_integers(values))
    low, high = _words(values)
    if ((low >> np.int64(63)) == high).all():
        return 0, _word_limbs(low)
    negative, bits, top = high < 0, low.view(np.uint64), high.view(np.uint64)
    borrow = (bits != 0).astype(np.uint64)
    top = np.where(negative, np.uint64(0) - top - borrow, top)
    bits = np.where(negative, np.uint64(0) - bits, bits)
    return 0, [bits & _LOW, bits >> _BASE, top & _LOW, top >> _BASE]


def _word_limbs(words: Int64s) -> list[UInt64s]:
    # The magnitude of the least int64 is a uint64, though no int64.
    size = np.where(words < 0, np.uint64(0) - words.view(np.uint64), words.view(np.uint64))
    high = size >> _BASE
    return [size & _LOW, high] if high.any() else [size]


def _float_limbs(values: pa.Array) -> tuple[Int64s, list[UInt64s]]:
    """A double is m * 2^p times the least one; m has 53 bits, and 31 more make p a place."""
    bits = values.to_numpy(zero_copy_only=False).astype(np.float64).view(np.uint64)
    exponent = ((bits >> np.uint64(52)) & np.uint64(0x7FF)).astype(np.int64)
    normal = exponent > 0
    mantissa = (bits & _FRACTION) | (normal.astype(np.uint64) << np.uint64(52))
    power = exponent - normal
    shift = (power & (BASE - 1)).astype(np.uint64)
    # A shift by 32 - 0 leaves what lies above the first digit.
    above = mantissa >> (_BASE - shift)
    return power >> 5, [(mantissa << shift) & _LOW, above & _LOW, above >> _BASE]


def _squared(limbs: list[UInt64s]) -> list[Doubles]:
    """The digits of the squares: each a sum of up to six numbers below 2^33."""
    found = [np.zeros(len(limbs[0])) for _ in range(2 * len(limbs))]
    for i, one in enumerate(limbs):
        for j, other in enumerate(limbs[i:], i):
            product, times = one * other, 1.0 if i == j else 2.0
            found[i + j] += times * (product & _LOW)
            found[i + j + 1] += times * (product >> _BASE)
    return found


def _integers(values: pa.Array) -> Int64s:
    return np.asarray(values.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)


def _words(values: pa.Array) -> tuple[Int64s, Int64s]:
    """The low and the high 64 bits of decimals."""
    words = np.frombuffer(values.buffers()[1] or b"", dtype="<i8")
    pairs = words[2 * values.offset : 2 * (values.offset + len(values))].reshape(-1, 2)
    return pairs[:, 0].copy(), pairs[:, 1].copy()
