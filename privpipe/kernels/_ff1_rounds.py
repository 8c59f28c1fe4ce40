"""The ten rounds of FF1 over all rows of one length at once (SP 800-38G, algorithms 7 and 8).

The halves of a row are two numbers of 64 bits here; of longer ones `_ff1_wide.py` takes care. All
but the last block of what the round function reads is the same in every round: its CBC-MAC is
taken once, so a round is one AES block a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from privpipe.kernels._aes import BlockCipher
from privpipe.kernels._pack import Bytes, Words, scratch
from privpipe.kernels._radix import Digits, halves, joined

__all__ = ["ROUNDS", "Round", "Shape", "run_narrow", "shape_of"]

ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the standard computes of radix and length: u, v, b, d, and radix ** u, radix ** v."""

    radix: int
    length: int
    u: int
    v: int
    b: int
    d: int
    moduli: tuple[int, int]

    @property
    def fits(self) -> bool:
        """Whether halves fit 64 bits with the room that `_add_mod` and `_reduce` need."""
        whole = self.moduli[1]
        return whole <= 1 << 62 or (whole <= 1 << 64 and whole & (whole - 1) == 0)

    @property
    def blocks(self) -> int:
        """The blocks that round and half lie in."""
        return (self.b + 16) // 16

    def first_block(self, tweak: int) -> bytes:
        """P, for a tweak of so many bytes."""
        return b"".join(
            [
                b"\x01\x02\x01",
                self.radix.to_bytes(3, "big"),
                bytes([ROUNDS, self.u % 256]),
                self.length.to_bytes(4, "big"),
                tweak.to_bytes(4, "big"),
            ]
        )


def shape_of(radix: int, length: int) -> Shape:
    """The shape of values of `length` digits, at least 2."""
    u = length // 2
    v = length - u
    moduli = (radix**u, radix**v)
    # The bits of radix ** v - 1: exact, where a logarithm in floating point would not be.
    b = ((moduli[1] - 1).bit_length() + 7) // 8
    return Shape(radix=radix, length=length, u=u, v=v, b=b, d=4 * ((b + 3) // 4) + 4, moduli=moduli)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What the round function reads last, but for round and half: of `base` the last blocks.

    The CBC-MAC over all before is added into the first of them. One row for all, or one a row.
    """

    shape: Shape
    base: Bytes


def run_narrow(cipher: BlockCipher, one: Round, digits: Digits, *, inverse: bool) -> Digits:
    """The ten rounds, forwards or back, where the shape fits."""
    shape = one.shape
    a, b = halves(digits, shape.radix, shape.u)
    work = _Work(cipher, one, len(a))
    for number in reversed(range(ROUNDS)) if inverse else range(ROUNDS):
        modulus = shape.moduli[number % 2]
        if inverse:
            _subtract_mod(b, work.mix(number, a, modulus), modulus)
        else:
            _add_mod(a, work.mix(number, b, modulus), modulus)
        a, b = b, a
    return joined(a, b, shape.radix, (shape.u, shape.v))


class _Work:
    """The blocks of a batch, used anew in every round."""

    __slots__ = (
        "_big",
        "_blocks",
        "_cipher",
        "_count",
        "_d",
        "_head",
        "_lanes",
        "_spare",
        "_tail",
        "_width",
        "_y",
    )

    def __init__(self, cipher: BlockCipher, one: Round, count: int) -> None:
        self._cipher = cipher
        self._width, self._d = one.shape.b, one.shape.d
        self._head = one.base.view(np.uint64)[:, 0]
        self._tail = one.base.view(">u8")[:, 1].astype(np.uint64)
        self._count = count
        self._blocks = scratch(count)
        self._lanes = self._blocks.view(np.uint64)[:count]
        self._big = self._blocks.view(">u8")[:count]
        self._y = np.empty(count, dtype=np.uint64)
        self._spare = np.empty(count, dtype=np.uint64)

    def mix(self, number: int, half: Words, modulus: int) -> Words:
        """y of one round, reduced; valid until the next."""
        y, spare, count, width = self._y, self._spare, self._count, self._width
        np.bitwise_xor(half, self._tail, out=y)
        if width < 8:
            self._lanes[:, 0] = self._head
            y ^= np.uint64(number << 8 * width)
        else:  # the number of the round is the last byte of the first word
            self._lanes[:, 0] = self._head ^ np.uint64(number << 56)
        self._big[:, 1] = y
        self._cipher(self._blocks, 0, count)
        y[...] = self._big[:, 0]
        if self._d == 8:
            _reduce(y, modulus, spare)
            return y
        low = self._big[:, 1].astype(np.uint64)
        low >>= np.uint64(32)
        _reduce_wide(y, low, modulus, spare)
        return y


def _reduce(y: Words, modulus: int, spare: Words) -> None:
    """y mod modulus, in place."""
    if modulus & (modulus - 1) == 0:
        y &= np.uint64(modulus - 1)
        return
    # numpy divides by a constant with vector instructions, but takes remainders one by one.
    np.floor_divide(y, np.uint64(modulus), out=spare)
    spare *= np.uint64(modulus)
    y -= spare


def _reduce_wide(y: Words, low: Words, modulus: int, spare: Words) -> None:
    """(y * 2^32 + low) mod modulus, in `y`."""
    shift = np.uint64(32)
    if modulus & (modulus - 1) == 0:
        y <<= shift
        y |= low
        y &= np.uint64(modulus - 1)
        return
    _reduce(y, modulus, spare)
    if modulus <= 1 << 32:
        y <<= shift
        y |= low
        _reduce(y, modulus, spare)
        return
    # y < modulus < 2^62, so the quotient is below 2^32 and a double's 53 bits miss it by at most
    # one, up or down; what is left lies between -modulus and 2 * modulus, as a number mod 2^64.
    quotient = (y.astype(np.float64) * (2.0**32 / modulus)).astype(np.int64).view(np.uint64)
    quotient *= np.uint64(modulus)
    y <<= shift
    y += low
    y -= quotient
    np.add(y, np.uint64(modulus), out=spare)
    np.minimum(y, spare, out=y)
    np.subtract(y, np.uint64(modulus), out=spare)
    np.minimum(y, spare, out=y)


def _add_mod(a: Words, y: Words, modulus: int) -> None:
    """a + y mod modulus, in `a`; both are below it."""
    a += y
    if modulus & (modulus - 1) == 0:
        a &= np.uint64(modulus - 1)
        return
    # A difference below zero wraps round to a large number, and the minimum leaves it.
    np.subtract(a, np.uint64(modulus), out=y)
    np.minimum(a, y, out=a)


def _subtract_mod(a: Words, y: Words, modulus: int) -> None:
    """a - y mod modulus, in `a`; both are below it."""
    a -= y
    if modulus & (modulus - 1) == 0:
        a &= np.uint64(modulus - 1)
        return
    np.add(a, np.uint64(modulus), out=y)
    np.minimum(a, y, out=a)
