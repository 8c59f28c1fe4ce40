"""FF1 on digits: the permutation itself, with no alphabet and no floor under its domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from privpipe.kernels._aes import block_cipher
from privpipe.kernels._ff1_rounds import Shape, run_narrow, shape_of
from privpipe.kernels._ff1_scalar import ScalarRounds
from privpipe.kernels._ff1_seeds import chain, own_tweaks, shared_tweak
from privpipe.kernels._ff1_wide import few_wide, run_wide
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import Bytes, Ints
from privpipe.kernels._radix import Digits

__all__ = ["Permutation"]

Scalar: TypeAlias = Callable[[list[int], bytes], list[int]]

TILE = 1 << 14
"""The most rows in a batch: its buffers stay in a core's own cache"""

ROOM = 1 << 21
"""Bytes of tweaks in a batch"""

FEW = 8
"""Rows from which on a batch is faster than one row after the other"""


@holds_key
class Permutation:
    """FF1 under one key over digits below `radix`.

    Tweaks are `tweak` for all rows, and behind it a row of `rows` for each: of that its first
    bytes, as many as `lengths` says (None: all), and the others are zeros.
    """

    __slots__ = ("_key", "radix")

    def __init__(self, key: bytes, radix: int) -> None:
        self._key = key
        self.radix = radix

    def encrypt(
        self, digits: Digits, tweak: bytes, rows: Bytes | None = None, lengths: Ints | None = None
    ) -> Digits:
        """The ciphertexts of `digits`, (rows, length) with length at least 2."""
        return self._run(digits, tweak, rows, lengths, inverse=False)

    def decrypt(
        self, digits: Digits, tweak: bytes, rows: Bytes | None = None, lengths: Ints | None = None
    ) -> Digits:
        """The inverse of `encrypt`."""
        return self._run(digits, tweak, rows, lengths, inverse=True)

    def _run(
        self,
        digits: Digits,
        tweak: bytes,
        rows: Bytes | None,
        lengths: Ints | None,
        *,
        inverse: bool,
    ) -> Digits:
        count, length = digits.shape
        shape = shape_of(self.radix, length)
        if rows is None or rows.shape[1] == 0:
            rows, lengths = None, np.zeros(count, dtype=np.int64)
        elif lengths is None:
            lengths = np.full(count, rows.shape[1])
        if count < (FEW if shape.fits else few_wide(shape)):
            return self._alone(digits, shape, tweak, rows, lengths, inverse=inverse)
        width = 0 if rows is None else rows.shape[1]
        most = max(1, min(TILE, ROOM // (width + 64)))
        tile = -(-count // -(-count // most))  # as even as can be
        out, cipher = np.empty_like(digits), block_cipher(self._key)
        batch = run_narrow if shape.fits else run_wide
        for first in range(0, count, tile):
            part = slice(first, first + tile)
            if rows is None:
                one = shared_tweak(self._key, shape, tweak)
            else:
                one = own_tweaks(self._key, shape, tweak, rows[part], lengths[part])
            out[part] = batch(cipher, one, digits[part], inverse=inverse)
        return out

    def _alone(
        self,
        digits: Digits,
        shape: Shape,
        tweak: bytes,
        rows: Bytes | None,
        lengths: Ints,
        *,
        inverse: bool,
    ) -> Digits:
        """One row after the other."""
        out, whole = np.empty_like(digits), len(tweak) & ~15
        found: dict[int, Scalar] = {}
        for at, (row, size) in enumerate(zip(digits.tolist(), lengths.tolist(), strict=True)):
            if size not in found:
                # P tells the size of the whole tweak, so the chain begins anew with each.
                state = chain(self._key, shape.first_block(len(tweak) + size) + tweak[:whole])
                scalar = ScalarRounds(self._key, shape, state)
                found[size] = scalar.decrypt if inverse else scalar.encrypt
            own = b"" if rows is None else rows[at, :size].tobytes()
            out[at] = found[size](row, tweak[whole:] + own)
        return out
