"""AES-GCM over a batch (SP 800-38D), 96-bit nonces and 128-bit tags."""

from __future__ import annotations

import os
from functools import lru_cache, partial

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privpipe.kernels._aes import block_cipher, draw_nonces, encrypt_block
from privpipe.kernels._batches import Cost
from privpipe.kernels._column import Aad, each
from privpipe.kernels._field import multiply
from privpipe.kernels._ghash import CAP, Ghash
from privpipe.kernels._head import RowAad
from privpipe.kernels._holder import holds_key
from privpipe.kernels._mode import Opened, Place
from privpipe.kernels._pack import (
    BLOCK,
    Blocks,
    Bytes,
    Items,
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
from privpipe.kernels._row_hash import add_rests, length_blocks, row_seeds, seed_rows

__all__ = ["Gcm"]

_SEED_SIZES = (16, 64, 256, 16 * CAP)
"""The longest values that a table of seeds is made for"""


@holds_key
class Gcm:
    """AES-GCM under one key: nonce, ciphertext, tag."""

    __slots__ = ("_hash", "_key", "_library", "_row_seeds", "_seeds")

    overhead = 28
    cost = Cost(batch=90_000, step=14_000, row=30, block=60, call=1350, wire=5, most=CAP)

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._library = AESGCM(key)
        self._hash = Ghash(encrypt_block(key, bytes(16)))
        # The cache holds the hash, not the kernel: a kernel that is dropped is gone at once.
        self._seeds = lru_cache(maxsize=16)(partial(_seeds, self._hash))
        self._row_seeds = lru_cache(maxsize=16)(partial(row_seeds, self._hash))

    def seal(self, rows: Slices, aad: Aad, place: Place, nonces: Bytes | None) -> None:
        """Seal every row into its place."""
        steps = steps_of(rows.lengths)
        count = len(rows)
        stream = scratch(count + steps.total)
        if nonces is None:
            draw_nonces(stream, count)
        else:
            stream[:count, :12] = steps.sort(nonces)
        # Where a row is one block, its ciphertext is written together with its head.
        heads = with_prefix(place.prefix, stream[:count], 12, spare=len(steps.sizes) == 1)
        self._key_stream(stream, steps)
        text = scratch(steps.total)[:-1]
        gather_tails(rows.data, steps.sort(rows.starts), steps, text)
        xor_into(text, stream[count:-1])
        mask_tails(text, steps)
        tags = self._tags(aad, steps, text)
        xor_into(tags, stream[:count])
        _write(place, steps, heads, text, tags)

    def open(self, rows: Slices, aad: Aad) -> Opened:
        """Open every row: the tags of all are compared first, and in constant time."""
        inner = rows.inner(12, 16)
        steps = steps_of(inner.lengths)
        count = len(rows)
        starts = steps.sort(inner.starts)
        view = windows(rows.data, 16)
        stream = scratch(count + steps.total)
        items(stream)[:count] = view[starts - 12]
        self._key_stream(stream, steps)
        text = scratch(steps.total)[:-1]
        gather_tails(rows.data, starts, steps, text)
        mask_tails(text, steps)
        tags = self._tags(aad, steps, text)
        xor_into(tags, stream[:count])
        xor_into(tags, view[starts + steps.lengths])
        # Constant time over the batch: the same operations on every word, whatever differs.
        differs = words(tags)
        authentic = (differs[0::2] | differs[1::2]) == 0
        xor_into(text, stream[count:-1])
        return Opened(steps=steps, blocks=text, authentic=steps.unsort(authentic))

    def seal_alone(self, rows: Slices, aad: Aad, place: Place, nonces: Bytes | None) -> None:
        """Seal every row into its place, each by the library's own call."""
        drawn = os.urandom(12 * len(rows)) if nonces is None else nonces.tobytes()
        encrypt, out, prefix = self._library.encrypt, place.out.data, place.prefix
        lead = len(prefix) + 12
        each_row = zip(place.at.tolist(), rows.views(), each(aad), strict=False)
        for at, (start, value, own) in enumerate(each_row):
            nonce = drawn[12 * at : 12 * at + 12]
            sealed = encrypt(nonce, value, own)
            middle = start + lead
            out[start:middle] = prefix + nonce
            out[middle : middle + len(sealed)] = sealed

    def open_alone(self, rows: Slices, aad: Aad) -> list[bytes | None]:
        """Open every row by the library's own call; None for what does not authenticate."""
        decrypt = self._library.decrypt
        plains: list[bytes | None] = []
        for sealed, own in zip(rows.views(), each(aad), strict=False):
            try:
                plains.append(decrypt(sealed[:12], sealed[12:], own))
            except InvalidTag:
                plains.append(None)
        return plains

    def _key_stream(self, stream: Blocks, steps: Steps) -> None:
        """From the nonces in its first blocks: each row's tag mask, then the blocks to add."""
        count = steps.sizes[0]
        counter = stream.view(">u4")
        nonces = items(stream)[:count]
        counter[:count, 3] = 1
        for step, first, rows in steps:
            own = slice(count + first, count + first + rows)
            items(stream)[own] = nonces[:rows]
            # A row's first block has the counter 2, so that its last has its number of blocks + 1.
            counter[own, 3] = steps.blocks[:rows] + (1 - step)
        block_cipher(self._key)(stream, 0, count + steps.total)

    def _tags(self, aad: Aad, steps: Steps, text: Blocks) -> Blocks:
        """GHASH of each row: its tag, but for the mask."""
        longest = int(steps.lengths.max())
        if isinstance(aad, RowAad):
            aad = aad.sort(steps)
            tags = seed_rows(self._row_seeds, aad, steps.lengths)
        else:
            # A few sizes, so that a column whose longest value varies does not fill the cache.
            size = next(size for size in _SEED_SIZES if size >= longest)
            tags = self._seeds(aad, size).take(steps.lengths).view(np.uint8).reshape(-1, 16)
        widest = min(longest, 16)
        for step, first, rows in steps:
            places = range(16 if step else widest)
            self._hash.add(tags[:rows], text[first : first + rows], step + 2, places)
        if isinstance(aad, RowAad):
            add_rests(self._hash, tags, aad.rest, steps.lengths)
        return tags


def _seeds(hash_: Ghash, aad: bytes, longest: int) -> Items:
    """What the associated data and the length add to the hash, by the length of the value."""
    total = 0
    for at in range(0, len(aad), 16):
        block = int.from_bytes(aad[at : at + 16].ljust(16, b"\0"), "big")
        total = multiply(total ^ block, hash_.power(1))
    lengths = np.arange(longest + 1)
    sums = hash_.product(length_blocks(8 * len(aad), 8 * lengths), 1)
    for blocks in range((longest + 15) // 16 + 1):
        total = multiply(total, hash_.power(1))
        part = np.frombuffer(total.to_bytes(16, "big"), dtype=np.uint8)
        sums[(lengths + 15) >> 4 == blocks] ^= part
    return items(sums)


def _write(place: Place, steps: Steps, heads: Blocks, text: Blocks, tags: Blocks) -> None:
    """Heads and ciphertext, then the tags: a row's padding lies where its own tag comes."""
    at = steps.sort(place.at)
    lead = len(place.prefix) + 12
    view = windows(place.out, 16)
    if len(steps.sizes) == 1:
        heads.view(BLOCK)[:, -1] = items(text)
        scatter(heads, heads.shape[1] - lead - 16, lead + 16, place.out, at)
    else:
        scatter(heads, heads.shape[1] - lead, lead, place.out, at)
        last = at + lead + steps.heads
        for step, first, count in steps:
            view[last[:count] - 16 * step] = items(text)[first : first + count]
    view[at + lead + steps.lengths] = items(tags)
