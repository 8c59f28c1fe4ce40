"""AES-CBC with PKCS #7 padding over a batch (SP 800-38A, section 6.2; RFC 5652, section 6.3).

It authenticates nothing: whoever calls it has a tag compared before a padding is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from privpipe.kernels._aes import block_cipher
from privpipe.kernels._batches import Cost
from privpipe.kernels._pack import (
    BLOCK,
    KEEP,
    Blocks,
    Bytes,
    Ints,
    Items,
    Mask,
    Slices,
    Steps,
    gather_tails,
    items,
    scratch,
    steps_of,
    windows,
    words,
    xor_into,
)

__all__ = ["CBC_COST", "Opened", "encrypt_alone", "encrypt_rows", "open_rows", "padded_blocks"]

CBC_COST = Cost(batch=70_000, step=11_000, row=20, block=15, call=4500, wire=14, most=256)
"""Of encryption, whose blocks hang on one another. Decryption takes no steps."""

_AT = np.arange(16)
_SIZES = np.arange(17)[:, None]
_PADS: Items = np.where(_AT >= _SIZES, 16 - _SIZES, 0).astype(np.uint8).view(BLOCK)[:, 0]
"""item t fills the bytes from t on with their number"""
_REST: Items = np.where(_AT >= _SIZES, 0xFF, 0).astype(np.uint8).view(BLOCK)[:, 0]
"""item t keeps the bytes from t on"""
_FILLED = _AT < _SIZES


def padded_blocks(lengths: Ints) -> Ints:
    """The blocks of values of these lengths: there is always a padding."""
    return (lengths >> 4) + 1


def encrypt_rows(key: bytes, rows: Slices, ivs: Blocks, out: Bytes, at: Ints) -> None:
    """Each row, padded and encrypted under its IV, to `out[at[i]]`."""
    steps = steps_of(padded_blocks(rows.lengths) << 4)
    text = scratch(steps.total)
    gather_tails(rows.data, steps.sort(rows.starts), steps, text[:-1])
    _pad(text, steps, steps.sort(rows.lengths) & 15)
    chain, encrypt = steps.sort(ivs), block_cipher(key)
    view, last = windows(out, 16), steps.sort(at) + steps.heads
    # First blocks first: a row whose turn has not come stands behind those whose turn it is, and
    # still has its IV in the chain.
    for step, first, count in reversed(list(steps)):
        own = text[first : first + count]
        xor_into(own, chain[:count])
        encrypt(text, first, count)
        chain = own if count == len(chain) else np.concatenate([own, chain[count:]])
        view[last[:count] - 16 * step] = items(own)


def encrypt_alone(key: bytes, rows: Slices, ivs: Blocks, out: Bytes, at: Ints) -> None:
    """The same, each row by the library's own call."""
    algorithm = algorithms.AES(key)
    for start, value, iv in zip(at.tolist(), rows.views(), ivs, strict=True):
        pad = 16 - len(value) % 16
        whole = b"".join([value, bytes([pad]) * pad])
        sealed = Cipher(algorithm, modes.CBC(iv.tobytes())).encryptor().update(whole)
        out[start : start + len(sealed)] = np.frombuffer(sealed, dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The plaintexts one behind the other, their lengths, and which of the paddings were right.

    A row whose padding is wrong has no bytes.
    """

    data: Bytes
    lengths: Ints
    sound: Mask


def open_rows(key: bytes, rows: Slices) -> Opened:
    """Decrypt rows of an IV and whole blocks, at least one: one call, and one XOR."""
    counts = rows.lengths >> 4
    ends = np.cumsum(counts)
    total = int(ends[-1])
    offsets = np.arange(total) - np.repeat(ends - counts, counts)
    sealed = scratch(total)
    items(sealed)[:-1] = windows(rows.data, 16)[np.repeat(rows.starts, counts) + 16 * offsets]
    text = scratch(total)
    # ECB is the bare block function here: CBC's chain is the XOR below.
    update = Cipher(algorithms.AES(key), modes.ECB()).decryptor().update_into  # noqa: S305
    update(sealed[:-1].reshape(-1).data, text.reshape(-1).data)
    xor_into(text[1:-1], sealed[: total - 1])
    last = items(text)[ends - 1]
    pad = last.view(np.uint8).reshape(-1, 16)[:, 15].astype(np.int64)
    sound = (pad >= 1) & (pad <= 16)
    left = np.where(sound, 16 - pad, 16)
    differs = words(last) ^ words(_PADS.take(left))
    differs &= words(_REST.take(left))
    sound &= (differs[0::2] | differs[1::2]) == 0
    keep = np.ones((total, 16), dtype=np.bool_)
    keep[ends - counts] = False
    keep[ends - 1] = _FILLED[left]
    if not sound.all():
        keep[np.repeat(~sound, counts)] = False
    lengths = np.where(sound, 16 * (counts - 2) + left, 0)
    return Opened(data=text[:-1].reshape(-1)[keep.reshape(-1)], lengths=lengths, sound=sound)


def _pad(text: Blocks, steps: Steps, tails: Ints) -> None:
    """Behind the end of each row, the number of the bytes that are left in its last block."""
    last = words(text[: steps.sizes[0]])
    np.bitwise_and(last, words(KEEP.take(tails)), out=last)
    np.bitwise_or(last, words(_PADS.take(tails)), out=last)
