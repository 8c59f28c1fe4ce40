"""The ten rounds of FF1 over rows whose halves do not fit 64 bits: numbers of several limbs.

A half is in base R, the greatest power of the radix that is at most 2^32, its least significant
limb first; one array holds a limb of all rows. A product or a quotient of two limbs fits 64 bits.
The steps are as many as limbs times words, so few rows, or very long ones, are faster one by one.
"""

from __future__ import annotations

import numpy as np

from privpipe.kernels._aes import BlockCipher
from privpipe.kernels._ff1_rounds import ROUNDS, Round, Shape
from privpipe.kernels._pack import Words, scratch
from privpipe.kernels._radix import Digits, limbs, of_limbs

__all__ = ["few_wide", "run_wide"]

_SHIFT = np.uint64(32)
_LOW = np.uint64((1 << 32) - 1)


def few_wide(shape: Shape) -> int:
    """The rows from which on a batch is faster than one row after the other, measured."""
    return 16 + 11 * -(-shape.v // _span(shape.radix))


def run_wide(cipher: BlockCipher, one: Round, digits: Digits, *, inverse: bool) -> Digits:
    """The ten rounds, forwards or back."""
    shape, span = one.shape, _span(one.shape.radix)
    a, b = (limbs(part, shape.radix, span) for part in (digits[:, : shape.u], digits[:, shape.u :]))
    for number in reversed(range(ROUNDS)) if inverse else range(ROUNDS):
        moduli = _moduli(shape.radix, shape.v if number % 2 else shape.u)
        half, other = (a, b) if inverse else (b, a)
        y = _residue(_mix(cipher, one, number, _words(half, shape)), shape, moduli)
        (_subtract if inverse else _add)(other, y, moduli)
        a, b = b, a
    return np.concatenate(
        [of_limbs(a, shape.radix, span, shape.u), of_limbs(b, shape.radix, span, shape.v)], axis=1
    )


def _span(radix: int) -> int:
    """The digits of a limb."""
    span = 1
    while radix ** (span + 1) <= 1 << 32:
        span += 1
    return span


def _moduli(radix: int, length: int) -> list[int]:
    """What each limb of a number of `length` digits stays below."""
    span = _span(radix)
    whole, rest = divmod(length, span)
    return [radix**span] * whole + ([radix**rest] if rest else [])


def _words(half: list[Words], shape: Shape) -> list[Words]:
    """NUM(half) in base 2^32, least significant word first, as many as `b` bytes take."""
    base, most = shape.radix ** _span(shape.radix), (shape.b + 3) // 4
    if base == 1 << 32:
        return half[:most]
    found: list[Words] = []
    for limb in reversed(half):
        carry = limb.copy()
        for word in found:
            np.multiply(word, np.uint64(base), out=word)
            np.add(word, carry, out=word)
            np.right_shift(word, _SHIFT, out=carry)
            np.bitwise_and(word, _LOW, out=word)
        if len(found) < most:
            found.append(carry)
    return found


def _mix(cipher: BlockCipher, one: Round, number: int, half: list[Words]) -> list[Words]:
    """The `d` bytes of one round in base 2^32, most significant word first."""
    shape, count, last = one.shape, len(half[0]), 4 * one.shape.blocks - 1
    blocks = scratch(count)
    lanes, columns = blocks.view(np.uint64)[:count], blocks.view(">u4")[:count]
    base = one.base.view(np.uint64)
    lanes[...] = base[:, :2]
    blocks[:count, 16 * shape.blocks - shape.b - 1] ^= np.uint8(number)
    for block in range(shape.blocks):
        if block:
            lanes ^= base[:, 2 * block : 2 * block + 2]
        for at, word in enumerate(half):
            if (last - at) // 4 == block:
                columns[:, (last - at) % 4] ^= word.astype(np.uint32)
        cipher(blocks, 0, count)
    found = [columns[:, at].astype(np.uint64) for at in range(min(shape.d // 4, 4))]
    more = scratch(count)
    for j in range(1, -(-shape.d // 16)):
        more[:count] = blocks[:count]
        more.view(">u4")[:count, 3] ^= np.uint32(j)
        cipher(more, 0, count)
        columns = more.view(">u4")[:count]
        rest = min(shape.d // 4 - 4 * j, 4)
        found += [columns[:, at].astype(np.uint64) for at in range(rest)]
    return found


def _residue(y: list[Words], shape: Shape, moduli: list[int]) -> list[Words]:
    """y in base R, so many limbs as there are moduli: that is y mod their product."""
    base = shape.radix ** _span(shape.radix)
    if base == 1 << 32:
        found = y[::-1][: len(moduli)]
    else:
        found, most = [], 1 << 32 * len(y)
        for _ in moduli:
            rest = _divide(y, np.uint64(base))
            found.append(rest)
            # The quotient is below this: the words above it are zero.
            most = -(-most // base)
            y = y[len(y) - max(-(-(most - 1).bit_length() // 32), 1) :]
    top = np.uint64(moduli[-1])
    found[-1] -= found[-1] // top * top
    return found


def _divide(words: list[Words], base: np.uint64) -> Words:
    """Each number becomes its quotient by `base`; the remainders."""
    rest = np.zeros_like(words[0])
    for word in words:
        rest <<= _SHIFT
        rest |= word
        np.floor_divide(rest, base, out=word)
        rest -= word * base
    return rest


def _add(a: list[Words], y: list[Words], moduli: list[int]) -> None:
    """a + y, in `a`; what is carried beyond the last limb falls away."""
    carry: Words | None = None
    for one, other, modulus in zip(a, y, moduli, strict=True):
        np.add(one, other, out=one)
        if carry is not None:
            np.add(one, carry, out=one)
        carry = (one >= np.uint64(modulus)).astype(np.uint64)
        # A difference below zero wraps round to a large number, and the minimum leaves it.
        np.minimum(one, one - np.uint64(modulus), out=one)


def _subtract(a: list[Words], y: list[Words], moduli: list[int]) -> None:
    """a - y, in `a`; what is borrowed beyond the last limb falls away."""
    borrow: Words | None = None
    for one, other, modulus in zip(a, y, moduli, strict=True):
        np.subtract(one, other, out=one)
        if borrow is not None:
            np.subtract(one, borrow, out=one)
        borrow = one >> np.uint64(63)
        np.minimum(one, one + np.uint64(modulus), out=one)
