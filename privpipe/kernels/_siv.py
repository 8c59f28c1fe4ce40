"""AES-SIV over a batch (RFC 5297), with one associated data."""

from __future__ import annotations

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from privpipe.kernels._aes import block_cipher
from privpipe.kernels._batches import Cost
from privpipe.kernels._column import Aad, each
from privpipe.kernels._holder import holds_key
from privpipe.kernels._mode import Opened, Place
from privpipe.kernels._pack import (
    Blocks,
    Bytes,
    Slices,
    Steps,
    gather_tails,
    items,
    mask_tails,
    scatter,
    scratch,
    steps_of,
    windows,
    with_prefix,
    words,
    xor_into,
)
from privpipe.kernels._s2v import S2v

__all__ = ["Siv"]

# The bits that the counter must not carry into are cleared: the first of each of the last two
# 32-bit words (section 2.6).
_CLEARED = np.frombuffer(bytes.fromhex("7fffffff7fffffff"), dtype=np.uint64)[0]


@holds_key
class Siv:
    """AES-SIV under one key: synthetic IV, ciphertext."""

    __slots__ = ("_encryption_key", "_library", "_s2v")

    overhead = 16
    cost = Cost(batch=60_000, step=10_000, row=30, block=36, call=2200, wire=22, most=96)

    def __init__(self, key: bytes) -> None:
        self._library = AESSIV(key)
        self._s2v = S2v(key[: len(key) // 2])
        self._encryption_key = key[len(key) // 2 :]

    def seal(self, rows: Slices, aad: Aad, place: Place, nonces: Bytes | None) -> None:
        """Seal every row into its place; there are no nonces."""
        del nonces
        steps = steps_of(rows.lengths)
        text = scratch(steps.total)[:-1]
        gather_tails(rows.data, steps.sort(rows.starts), steps, text)
        mask_tails(text, steps)
        vectors = self._s2v.vectors(aad, text, steps)
        xor_into(text, self._key_stream(vectors, steps))
        at, lead = steps.sort(place.at), len(place.prefix) + 16
        last = at + lead + steps.heads
        view = windows(place.out, 16)
        for step, first, count in steps:
            view[last[:count] - 16 * step] = items(text)[first : first + count]
        # After the ciphertext: what that writes behind the end of a row, lies in the next head.
        heads = with_prefix(place.prefix, vectors, 16)
        scatter(heads, heads.shape[1] - lead, lead, place.out, at)

    def open(self, rows: Slices, aad: Aad) -> Opened:
        """Open every row. The plaintext comes first here, as the standard has it; the caller
        releases none that is not authentic.
        """
        inner = rows.inner(16, 0)
        steps = steps_of(inner.lengths)
        starts = steps.sort(inner.starts)
        vectors = windows(rows.data, 16)[starts - 16].view(np.uint8).reshape(-1, 16)
        text = scratch(steps.total)[:-1]
        gather_tails(rows.data, starts, steps, text)
        xor_into(text, self._key_stream(vectors, steps))
        mask_tails(text, steps)
        xor_into(vectors, self._s2v.vectors(aad, text, steps))
        # Constant time over the batch: the same operations on every word, whatever differs.
        differs = words(vectors)
        authentic = (differs[0::2] | differs[1::2]) == 0
        return Opened(steps=steps, blocks=text, authentic=steps.unsort(authentic))

    def seal_alone(self, rows: Slices, aad: Aad, place: Place, nonces: Bytes | None) -> None:
        """Seal every row into its place, each by the library's own call."""
        del nonces
        encrypt, out, prefix = self._library.encrypt, place.out.data, place.prefix
        for start, value, own in zip(place.at.tolist(), rows.views(), each(aad), strict=False):
            sealed = prefix + encrypt(value, [own])
            out[start : start + len(sealed)] = sealed

    def open_alone(self, rows: Slices, aad: Aad) -> list[bytes | None]:
        """Open every row by the library's own call; None for what does not authenticate."""
        decrypt = self._library.decrypt
        plains: list[bytes | None] = []
        for sealed, own in zip(rows.views(), each(aad), strict=False):
            try:
                plains.append(decrypt(sealed, [own]))
            except InvalidTag:
                plains.append(None)
        return plains

    def _key_stream(self, vectors: Blocks, steps: Steps) -> Blocks:
        """CTR from each row's synthetic IV, by steps."""
        stream = scratch(steps.total)
        first = stream[: len(vectors)]
        first[...] = vectors
        stream.view(np.uint64)[: len(vectors), 1] &= _CLEARED
        if len(steps.sizes) > 1:
            start = first.view(">u8")[:, 1].astype(np.uint64)
            counter = stream.view(">u8")
            for step, at, count in reversed(list(steps)):
                items(stream)[at : at + count] = items(stream)[:count]
                # The cleared bits leave room: no carry goes beyond these 64 bits.
                offset = (steps.blocks[:count] - (step + 1)).astype(np.uint64)
                counter[at : at + count, 1] = start[:count] + offset
        block_cipher(self._encryption_key)(stream, 0, steps.total)
        return stream[:-1]
