"""FF1 on digits: the permutation itself, with no alphabet and no floor under its domain."""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privpipe.kernels._aes import block_cipher
from privpipe.kernels._ff1_rounds import Round, Shape, run_narrow, shape_of
from privpipe.kernels._ff1_scalar import ScalarRounds
from privpipe.kernels._ff1_wide import few_wide, run_wide
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import Bytes, scratch
from privpipe.kernels._radix import Digits

__all__ = ["Permutation"]

TILE = 1 << 14
"""The most rows in a batch: its buffers stay in a core's own cache"""

ROOM = 1 << 21
"""Bytes of tweaks in a batch"""

FEW = 8
"""Rows from which on a batch is faster than one row after the other"""


@holds_key
class Permutation:
    """FF1 under one key over digits below `radix`.

    Tweaks are `tweak` for all rows, and behind it a row of `rows` for each.
    """

    __slots__ = ("_key", "radix")

    def __init__(self, key: bytes, radix: int) -> None:
        self._key = key
        self.radix = radix

    def encrypt(self, digits: Digits, tweak: bytes, rows: Bytes | None = None) -> Digits:
        """The ciphertexts of `digits`, (rows, length) with length at least 2."""
        return self._run(digits, tweak, rows, inverse=False)

    def decrypt(self, digits: Digits, tweak: bytes, rows: Bytes | None = None) -> Digits:
        """The inverse of `encrypt`."""
        return self._run(digits, tweak, rows, inverse=True)

    def _run(self, digits: Digits, tweak: bytes, rows: Bytes | None, *, inverse: bool) -> Digits:
        count, length = digits.shape
        shape = shape_of(self.radix, length)
        if rows is not None and rows.shape[1] == 0:
            rows = None
        if count < (FEW if shape.fits else few_wide(shape)):
            return self._alone(digits, shape, tweak, rows, inverse=inverse)
        width = 0 if rows is None else rows.shape[1]
        most = max(1, min(TILE, ROOM // (width + 64)))
        tile = -(-count // -(-count // most))  # as even as can be
        out, cipher = np.empty_like(digits), block_cipher(self._key)
        batch = run_narrow if shape.fits else run_wide
        for first in range(0, count, tile):
            part = slice(first, first + tile)
            if rows is None:
                one = self._fixed(shape, tweak)
            else:
                one = self._by_row(shape, tweak, rows[part])
            out[part] = batch(cipher, one, digits[part], inverse=inverse)
        return out

    def _fixed(self, shape: Shape, tweak: bytes) -> Round:
        """The round of rows that share their tweak."""
        text = tweak + bytes(-(len(tweak) + shape.b + 1) % 16 + 1 + shape.b)
        cut = len(text) - 16 * shape.blocks
        base = np.frombuffer(text[cut:], dtype=np.uint8).reshape(1, -1).copy()
        state = self._mac(shape.first_block(len(tweak)) + text[:cut])
        base[:, :16] ^= np.frombuffer(state, dtype=np.uint8)
        return Round(shape=shape, base=base)

    def _by_row(self, shape: Shape, tweak: bytes, rows: Bytes) -> Round:
        """The round of rows that each have their own end of the tweak."""
        count, width = rows.shape
        state, rest = self._split(shape, tweak, width)
        size = len(rest) + width
        size += -(size + shape.b + 1) % 16 + 1 + shape.b
        text = np.zeros((count, size), dtype=np.uint8)
        text[:, : len(rest)] = np.frombuffer(rest, dtype=np.uint8)
        text[:, len(rest) : len(rest) + width] = rows
        words = text.view(np.uint64)
        blocks, cipher = scratch(count), block_cipher(self._key)
        lanes = blocks.view(np.uint64)[:count]
        lanes[...] = np.frombuffer(state, dtype=np.uint64)
        for at in range(0, size // 8 - 2 * shape.blocks, 2):
            lanes ^= words[:, at : at + 2]
            cipher(blocks, 0, count)
        base = text[:, -16 * shape.blocks :].copy()
        base.view(np.uint64)[:, :2] ^= lanes
        return Round(shape=shape, base=base)

    def _alone(
        self, digits: Digits, shape: Shape, tweak: bytes, rows: Bytes | None, *, inverse: bool
    ) -> Digits:
        """One row after the other."""
        state, rest = self._split(shape, tweak, 0 if rows is None else rows.shape[1])
        scalar = ScalarRounds(self._key, shape, state)
        one = scalar.decrypt if inverse else scalar.encrypt
        out = np.empty_like(digits)
        for at, row in enumerate(digits.tolist()):
            own = rest if rows is None else rest + rows[at].tobytes()
            out[at] = one(row, own)
        return out

    def _split(self, shape: Shape, tweak: bytes, more: int) -> tuple[bytes, bytes]:
        """The CBC-MAC over P and the whole blocks of `tweak`, and what of it is left over."""
        whole = len(tweak) & ~15
        return self._mac(shape.first_block(len(tweak) + more) + tweak[:whole]), tweak[whole:]

    def _mac(self, text: bytes) -> bytes:
        """Algorithm 6: CBC from a zero vector, of which the last block counts."""
        cbc = Cipher(algorithms.AES(self._key), modes.CBC(bytes(16))).encryptor()
        return cbc.update(text)[-16:]
