"""Fernet's tokens: `80 ‖ time u64 ‖ IV 16 ‖ AES-128-CBC ciphertext ‖ HMAC-SHA256 32`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from privpipe.kernels._aes import draw_nonces
from privpipe.kernels._base64 import decode_rows, encode_groups, groups
from privpipe.kernels._batches import Batch
from privpipe.kernels._cbc import encrypt_alone, encrypt_rows, padded_blocks
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import Blocks, Bytes, Mask, Slices, Words, scatter, scratch, windows

__all__ = ["OVERHEAD", "SHORTEST", "Parts", "TokenKeys", "parse_tokens", "seal_tokens"]

VERSION = 0x80
LEAD = 9
OVERHEAD = 57
"""Version, time, IV and tag"""
SHORTEST = OVERHEAD + 16


@holds_key
class TokenKeys:
    """The two halves of a Fernet key: the first signs, the second encrypts."""

    __slots__ = ("_signer", "encryption")

    def __init__(self, key: bytes) -> None:
        self._signer = HMAC(key[:16], SHA256())
        self.encryption = key[16:]

    def tags(self, rows: Slices) -> Bytes:
        """HMAC-SHA256 of each row, (n, 32).

        A loop: SHA-256 does not vectorize in numpy (two thousand operations a block, each at a
        pass over the rows). The keyed state is made once and copied for each, which takes two of
        the four blocks of a short value off.
        """
        fresh, raw, tags = self._signer.copy, rows.data.tobytes(), []
        ends = (rows.starts + rows.lengths).tolist()
        for start, end in zip(rows.starts.tolist(), ends, strict=True):
            own = fresh()
            own.update(raw[start:end])
            tags.append(own.finalize())
        return np.frombuffer(b"".join(tags), dtype=np.uint8).reshape(-1, 32)


def seal_tokens(keys: TokenKeys, rows: Slices, batch: Batch, now: int, ivs: Blocks | None) -> Bytes:
    """The tokens of a batch's rows, as text, one behind the other.

    `ivs` are those of all rows; where there are none, they are drawn.
    """
    own = rows.only(slice(batch.first, batch.last))
    count = len(own)
    lengths = (padded_blocks(own.lengths) << 4) + OVERHEAD
    widths = 3 * groups(lengths)
    starts = np.cumsum(widths) - widths
    drawn = scratch(count)
    if ivs is None:
        draw_nonces(drawn, count)
    else:
        drawn[:-1] = ivs[batch.first : batch.last]
    heads = np.empty((count, LEAD + 16), dtype=np.uint8)
    lead = bytes([VERSION]) + now.to_bytes(8, "big")
    heads[:, :LEAD] = np.frombuffer(lead, dtype=np.uint8)
    heads[:, LEAD:] = drawn[:-1]
    # Zeros, for what fills a row's last group becomes its last character.
    out = np.zeros(int(widths.sum()), dtype=np.uint8)
    scatter(heads, 0, LEAD + 16, out, starts)
    short = slice(None) if isinstance(batch.short, slice) else batch.short - batch.first
    for part, encrypt in ((short, encrypt_rows), (batch.long - batch.first, encrypt_alone)):
        some = own.only(part)
        if len(some):
            encrypt(keys.encryption, some, drawn[:-1][part], out, starts[part] + LEAD + 16)
    tags = keys.tags(Slices(data=out, starts=starts, lengths=lengths - 32))
    scatter(tags, 0, 32, out, starts + lengths - 32)
    return encode_groups(out, lengths, urlsafe=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Tokens taken apart: IV and ciphertext, and the time; which are authentic, in `sound`.

    The others have no bytes and the time 0: nothing of them goes on.
    """

    sealed: Slices
    times: Words
    sound: Mask


def parse_tokens(keys: TokenKeys, rows: Slices) -> Parts:
    """Take tokens apart; the tags of all are compared before anything else is believed."""
    decoded = decode_rows(rows, urlsafe=True)
    raw = decoded.rows
    shaped = decoded.sound & (raw.lengths >= SHORTEST) & ((raw.lengths - OVERHEAD) % 16 == 0)
    own = raw.only(shaped)
    signed = own.inner(0, 32)
    differs = _words(keys.tags(signed)) ^ _words(
        windows(own.data, 32)[signed.starts + signed.lengths]
    )
    # Constant time over the batch: the same operations on every word, whatever differs.
    authentic = np.bitwise_or.reduce(differs, axis=1) == 0
    authentic &= own.data[own.starts] == VERSION
    sound = shaped.copy()
    sound[shaped] = authentic
    times = np.zeros(len(rows), dtype=np.uint64)
    times[sound] = windows(own.data, 8)[own.starts[authentic] + 1].view(">u8")
    inner = raw.inner(LEAD, 32)
    sealed = Slices(
        data=raw.data,
        starts=np.where(sound, inner.starts, 0),
        lengths=np.where(sound, inner.lengths, 0),
    )
    return Parts(sealed=sealed, times=times, sound=sound)


def _words(tags: Bytes) -> Words:
    found: Words = np.ascontiguousarray(tags).view(np.uint64).reshape(-1, 4)
    return found
