"""Base64 (RFC 4648) of many values in one go, strict: one text for one value.

Rows lie one behind the other at whole groups of three bytes, or four characters. Tables are indexed
by characters, and these are public: what is decoded here is ciphertext, never plaintext.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privpipe.kernels._pack import Bytes, Ints, Mask, Slices

__all__ = ["Decoded", "decode_rows", "encode_groups", "flatten", "groups"]

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PAD = ord("=")
_Table: TypeAlias = npt.NDArray[np.uint32]
_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")

_ONE, _TWO, _BAD = 1, 2, 0x80
"""What the fourth byte of a group says: it ends in `=`, in `==`, or has what it must not"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The bytes of each row, and which rows were base64; what is beneath the others is noise."""

    rows: Slices
    sound: Mask


def groups(lengths: Ints) -> Ints:
    """The groups of three bytes that rows of these lengths take."""
    return np.asarray((lengths + 2) // 3, dtype=np.int64)


def flatten(rows: Slices) -> Bytes:
    """The rows one behind the other; no copy where they lie so already."""
    starts, lengths = rows.starts, rows.lengths
    if len(starts) == 0:
        return np.empty(0, dtype=np.uint8)
    ends = starts + lengths
    first, last, total = int(starts[0]), int(ends[-1]), int(lengths.sum())
    gaps = starts[1:] - ends[:-1]
    if not gaps.any():
        return rows.data[first:last]
    if gaps.min() >= 0 and last - first < 3 * total:
        # In order, with little between them: a mask is three times as fast as indices.
        counts = np.zeros((len(starts), 2), dtype=np.int64)
        counts[1:, 0], counts[:, 1] = gaps, lengths
        keep = np.repeat(np.tile([False, True], len(starts)), counts.reshape(-1))
        gathered: Bytes = rows.data[first:last][keep]
    else:
        done = np.cumsum(lengths) - lengths
        gathered = rows.data[np.arange(total) + np.repeat(starts - done, lengths)]
    return gathered


def encode_groups(data: Bytes, lengths: Ints, *, urlsafe: bool) -> Bytes:
    """The text of rows that lie at whole groups in `data`, zeros filling the last group of each."""
    text = binascii.b2a_base64(data.data, newline=False)
    if urlsafe:
        text = text.translate(_TO_URLSAFE)
    flat = np.frombuffer(bytearray(text), dtype=np.uint8)
    ends, rest = 4 * np.cumsum(groups(lengths)), lengths % 3
    flat[ends[rest > 0] - 1] = _PAD
    flat[ends[rest == 1] - 2] = _PAD
    return flat


def decode_rows(rows: Slices, *, urlsafe: bool) -> Decoded:
    """The bytes of each row. A row is refused that is not what `encode_groups` writes.

    So are characters of the other alphabet, line ends, a missing `=`, and bits behind the last
    byte that are not zero: two texts for one value would let a copy pass for another.
    """
    sound = rows.lengths % 4 == 0
    whole = rows if sound.all() else rows.only(sound)
    ends = np.cumsum(whole.lengths) >> 2
    decoded = _decode(flatten(whole), urlsafe=urlsafe)
    fine = np.ones(len(whole), dtype=np.bool_)
    pads = np.zeros(len(whole), dtype=np.int64)
    filled = whole.lengths > 0
    marks = decoded[:, 3].copy()
    last = ends[filled] - 1
    pads[filled] = marks[last] & 3
    marks[last] &= _BAD
    marked = np.flatnonzero(marks)
    if len(marked):
        fine[np.searchsorted(ends, marked, side="right")] = False
    # 16 bytes more, so that windows over the last row fit.
    data = np.zeros(3 * len(decoded) + 16, dtype=np.uint8)
    threes = np.ndarray((len(decoded),), "V3", buffer=decoded, strides=(4,))
    data[: 3 * len(decoded)].view("V3")[...] = threes
    closes = 3 * ends
    for size in (1, 2):
        ending = pads >= size
        fine[ending] &= data[closes[ending] - size] == 0
    return _spread(data, closes - 3 * whole.lengths // 4, closes - pads, fine, sound)


def _decode(flat: Bytes, *, urlsafe: bool) -> Bytes:
    """Each group of four characters: three bytes, and a fourth that says what is odd in it."""
    pairs = flat.view(np.uint16)
    front, back = _tables(urlsafe)
    found = front.take(pairs[0::2])
    np.bitwise_or(found, back.take(pairs[1::2]), out=found)
    return found.view(np.uint8).reshape(-1, 4)


@lru_cache(maxsize=2)
def _tables(urlsafe: bool) -> tuple[_Table, _Table]:
    """What the front and the back two characters of a group give, by both at once: 256 KiB each."""
    values = np.full(256, 64, dtype=np.uint32)
    alphabet = _STANDARD.translate(_TO_URLSAFE) if urlsafe else _STANDARD
    values[np.frombuffer(alphabet, dtype=np.uint8)] = np.arange(64)
    known = values < 64
    values[~known] = 0
    first, second = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    both = (values[first] << 6) | values[second]
    bad = np.where(known[first] & known[second], 0, _BAD).astype(np.uint32)
    front = (both << 20) | bad
    back = (both << 8) | bad
    back[:, _PAD] = np.where(known, (values << 14) | _ONE, _BAD)
    back[_PAD, _PAD] = _TWO
    # By the order in which the two characters lie in memory.
    order = np.arange(65536, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    one, two = order[:, 0], order[:, 1]
    return _in_memory(front[one, two]), _in_memory(back[one, two])


def _in_memory(table: npt.NDArray[Any]) -> _Table:
    """Words whose first byte, as it lies in memory, is the highest."""
    return table.astype(">u4").view(np.uint32)


def _spread(data: Bytes, starts: Ints, closes: Ints, fine: Mask, sound: Mask) -> Decoded:
    """Back to all rows, those of a wrong length included."""
    if sound.all():
        rows = Slices(data=data, starts=starts, lengths=closes - starts)
        return Decoded(rows=rows, sound=fine)
    all_starts, all_lengths = np.zeros((2, len(sound)), dtype=np.int64)
    all_starts[sound], all_lengths[sound] = starts, closes - starts
    judged = sound.copy()
    judged[sound] = fine
    return Decoded(rows=Slices(data=data, starts=all_starts, lengths=all_lengths), sound=judged)
