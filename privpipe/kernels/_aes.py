"""AES over many blocks in one call, and nonces for a batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privpipe.kernels._pack import Blocks

__all__ = ["BlockCipher", "block_cipher", "draw_nonces", "encrypt_block"]

_ZEROS = memoryview(bytes(1 << 15))

BlockCipher: TypeAlias = Callable[[Blocks, int, int], None]
"""(blocks, first, count): encrypts these blocks in place; one block more must lie behind them"""


def block_cipher(key: bytes) -> BlockCipher:
    """AES under `key`, for one batch.

    ECB is here the bare block function, on blocks that a mode has made: 2 ns a block, where a call
    for each would cost 500. An encryptor must not be shared between threads, and costs 4 us: so
    every batch makes its own.
    """
    # The modes above it are CTR, CMAC and GHASH; ECB is never a mode of ours.
    update = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update_into  # noqa: S305

    def encrypt(blocks: Blocks, first: int, count: int) -> None:
        data = blocks[first:].reshape(-1)
        update(data[: 16 * count].data, data.data)

    return encrypt


def encrypt_block(key: bytes, block: bytes) -> bytes:
    """One block."""
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # noqa: S305


def draw_nonces(blocks: Blocks, count: int) -> None:
    """Fill `count` blocks, one more lying behind them, with random bytes.

    AES-256-CTR under a key that the system draws for this batch alone: no state is kept, so that a
    forked worker cannot repeat its parent's nonces. 2 ns a block, where `os.urandom` costs 20.
    """
    stream = Cipher(algorithms.AES(os.urandom(32)), modes.CTR(bytes(16))).encryptor()
    data = blocks.reshape(-1).data
    for first in range(0, 16 * count, len(_ZEROS)):
        size = min(16 * count - first, len(_ZEROS))
        stream.update_into(_ZEROS[:size], data[first:])
