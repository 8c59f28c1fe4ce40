"""Exact sums as machine numbers, all groups at once: 64-bit integers and nearest doubles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.aggregates._digits import BASE
from privpipe.aggregates._groups import Int64s

__all__ = ["as_doubles", "as_int64s"]

_HALF, _REST = np.uint64(0x400), np.uint64(0x7FF)
_ONE, _ELEVEN, _WORD = np.uint64(1), np.uint64(11), np.uint64(BASE)

UInt64s = npt.NDArray[np.uint64]


def as_int64s(sums: pa.StructArray) -> Int64s | None:
    """Each sum; None where one of them has more than 62 bits."""
    first, lengths, digits, starts = _parts(sums)
    if len(lengths) and (first + lengths).max() > 2:
        return None
    pair = np.zeros((len(lengths), 2), dtype=np.int64)
    row = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(digits)) - starts[row]
    pair[row, first[row] + within] = digits
    if (np.abs(pair[:, 1]) >= 1 << 30).any():
        return None
    found: Int64s = (pair[:, 1] << BASE) + pair[:, 0]
    return found


def as_doubles(sums: pa.StructArray, scale: int) -> npt.NDArray[np.float64]:
    """The double nearest to each sum / 2^scale, ties to even; infinite beyond the last one.

    Every sum is a whole multiple of the least double: where one is subnormal, nothing is rounded.
    """
    first, lengths, digits, starts = _parts(sums)
    ends = starts + lengths
    top, middle, low = (_digit(digits, ends - back, starts) for back in (1, 2, 3))
    # 64 bits from the highest that is set, and whether anything is below: the lowest digit of a
    # sum is not 0.
    zeros = (BASE - np.frexp(top.astype(np.float64))[1]).astype(np.uint64) % _WORD
    word = (((top << _WORD) | middle) << zeros) | (low >> (_WORD - zeros))
    below = ((low & ((_ONE << (_WORD - zeros)) - _ONE)) != 0) | (lengths > 3)
    mantissa, rest = word >> _ELEVEN, word & _REST
    odd = (mantissa & _ONE) == _ONE
    mantissa += (rest > _HALF) | ((rest == _HALF) & (below | odd))
    power = BASE * (first + lengths - 2) - zeros.astype(np.int64) + 11 - scale
    last = digits[np.maximum(ends - 1, 0)] if len(digits) else np.zeros(len(ends))
    sign = np.where((lengths > 0) & (last < 0), -1.0, 1.0)
    with np.errstate(over="ignore"):
        return sign * np.ldexp(mantissa.astype(np.float64), power.astype(np.int32))


def _parts(sums: pa.StructArray) -> tuple[Int64s, Int64s, Int64s, Int64s]:
    """The lowest places, the numbers of digits, the digits, and where each sum's begin."""
    lists = sums.field("digits")
    offsets = lists.offsets.to_numpy().astype(np.int64)
    digits = lists.flatten().to_numpy()
    first = sums.field("first").to_numpy().astype(np.int64)
    return first, np.diff(offsets), digits, offsets[:-1] - offsets[0]


def _digit(digits: Int64s, place: Int64s, starts: Int64s) -> UInt64s:
    """The magnitude of a digit, and 0 where a sum has none."""
    if not len(digits):
        return np.zeros(len(place), dtype=np.uint64)
    found = np.abs(digits[np.maximum(place, 0)])
    return np.where(place >= starts, found, 0).astype(np.uint64)
