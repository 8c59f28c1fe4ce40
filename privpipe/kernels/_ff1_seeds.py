"""The CBC-MAC that FF1's round function takes over what no round changes, before the first round.

Tweaks may be of any lengths side by side: a row with fewer blocks sits out the last steps.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privpipe.kernels._aes import block_cipher
from privpipe.kernels._ff1_rounds import Round, Shape
from privpipe.kernels._pack import Blocks, Bytes, Ints, Words, scratch, windows

__all__ = ["chain", "own_tweaks", "shared_tweak"]


def chain(key: bytes, text: bytes) -> bytes:
    """Algorithm 6: CBC from a zero vector, of which the last block counts."""
    cbc = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return cbc.update(text)[-16:]


def shared_tweak(key: bytes, shape: Shape, tweak: bytes) -> Round:
    """The round of rows that share their tweak."""
    text = tweak + bytes(-(len(tweak) + shape.b + 1) % 16 + 1 + shape.b)
    cut = len(text) - 16 * shape.blocks
    base = np.frombuffer(text[cut:], dtype=np.uint8).reshape(1, -1).copy()
    state = chain(key, shape.first_block(len(tweak)) + text[:cut])
    base[:, :16] ^= np.frombuffer(state, dtype=np.uint8)
    return Round(shape=shape, base=base)


def own_tweaks(key: bytes, shape: Shape, tweak: bytes, rows: Bytes, lengths: Ints) -> Round:
    """The round of rows whose tweaks are `tweak` and `lengths[i]` bytes of `rows[i]`.

    Behind those bytes `rows` holds zeros.
    """
    count, whole = len(rows), len(tweak) & ~15
    rest = tweak[whole:]
    # The blocks before the last ones; a tweak and its padding end where the last ones do.
    before = ((len(rest) + lengths + shape.b + 16) >> 4) - shape.blocks
    most = int(before.max())
    width = max(16 * (most + shape.blocks), -(-(len(rest) + rows.shape[1]) // 16) * 16)
    text = np.zeros((count, width), dtype=np.uint8)
    text[:, : len(rest)] = np.frombuffer(rest, dtype=np.uint8)
    text[:, len(rest) : len(rest) + rows.shape[1]] = rows
    states = _starts(key, shape, tweak[:whole], len(tweak) + lengths)
    _steps(key, states, text.view(np.uint64), before, most)
    places = np.arange(0, count * width, width) + 16 * before
    last = windows(text.reshape(-1), 16 * shape.blocks)[places]
    base = last.view(np.uint8).reshape(count, -1)
    base.view(np.uint64)[:, :2] ^= states.view(np.uint64)[:count]
    return Round(shape=shape, base=base)


def _starts(key: bytes, shape: Shape, head: bytes, sizes: Ints) -> Blocks:
    """The state after P, which tells the size of the tweak, and the blocks that all share."""
    states = scratch(len(sizes))
    found, which = sizes[:1], np.zeros(1, dtype=np.int64)
    if (sizes != sizes[0]).any():
        found, which = np.unique(sizes, return_inverse=True)
    chains = b"".join(chain(key, shape.first_block(size) + head) for size in found.tolist())
    states[:-1] = np.frombuffer(chains, dtype=np.uint8).reshape(-1, 16)[which]
    return states


def _steps(key: bytes, states: Blocks, text: Words, before: Ints, most: int) -> None:
    """Chain each row's own blocks, as many as `before` says."""
    cipher, count = block_cipher(key), len(before)
    lanes = states.view(np.uint64)[:count]
    for step in range(most):
        blocks = text[:, 2 * step : 2 * step + 2]
        active = np.flatnonzero(before > step)
        if len(active) == count:
            lanes ^= blocks
            cipher(states, 0, count)
            continue
        some = scratch(len(active))
        some.view(np.uint64)[:-1] = lanes[active] ^ blocks[active]
        cipher(some, 0, len(active))
        states[active] = some[:-1]
