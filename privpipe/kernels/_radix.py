"""Rows of digits as numbers, and back: neighbours join pairwise, so a row of 2^k takes k steps.

A digit is a byte, or two where the radix is above 256. Two neighbours lie in one word of twice the
width, and their number fits into it, as radix ** (2k) fits where radix ** k fits the half. Every
step is then a few operations on contiguous words.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privpipe.kernels._pack import Words

__all__ = ["Digits", "digit_type", "halves", "joined", "limbs", "of_limbs"]

Digits: TypeAlias = npt.NDArray[Any]
"""uint8 or uint16 of shape (rows, length), most significant digit first"""

_WIDER = {1: np.uint16, 2: np.uint32, 4: np.uint64}
_NARROWER = {8: np.uint32, 4: np.uint16, 2: np.uint8}


def digit_type(radix: int) -> type[np.uint8 | np.uint16]:
    """What holds a digit."""
    return np.uint8 if radix <= 256 else np.uint16


def halves(digits: Digits, radix: int, left: int) -> tuple[Words, Words]:
    """The numbers of the first `left` digits of each row, and of the rest; both fit uint64."""
    count, length = digits.shape
    width = _padded(length - left)
    if 2 * width == length and digits.flags.c_contiguous:
        level = digits.reshape(-1)
    else:
        padded = np.zeros((count, 2 * width), dtype=digits.dtype)
        padded[:, width - left : width] = digits[:, :left]
        padded[:, 2 * width - (length - left) :] = digits[:, left:]
        level = padded.reshape(-1)
    pairs = _numbers(level, radix, width).reshape(count, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64)


def joined(left: Words, right: Words, radix: int, sizes: tuple[int, int]) -> Digits:
    """The inverse of `halves`: `sizes` digits of the one number and the other."""
    small, large = sizes
    width, kind = _padded(large), digit_type(radix)
    pairs = np.empty((len(left), 2), dtype=np.uint64)
    pairs[:, 0], pairs[:, 1] = left, right
    digits = _spread(pairs.reshape(-1), radix, width).reshape(len(left), 2 * width)
    if small == width:
        return digits
    out = np.empty((len(left), small + large), dtype=kind)
    out[:, :small] = digits[:, width - small : width]
    out[:, small:] = digits[:, 2 * width - large :]
    return out


def limbs(digits: Digits, radix: int, span: int) -> list[Words]:
    """The number of each row in base radix ** span, least significant limb first."""
    count, length = digits.shape
    width, parts = _padded(span), -(-length // span)
    padded = np.zeros((count, parts, width), dtype=digits.dtype)
    for part in range(parts):  # from the right
        stop = length - part * span
        start = max(stop - span, 0)
        padded[:, part, width - (stop - start) :] = digits[:, start:stop]
    numbers = _numbers(padded.reshape(-1), radix, width).reshape(count, parts)
    return [numbers[:, part].astype(np.uint64) for part in range(parts)]


def of_limbs(numbers: list[Words], radix: int, span: int, length: int) -> Digits:
    """The inverse of `limbs`: `length` digits of each row."""
    width, count, parts = _padded(span), len(numbers[0]), len(numbers)
    level = np.stack(numbers, axis=1).reshape(-1)
    padded = _spread(level, radix, width).reshape(count, parts, width)
    out = np.empty((count, length), dtype=digit_type(radix))
    for part in range(parts):
        stop = length - part * span
        start = max(stop - span, 0)
        out[:, start:stop] = padded[:, part, width - (stop - start) :]
    return out


def _numbers(level: npt.NDArray[Any], radix: int, width: int) -> npt.NDArray[Any]:
    """Digits as numbers, `width` of them each."""
    span = 1
    while span < width:
        level = _join(level, radix**span)
        span *= 2
    return level


def _spread(numbers: Words, radix: int, width: int) -> npt.NDArray[Any]:
    """The inverse of `_numbers`."""
    size = np.dtype(digit_type(radix)).itemsize
    level: npt.NDArray[Any] = numbers.astype(f"u{min(width * size, 8)}", copy=False)
    span = width
    while span > 1:
        span //= 2
        level = _split(level, radix**span, wide=span * size >= 8)
    return level


def _padded(length: int) -> int:
    """The next power of two."""
    return 1 << (length - 1).bit_length()


def _join(level: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    size = level.dtype.itemsize
    if size == 8:
        # What stands before the number's own digits is zero: the product stays below 2^64.
        wide: npt.NDArray[Any] = level[0::2] * np.uint64(factor)
        wide += level[1::2]
        return wide
    kind = _WIDER[size]
    pairs = level.view(kind)
    low = pairs >> kind(8 * size)
    low += (pairs & kind((1 << 8 * size) - 1)) * kind(factor)
    return np.asarray(low)


def _split(level: npt.NDArray[Any], factor: int, *, wide: bool) -> npt.NDArray[Any]:
    kind = level.dtype.type
    high = level // kind(factor)
    low = level - high * kind(factor)
    if wide:
        pairs = np.empty((len(level), 2), dtype=np.uint64)
        pairs[:, 0], pairs[:, 1] = high, low
        return pairs.reshape(-1)
    size = level.dtype.itemsize
    low <<= kind(4 * size)
    low |= high
    return np.asarray(low.view(_NARROWER[size]))
