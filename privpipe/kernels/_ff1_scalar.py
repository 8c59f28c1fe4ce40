"""FF1 one row after the other, in Python's integers: for rows that are long, or few."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privpipe.kernels._ff1_rounds import ROUNDS, Shape

__all__ = ["ScalarRounds"]


class ScalarRounds:
    """The round function under one key, and one length of value and tweak.

    `state` is the CBC-MAC over P and the tweak's constant blocks. The encryptors are of one batch.
    """

    __slots__ = ("_cbc", "_ecb", "_last", "_shape", "_state")

    def __init__(self, key: bytes, shape: Shape, state: bytes) -> None:
        aes = algorithms.AES(key)
        # CBC from a zero vector is the CBC-MAC of the standard (algorithm 6).
        self._cbc: Callable[[bytes], bytes] = Cipher(aes, modes.CBC(bytes(16))).encryptor().update
        # S305: the bare block function, for the blocks R xor [j].
        self._ecb: Callable[[bytes], bytes] = Cipher(aes, modes.ECB()).encryptor().update  # noqa: S305
        self._shape = shape
        self._state = int.from_bytes(state, "big")
        self._last = 0

    def encrypt(self, digits: list[int], tweak: bytes) -> list[int]:
        """One row; `tweak` is what of it lies behind the constant blocks."""
        shape = self._shape
        a, b = _number(digits[: shape.u], shape.radix), _number(digits[shape.u :], shape.radix)
        for number in range(ROUNDS):
            a, b = b, (a + self._mix(number, b, tweak)) % shape.moduli[number % 2]
        return _digits(a, shape.radix, shape.u) + _digits(b, shape.radix, shape.v)

    def decrypt(self, digits: list[int], tweak: bytes) -> list[int]:
        """The inverse of `encrypt`."""
        shape = self._shape
        a, b = _number(digits[: shape.u], shape.radix), _number(digits[shape.u :], shape.radix)
        for number in reversed(range(ROUNDS)):
            a, b = (b - self._mix(number, a, tweak)) % shape.moduli[number % 2], a
        return _digits(a, shape.radix, shape.u) + _digits(b, shape.radix, shape.v)

    def _mix(self, number: int, half: int, tweak: bytes) -> int:
        """y of one round, before it is reduced."""
        b, d = self._shape.b, self._shape.d
        padding = bytes(-(len(tweak) + b + 1) % 16)
        text = b"".join([tweak, padding, bytes([number]), half.to_bytes(b, "big")])
        # The encryptor goes on from its last block: that is taken back, and the state put in.
        first = int.from_bytes(text[:16], "big") ^ self._state ^ self._last
        last = self._cbc(first.to_bytes(16, "big") + text[16:])[-16:]
        self._last = int.from_bytes(last, "big")
        if d <= 16:
            return self._last >> 8 * (16 - d)
        more = [(self._last ^ j).to_bytes(16, "big") for j in range(1, (d + 15) // 16)]
        return int.from_bytes((last + self._ecb(b"".join(more)))[:d], "big")


def _number(digits: list[int], radix: int) -> int:
    found = 0
    for digit in digits:
        found = found * radix + digit
    return found


def _digits(number: int, radix: int, length: int) -> list[int]:
    found = []
    for _ in range(length):
        number, digit = divmod(number, radix)
        found.append(digit)
    return found[::-1]
