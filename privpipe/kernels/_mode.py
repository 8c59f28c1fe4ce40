"""A column in, a column out: what all kernels that seal single values share.

A mode knows how to seal and to open a batch of byte strings. Here stands the rest: nulls, prefixes,
batches, the values left to the library, and that nothing is released before it is verified.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from privpipe.arrow import build
from privpipe.errors import DecryptionError
from privpipe.kernels._batches import Batch, Cost, batches
from privpipe.kernels._column import Aad, Column, aad_at, take_in
from privpipe.kernels._pack import (
    BLOCK,
    FILLED,
    Blocks,
    Bytes,
    Ints,
    Mask,
    Slices,
    Steps,
    items,
    windows,
)

__all__ = ["Mode", "Opened", "Place", "open_column", "seal_column"]


_LONG_AAD = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a batch is written: row i, `prefix` first, from `out[at[i]]` on.

    `out` has 16 spare bytes behind its last row. What a batch writes behind the end of a row lies
    in the next row's head, which is written later.
    """

    out: Bytes
    at: Ints
    prefix: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A batch opened: its plaintext by `steps`, and which of the rows, in order, authenticated."""

    steps: Steps
    blocks: Blocks
    authentic: Mask


class Mode(Protocol):
    """One standard under one key. A sealed value is `overhead` bytes longer."""

    @property
    def overhead(self) -> int:
        """The bytes that sealing adds."""

    @property
    def nonce_size(self) -> int:
        """The bytes that are drawn for each value."""

    @property
    def cost(self) -> Cost:
        """What a batch costs, and what the library's own call."""

    def seal(self, rows: Slices, aad: Aad, place: Place, nonces: Bytes | None) -> None:
        """Seal every row into its place."""

    def open(self, rows: Slices, aad: Aad) -> Opened:
        """Open every row, none shorter than `overhead`."""

    def seal_one(self, value: memoryview, aad: bytes | memoryview, nonce: bytes) -> bytes:
        """Seal one value by the library's own call."""

    def open_one(self, sealed: memoryview, aad: bytes | memoryview) -> bytes | None:
        """Open one by the library's own call; None where it does not authenticate."""


def seal_column(
    mode: Mode,
    values: pa.Array,
    aad: bytes | pa.Array,
    prefix: bytes,
    nonces: Bytes | None = None,
) -> pa.Array:
    """`prefix` and the sealed value in each row that is not null; `nonces` has a row for each."""
    column = take_in(values, aad)
    offsets = column.offsets(column.rows.lengths + (len(prefix) + mode.overhead))
    at = column.own(offsets[:-1])
    if nonces is not None and column.valid is not None:
        nonces = nonces[column.valid]
    out = np.empty(int(offsets[-1]) + 16, dtype=np.uint8)
    for batch in batches(_blocks(column.rows.lengths, column.aad), mode.cost):
        rows = column.rows.only(batch.short)
        if len(rows):
            place = Place(out=out, at=at[batch.short], prefix=prefix)
            own = None if nonces is None else nonces[batch.short]
            mode.seal(rows, _aad_of(column.aad, batch), place, own)
        _seal_alone(mode, column, batch, Place(out=out, at=at, prefix=prefix), nonces)
    return build(out[: offsets[-1]], offsets, column.valid)


def open_column(
    mode: Mode, values: pa.Array, aad: bytes | pa.Array, prefix: bytes, *, strict: bool
) -> tuple[pa.Array, Mask]:
    """The plaintexts, and the rows that opened (nulls did).

    Where one does not, `strict` raises; otherwise the row is null, and no byte of it is in the
    result's buffers.
    """
    column = take_in(values, aad)
    given = column.valid
    sound = _sound(column.rows, prefix, mode.overhead)
    if not sound.all():
        if strict:
            raise _failure()
        column = column.without(~sound)
    rows = column.rows.inner(len(prefix), 0)
    lengths = rows.lengths - mode.overhead
    authentic = np.ones(len(rows), dtype=np.bool_)
    out, end = np.empty(int(lengths.sum()), dtype=np.uint8), 0
    for batch in batches(_blocks(lengths, column.aad), mode.cost):
        packed = _open_batch(mode, rows, column.aad, batch, authentic)
        alone = _open_alone(mode, rows, column.aad, batch.long)
        for row, plain in alone.items():
            authentic[row] = plain is not None
        span = slice(batch.first, batch.last)
        if strict and not authentic[span].all():
            raise _failure()
        end = _lay(out, end, packed, alone, lengths[span] * authentic[span], batch.first)
    if not authentic.all():
        column, lengths = column.without(~authentic), lengths[authentic]
    opened = np.ones(column.count, dtype=np.bool_) if column.valid is None else column.valid
    if given is not None:
        opened = opened | ~given
    return build(out[:end], column.offsets(lengths), column.valid), opened


def _seal_alone(
    mode: Mode, column: Column, batch: Batch, place: Place, nonces: Bytes | None
) -> None:
    """The long rows, one by one, over what the batch may have written behind the row before."""
    if not batch.long:
        return
    size = mode.nonce_size
    drawn = (os.urandom(size * len(batch.long)) if nonces is None
             else nonces[batch.long].tobytes())  # fmt: skip
    starts = place.at[batch.long].tolist()
    out = place.out.data
    for at, (row, start) in enumerate(zip(column.rows.views(batch.long), starts, strict=True)):
        aad = aad_at(column.aad, batch.long[at])
        sealed = place.prefix + mode.seal_one(row, aad, drawn[size * at : size * (at + 1)])
        out[start : start + len(sealed)] = sealed


def _open_alone(mode: Mode, rows: Slices, aad: Aad, long: list[int]) -> dict[int, bytes | None]:
    """The long rows' plaintext, None for what does not authenticate."""
    return {
        row: mode.open_one(value, aad_at(aad, row))
        for row, value in zip(long, rows.views(long), strict=True)
    }


def _blocks(lengths: Ints, aad: Aad) -> Ints:
    """The blocks of each row: what it costs, and how many steps its batch takes."""
    blocks: Ints = np.maximum((lengths + 15) >> 4, 1)
    if isinstance(aad, Slices):
        blocks += (aad.lengths + 15) >> 4
    elif len(aad) > _LONG_AAD:
        # What a mode derives from a context, once, is not worth its making: library calls.
        blocks += len(aad)
    return blocks


def _aad_of(aad: Aad, batch: Batch) -> Aad:
    return aad.only(batch.short) if isinstance(aad, Slices) else aad


def _sound(rows: Slices, prefix: bytes, overhead: int) -> Mask:
    """The rows that are long enough and begin with the prefix: no secret is in either."""
    sound = rows.lengths >= len(prefix) + overhead
    if prefix and sound.any():
        found = windows(rows.data, len(prefix))[rows.starts[sound]]
        if found.tobytes() != prefix * len(found):
            sound[sound] = found == np.void(prefix)
    return sound


def _open_batch(mode: Mode, rows: Slices, aad: Aad, batch: Batch, authentic: Mask) -> Bytes:
    """The plaintext of a batch's short rows, one behind the other; none of a row that fails."""
    picked = rows.only(batch.short)
    if len(picked) == 0:
        return np.empty(0, dtype=np.uint8)
    opened = mode.open(picked, _aad_of(aad, batch))
    authentic[batch.short] = opened.authentic
    return _packed(opened)


def _packed(opened: Opened) -> Bytes:
    steps, blocks = opened.steps, opened.blocks
    if len(steps.sizes) == 1:
        keep = FILLED.take(steps.tails * opened.authentic)
        return blocks[keep.view(np.bool_).reshape(-1, 16)]
    counts = steps.unsort(steps.blocks)
    ends = np.cumsum(counts)
    keep = np.full(steps.total, FILLED[16], dtype=BLOCK)
    keep[ends - 1] = FILLED.take(steps.unsort(steps.tails))
    if not opened.authentic.all():
        keep[np.repeat(~opened.authentic, counts)] = FILLED[0]
    flat = np.empty(steps.total, dtype=BLOCK)
    last = steps.sort(ends) - 1
    for step, first, count in steps:
        flat[last[:count] - step] = items(blocks)[first : first + count]
    return flat.view(np.uint8)[keep.view(np.bool_)]


def _lay(
    out: Bytes, end: int, packed: Bytes, alone: dict[int, bytes | None], lengths: Ints, first: int
) -> int:
    """A batch's short rows, and its long ones between them, from `end` on; returns the new end."""
    if not alone:
        out[end : end + len(packed)] = packed
        return end + len(packed)
    lengths[np.array(list(alone)) - first] = 0
    before, done = np.cumsum(lengths), 0
    for row, plain in alone.items():
        upto = int(before[row - first])
        out[end : end + upto - done] = packed[done:upto]
        end, done = end + upto - done, upto
        if plain:
            out.data[end : end + len(plain)] = plain
            end += len(plain)
    out[end : end + len(packed) - done] = packed[done:]
    return end + len(packed) - done


def _failure() -> DecryptionError:
    return DecryptionError(
        "a value did not authenticate: another key or context, or altered bytes",
        hint="`privpipe verify` says which files hold damage",
    )
