"""Dotted quads, many at once: told from what is none, and their networks written.

Each row is 16 bytes, and each fact about its bytes (which are dots, which are digits) 16 bits of
one word, the first byte's lowest: so a rule about neighbours is a shift and an `and` for all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from privpipe.kernels._pack import KEEP, Blocks, Bytes, Ints, Mask, Slices, scatter, windows, words

__all__ = ["Quads", "quads", "write_networks"]

Facts: TypeAlias = npt.NDArray[np.uint16]
"""A bit for each byte of a row"""

_SHORTEST, _LONGEST = 7, 15
_WIDTH = 24
"""A row of output has 18 bytes at most; this many are three words"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quads:
    """Rows that are dotted quads, and marks where their numbers end: the dots, and one more."""

    rows: Blocks
    marks: Facts


def quads(rows: Slices) -> tuple[Quads, Mask]:
    """The rows that are dotted quads without leading zeros, and which of all these are."""
    sizes = rows.lengths
    fitting = (sizes >= _SHORTEST) & (sizes <= _LONGEST)
    own = rows if fitting.all() else rows.only(fitting)
    taken = windows(rows.data, 16)[own.starts].view(np.uint8).reshape(-1, 16)
    one = np.left_shift(1, own.lengths).astype(np.uint16)
    inside: Facts = one - np.uint16(1)
    dots = _facts(taken == ord(".")) & inside
    marks = dots | one
    right = (_table(0)[1][marks] > 0) & _in_range(taken, dots, inside)
    if len(own) == len(rows) and right.all():
        return Quads(rows=taken, marks=marks), right
    sound = np.zeros(len(rows), dtype=np.bool_)
    sound[fitting] = right
    return Quads(rows=taken[right], marks=marks[right]), sound


def write_networks(found: Quads, bits: int) -> tuple[Bytes, Ints]:
    """The network of each, one text behind the other, and the length of each.

    What stands before the number in which the network ends is the address's own text; that number
    and all behind it are one of 256 tails.
    """
    kept = min(bits // 8, 3)
    start = _table(kept)[0][found.marks].astype(np.int64)
    case = start << 8
    if bits > 8 * kept:
        case += _numbers(found, start, kept)
    tails, lengths = _tails(bits)
    texts = tails.take(case)
    columns = texts.view(np.uint64).reshape(-1, 3)
    head = words(found.rows) & words(KEEP.take(start))
    for half in (0, 1):
        columns[:, half] |= head[half::2]
    sizes = lengths.take(case)
    ends = np.cumsum(sizes)
    out = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    at = ends - sizes
    # One length after the other, so that no byte outside a row is written.
    for size in np.flatnonzero(np.bincount(sizes)).tolist():
        some = np.flatnonzero(sizes == size)
        scatter(texts.take(some).view(np.uint8).reshape(-1, _WIDTH), 0, size, out, at[some])
    return out, sizes


def _facts(marks: Mask) -> Facts:
    return np.packbits(marks, axis=None, bitorder="little").view("<u2")


def _in_range(taken: Blocks, dots: Facts, inside: Facts) -> Mask:
    """Whether all but the dots are digits, no number begins with a needless 0, or is above 255."""
    digit = taken - np.uint8(ord("0"))
    digits = _facts(digit < 10) & inside
    starts = (dots << 1 | 1) & inside
    second, third = digits >> 1, digits >> 2
    zeros = starts & second & _facts(digit == 0)
    hundreds = starts & second & third
    # 256 to 259, 260 to 299, and 300 on.
    last = _facts(digit == 5) & (_facts(digit > 5) >> 1)
    above = _facts(digit > 2) | (_facts(digit == 2) & ((last | _facts(digit > 5)) >> 1))
    found: Mask = ((digits | dots) == inside) & (zeros == 0) & ((hundreds & above) == 0)
    return found


def _numbers(found: Quads, start: Ints, kept: int) -> Ints:
    """The number that begins at `start` in each row."""
    flat = found.rows.reshape(-1)
    at = start + np.arange(0, len(flat), 16)
    size = _table(kept)[1][found.marks]
    number = flat.take(at).astype(np.int64) - ord("0")
    for more in (1, 2):  # the last number begins at byte 12 at most: these two lie in the row
        longer = number * 10 + flat.take(at + more) - ord("0")
        number = np.where(size > more, longer, number)
    return number


@lru_cache(maxsize=4)
def _table(number: int) -> tuple[Bytes, Bytes]:
    """By the marks of a row: where the first, second, ... number begins, and its digits.

    Marks that no dotted quad has show no digits.
    """
    starts, sizes = np.zeros((2, 1 << 16), dtype=np.uint8)
    for spans in product((1, 2, 3), repeat=4):
        ends = [sum(spans[: at + 1]) + at for at in range(4)]
        marks = sum(1 << end for end in ends)
        starts[marks], sizes[marks] = ends[number] - spans[number], spans[number]
    return starts, sizes


@lru_cache(maxsize=8)
def _tails(bits: int) -> tuple[npt.NDArray[np.void], Ints]:
    """The end of a network's text behind so many bytes (the high part of the place), by the number
    that stood there (the low 8 bits); and the length of the whole."""
    kept = min(bits // 8, 3)
    mask = 0xFF00 >> (bits - 8 * kept) & 0xFF
    texts = [f"{number & mask}{'.0' * (3 - kept)}/{bits}".encode() for number in range(256)]
    rows = [bytes(start) + text for start in range(4 * kept + 1) for text in texts]
    padded = b"".join(row.ljust(_WIDTH, b"\0") for row in rows)
    return np.frombuffer(padded, dtype=f"V{_WIDTH}"), np.array([len(row) for row in rows])
