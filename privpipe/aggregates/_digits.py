"""Exact sums: numbers of any length in digits of 32 bits, all groups at once.

A sum is `first` and `digits`: digits[i] * 2^(32 * (first + i)) summed up. All digits of a number
have its sign and are below 2^32, none at either end is 0, and zero has no digits: a number is
written in one way alone, whatever it was summed from.

Digits are summed as doubles by `bincount`, at most 2^17 terms below 2^36 at a time: below 2^53,
so exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.aggregates._groups import Groups, Int64s

__all__ = ["BASE", "DIGITS", "Span", "Terms", "as_integers", "block_of", "merged", "summed"]

BASE = 32
DIGITS = pa.struct([("first", pa.int32()), ("digits", pa.list_(pa.int64()))])

_BLOCK = 1 << 17
_CACHED = 1 << 15
_LOW = np.int64((1 << BASE) - 1)

Doubles = npt.NDArray[np.float64]
Span = tuple[int, int]
"""The lowest place of any term's digits, and the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The digits of some rows: the first ones at the place `base` (one, or one each), the next at
    the place above. All are below 2^36."""

    rows: slice
    base: Int64s | int
    digits: list[Doubles]


def block_of(count: int, span: Span) -> int:
    """How many rows at a time: few enough for the cache, and not fewer than there are sums."""
    return min(max(count * (span[1] - span[0] + 3), _CACHED), _BLOCK)


def summed(groups: Groups, span: Span, terms: Iterable[Terms]) -> pa.StructArray:
    """The sum of each group's terms."""
    # 2^27 terms of 2^36 reach two places further, and a third takes the sign.
    low, width = span[0], span[1] - span[0] + 4
    matrix = np.zeros((groups.count, width), dtype=np.int64)
    flat = matrix.reshape(-1)
    for each in terms:
        index = groups.index[each.rows]
        if isinstance(each.base, int):
            for place, digits in enumerate(each.digits, each.base - low):
                matrix[:, place] += np.bincount(index, digits, groups.count).astype(np.int64)
            continue
        # Zeros alone may lie below the span, and have nothing to add anywhere.
        cell = index * width + np.maximum(each.base - low, 0)
        for place, digits in enumerate(each.digits):
            found = np.bincount(cell, digits, len(flat)).astype(np.int64)
            flat[place:] += found[: len(flat) - place]
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
    span = (int(place.min()), int(place.max())) if len(place) else (0, 0)
    block = block_of(groups.count, span)
    terms = (
        Terms(rows=rows, base=place[rows], digits=[digits[rows].astype(np.float64)])
        for rows in (slice(start, start + block) for start in range(0, len(place), block))
    )
    return summed(Groups(groups.index[row], groups.count), span, terms)


def as_integers(sums: pa.StructArray) -> list[tuple[int, int]]:
    """Each sum as n and e: it is n * 2^(32 * e)."""
    lists = sums.field("digits")
    offsets, digits = lists.offsets.to_numpy(), lists.flatten().to_numpy().tolist()
    ends = (offsets - offsets[0]).tolist()
    found = []
    for place, start, end in zip(sums.field("first").to_pylist(), ends, ends[1:], strict=False):
        number = 0
        for at in range(end - 1, start - 1, -1):
            number = (number << BASE) + digits[at]
        found.append((number, place))
    return found


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
