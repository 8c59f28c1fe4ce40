"""A column in, a column out: what all kernels that seal single values share.

A mode knows how to seal and to open a batch of byte strings. Here stands the rest: nulls, prefixes,
batches, the values left to the library, and that nothing is released before it is verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from privpipe.arrow import Bound, build
from privpipe.errors import DecryptionError
from privpipe.kernels._batches import Cost, batches
from privpipe.kernels._column import Aad, take_in
from privpipe.kernels._head import RowAad
from privpipe.kernels._pack import Blocks, Bytes, Ints, Mask, Slices, Steps, scatter_rows, windows

__all__ = ["Mode", "Opened", "Place", "open_column", "seal_column"]

_LONG_AAD = 1024
"""Bytes of a column's context from which on its values are left to the library"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a batch is written: row i, `prefix` first, from `out[at[i]]` on.

    `out` has 16 spare bytes behind its last row. What a batch writes behind the end of a row lies
    in the next row's head, which is written later.
    """

    out: Bytes
    at: Ints
    prefix: bytes

    def only(self, rows: slice | Ints) -> Place:
        """Those rows."""
        return Place(out=self.out, at=self.at[rows], prefix=self.prefix)


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
    def cost(self) -> Cost:
        """What a batch costs, and what the library's own call."""

    def seal(self, rows: Slices, aad: Aad, place: Place, nonces: Bytes | None) -> None:
        """Seal every row into its place."""

    def open(self, rows: Slices, aad: Aad) -> Opened:
        """Open every row, none shorter than `overhead`."""

    def seal_alone(self, rows: Slices, aad: Aad, place: Place, nonces: Bytes | None) -> None:
        """Seal every row into its place, each by the library's own call."""

    def open_alone(self, rows: Slices, aad: Aad) -> list[bytes | None]:
        """Open every row by the library's own call; None for what does not authenticate."""


def seal_column(
    mode: Mode,
    values: pa.Array,
    aad: bytes | pa.Array | Bound,
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
    place = Place(out=out, at=at, prefix=prefix)
    for batch in batches(_blocks(column.rows.lengths, column.aad), mode.cost):
        # The long rows come second: over what the batch has written behind the rows before them.
        for part, seal in ((batch.short, mode.seal), (batch.long, mode.seal_alone)):
            own = column.rows.only(part)
            if len(own):
                drawn = None if nonces is None else nonces[part]
                seal(own, _only(column.aad, part), place.only(part), drawn)
    return build(out[: offsets[-1]], offsets, column.valid)


def open_column(
    mode: Mode, values: pa.Array, aad: bytes | pa.Array | Bound, prefix: bytes, *, strict: bool
) -> tuple[pa.Array, Mask]:
    """The plaintexts, and the rows that opened (nulls did).

    Where one does not, `strict` raises; otherwise the row is null, and zeros lie under it.
    """
    column = take_in(values, aad)
    given = column.valid
    sound = _sound(column.rows, prefix, mode.overhead)
    if not sound.all():
        if strict:
            raise _failure()
        column = column.without(~sound)
    rows, aads = column.rows.inner(len(prefix), 0), column.aad
    lengths = rows.lengths - mode.overhead
    offsets = column.offsets(lengths)
    place = Place(
        out=np.empty(int(offsets[-1]), dtype=np.uint8), at=column.own(offsets[:-1]), prefix=b""
    )
    authentic = np.ones(len(rows), dtype=np.bool_)
    for batch in batches(_blocks(lengths, aads), mode.cost):
        for part, open_ in ((batch.short, _open_short), (batch.long, _open_long)):
            own = rows.only(part)
            if len(own):
                authentic[part] = open_(mode, own, _only(aads, part), place.only(part))
        if strict and not authentic[batch.first : batch.last].all():
            raise _failure()
    if not authentic.all():
        column = column.without(~authentic)
    opened = np.ones(column.count, dtype=np.bool_) if column.valid is None else column.valid
    if given is not None:
        opened = opened | ~given
    return build(place.out, offsets, column.valid), opened


def _open_short(mode: Mode, rows: Slices, aad: Aad, place: Place) -> Mask:
    """Write the plaintext of a batch; zeros for a row that fails."""
    opened = mode.open(rows, aad)
    steps, blocks = opened.steps, opened.blocks
    if not opened.authentic.all():
        failing = steps.sort(~opened.authentic)
        for _, first, count in steps:
            blocks[first : first + count][failing[:count]] = 0
    scatter_rows(blocks, steps, place.out, steps.sort(place.at))
    return opened.authentic


def _open_long(mode: Mode, rows: Slices, aad: Aad, place: Place) -> Mask:
    """The same, row by row."""
    out = place.out.data
    plains = mode.open_alone(rows, aad)
    for start, plain, length in zip(
        place.at.tolist(), plains, (rows.lengths - mode.overhead).tolist(), strict=True
    ):
        out[start : start + length] = bytes(length) if plain is None else plain
    return np.array([plain is not None for plain in plains])


def _blocks(lengths: Ints, aad: Aad) -> Ints:
    """The blocks of each row: what it costs, and how many steps its batch takes."""
    blocks: Ints = np.maximum((lengths + 15) >> 4, 1)
    shared = aad
    if isinstance(aad, RowAad):
        blocks += (aad.rest.lengths + 15) >> 4
        shared = aad.head
    if len(shared) > _LONG_AAD:
        # A mode prepares a column's context block by block, at tens of microseconds each.
        blocks += len(shared)
    return blocks


def _only(aad: Aad, rows: slice | Ints) -> Aad:
    return aad.only(rows) if isinstance(aad, RowAad) else aad


def _sound(rows: Slices, prefix: bytes, overhead: int) -> Mask:
    """The rows that are long enough and begin with the prefix: no secret is in either."""
    sound = rows.lengths >= len(prefix) + overhead
    starts = rows.starts if sound.all() else rows.starts[sound]
    for at in range(0, len(prefix), 8):
        word = prefix[at : at + 8]
        mask, wanted = np.frombuffer(
            (b"\xff" * len(word)).ljust(8, b"\0") + word.ljust(8, b"\0"), dtype=np.uint64
        )
        # The overhead behind the prefix is longer than a word: the window is within the row.
        same = (windows(rows.data, 8)[starts + at].view(np.uint64) & mask) == wanted
        if not same.all():
            sound[sound] = same
            starts = rows.starts[sound]
    return sound


def _failure() -> DecryptionError:
    return DecryptionError(
        "a value did not authenticate: another key or context, or altered bytes",
        hint="`privpipe verify` says which files hold damage",
    )
