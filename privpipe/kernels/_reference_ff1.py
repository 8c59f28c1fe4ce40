"""The scalar twin of FF1, step by step as SP 800-38G has it: slow, and what the tests compare with.

It works on lists of digits, and shares no code with the vectorized kernel.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = ["ff1_decrypt", "ff1_encrypt"]


def ff1_encrypt(key: bytes, radix: int, tweak: bytes, digits: list[int]) -> list[int]:
    """Algorithm 7: FF1.Encrypt(K, T, X)."""
    n = len(digits)
    u = n // 2
    a, b = digits[:u], digits[u:]
    for i in range(10):
        m = u if i % 2 == 0 else n - u
        y = _round(key, radix, tweak, n, i, b)
        c = _str(radix, m, (_num(radix, a) + y) % radix**m)
        a, b = b, c
    return a + b


def ff1_decrypt(key: bytes, radix: int, tweak: bytes, digits: list[int]) -> list[int]:
    """Algorithm 8: FF1.Decrypt(K, T, X)."""
    n = len(digits)
    u = n // 2
    a, b = digits[:u], digits[u:]
    for i in range(9, -1, -1):
        m = u if i % 2 == 0 else n - u
        y = _round(key, radix, tweak, n, i, a)
        c = _str(radix, m, (_num(radix, b) - y) % radix**m)
        b, a = a, c
    return a + b


def _round(key: bytes, radix: int, tweak: bytes, n: int, i: int, half: list[int]) -> int:
    """Steps 3 to 6.iv: the number y of round i."""
    v, t = n - n // 2, len(tweak)
    bits = 0
    while 2**bits < radix**v:  # the ceiling of v * log2(radix)
        bits += 1
    b = -(-bits // 8)
    d = 4 * -(-b // 4) + 4
    p = bytes([1, 2, 1]) + radix.to_bytes(3, "big") + bytes([10, (n // 2) % 256])
    p += n.to_bytes(4, "big") + t.to_bytes(4, "big")
    q = tweak + bytes((-t - b - 1) % 16) + bytes([i]) + _num(radix, half).to_bytes(b, "big")
    r = _prf(key, p + q)
    s = r
    for j in range(1, -(-d // 16)):
        s += _ciph(key, _xor(r, j.to_bytes(16, "big")))
    return int.from_bytes(s[:d], "big")


def _prf(key: bytes, text: bytes) -> bytes:
    """Algorithm 6."""
    y = bytes(16)
    for at in range(0, len(text), 16):
        y = _ciph(key, _xor(y, text[at : at + 16]))
    return y


def _ciph(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # noqa: S305


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(one, other, strict=True))


def _num(radix: int, digits: list[int]) -> int:
    """Algorithm 1."""
    x = 0
    for digit in digits:
        x = x * radix + digit
    return x


def _str(radix: int, m: int, x: int) -> list[int]:
    """Algorithm 3."""
    digits = [0] * m
    for i in range(1, m + 1):
        digits[m - i] = x % radix
        x //= radix
    return digits
