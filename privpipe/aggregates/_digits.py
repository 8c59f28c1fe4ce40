"""Exact sums: numbers of any length in digits of 32 bits, all groups at once.

A sum is `first` and `digits`: digits[i] * 2^(32 * (first + i)) summed up. All digits of a number
have its sign and are below 2^32, none at either end is 0, and zero has no digits: a number is
written in one way alone, whatever it was summed from.

Digits are summed as doubles by `bincount`, 2^20 at a time: exact, since 2^20 * 2^32 < 2^53.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.aggregates._groups import Groups, Int64s

__all__ = ["BASE", "DIGITS", "Terms", "as_integers", "merged", "summed"]

BASE = 32
DIGITS = pa.struct([("first", pa.int32()), ("digits", pa.list_(pa.int64()))])

_BLOCK = 1 << 20
_LOW = np.int64((1 << BASE) - 1)

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Digits to be summed: of the groups `index`, at the place `place` (one, or one each)."""

    index: Int64s
    place: Int64s | int
    digits: Doubles

    def lowest(self) -> int:
        """The lowest place."""
        return self.place if isinstance(self.place, int) else int(self.place.min())

    def highest(self) -> int:
        """The highest place."""
        return self.place if isinstance(self.place, int) else int(self.place.max())


def summed(count: int, terms: Iterable[Terms]) -> pa.StructArray:
    """The sum of each group's terms."""
    some = [each for each in terms if len(each.index)]
    if not some:
        return _canonical(np.zeros((count, 1), dtype=np.int64), 0)
    low = min(each.lowest() for each in some)
    # 2^63 of the largest digits reach one place further; one more takes the sign.
    width = max(each.highest() for each in some) - low + 3
    matrix = np.zeros((count, width), dtype=np.int64)
    for each in some:
        _add(matrix, each, low)
    return _canonical(matrix, low)


def merged(groups: Groups, sums: pa.StructArray) -> pa.StructArray:
    """The sum of each group's sums."""
    first = sums.field("first").to_numpy()
    lists = sums.field("digits")
    lengths = np.diff(lists.offsets.to_numpy())
    digits = lists.flatten().to_numpy()
    row = np.repeat(np.arange(len(sums)), lengths)
    within = np.arange(len(digits)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    place = first[row].astype(np.int64) + within
    terms = Terms(index=groups.index[row], place=place, digits=digits.astype(np.float64))
    return summed(groups.count, [terms])


def as_integers(sums: pa.StructArray) -> list[tuple[int, int]]:
    """Each sum as n and e: it is n * 2^(32 * e)."""
    return [(_integer(one["digits"]), one["first"]) for one in sums.to_pylist()]


def _integer(digits: list[int]) -> int:
    if not digits:
        return 0
    sign = -1 if digits[-1] < 0 else 1
    return sign * int.from_bytes(np.abs(np.array(digits)).astype("<u4").tobytes(), "little")


def _add(matrix: Int64s, terms: Terms, low: int) -> None:
    count, width = matrix.shape
    for start in range(0, len(terms.index), _BLOCK):
        block = slice(start, start + _BLOCK)
        index, digits = terms.index[block], terms.digits[block]
        if isinstance(terms.place, int):
            found = np.bincount(index, digits, minlength=count)
            matrix[:, terms.place - low] += found.astype(np.int64)
        else:
            cell = index * width + (terms.place[block] - low)
            found = np.bincount(cell, digits, minlength=count * width)
            matrix += found.astype(np.int64).reshape(count, width)


def _canonical(matrix: Int64s, low: int) -> pa.StructArray:
    _carry(matrix)
    negative = matrix[:, -1] < 0
    if negative.any():
        turned = -matrix[negative]
        _carry(turned)
        matrix[negative] = -turned
    used = matrix != 0
    some = used.any(axis=1)
    width = matrix.shape[1]
    first = np.where(some, used.argmax(axis=1), 0)
    behind = np.where(some, width - used[:, ::-1].argmax(axis=1), 0)
    place = np.arange(width)
    kept = (place >= first[:, None]) & (place < behind[:, None])
    offsets = np.zeros(len(matrix) + 1, dtype=np.int32)
    np.cumsum(behind - first, out=offsets[1:])
    digits = pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix[kept]))
    starts = pa.array(np.where(some, first + low, 0).astype(np.int32))
    return pa.StructArray.from_arrays([starts, digits], fields=list(DIGITS))


def _carry(matrix: Int64s) -> None:
    """Every digit but the last from 0 to 2^32 - 1; the last has the sign."""
    for place in range(matrix.shape[1] - 1):
        matrix[:, place + 1] += matrix[:, place] >> BASE
        matrix[:, place] &= _LOW
