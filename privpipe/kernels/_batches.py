"""Batches of bounded size, and which of their rows the library's own call does faster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from privpipe.kernels._pack import Ints

__all__ = ["Batch", "Cost", "batches"]

ROOM = 1 << 16
"""Blocks in a batch: 1 MiB a buffer bounds the memory, and makes the steps of long rows repay"""

_NONE: Ints = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Nanoseconds, measured; rough is enough, for near the crossing both ways cost the same.

    In a batch: once, for each step, and for each row and block. By the library: for each call and
    block. Rows of more than `most` blocks are always the library's.
    """

    batch: int
    step: int
    row: int
    block: int
    call: int
    wire: int
    most: int

    def gain(self, size: int) -> int:
        """What a batch saves on a row of so many blocks."""
        return self.call - self.row + size * (self.wire - self.block)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The rows from `first` to `last`: `short` (a slice where it is all of them) and `long`."""

    first: int
    last: int
    short: slice | Ints
    long: Ints


def batches(blocks: Ints, cost: Cost) -> Iterator[Batch]:
    """Cut rows of so many blocks into batches.

    Rows that are few of their length, and rows that are long, are better off alone: so neither one
    long value among many short ones nor a column of one value costs more than it must.
    """
    if _all_alike(blocks, cost):
        # The column of short values, which is the common one: all that follows comes to this.
        rows = ROOM // int(blocks[0])
        for first in range(0, len(blocks), rows):
            last = min(first + rows, len(blocks))
            yield Batch(first=first, last=last, short=slice(first, last), long=_NONE)
        return
    for first, last in _spans(np.minimum(blocks, cost.most)):
        own = blocks[first:last]
        limit = _cut(own, cost)
        if own.max() <= limit:
            yield Batch(first=first, last=last, short=slice(first, last), long=_NONE)
            continue
        alone = own > limit
        yield Batch(
            first=first,
            last=last,
            short=np.flatnonzero(~alone) + first,
            long=np.flatnonzero(alone) + first,
        )


def _all_alike(blocks: Ints, cost: Cost) -> bool:
    """Whether the rows are of one size, and are better off in a batch."""
    size = int(blocks.max(initial=0))
    if not 0 < size <= cost.most or int(blocks.min()) < size:
        return False
    return len(blocks) * cost.gain(size) > cost.batch + size * cost.step


def _spans(blocks: Ints) -> Iterator[tuple[int, int]]:
    ends = np.cumsum(blocks)
    count = len(blocks)
    first = 0
    while first < count:
        done = ends[first - 1] if first else 0
        last = max(int(np.searchsorted(ends, done + ROOM, side="right")), first + 1)
        yield first, last
        first = last


def _cut(blocks: Ints, cost: Cost) -> int:
    """The rows of at most this many blocks go in the batch: the cheapest place to cut."""
    most = cost.most
    rows = np.bincount(np.minimum(blocks, most + 1), minlength=most + 2)
    size = np.arange(most + 2)
    alone = rows * (cost.call + size * cost.wire)
    saved = np.cumsum(alone - rows * (cost.row + size * cost.block))
    gain = saved - size * cost.step - cost.batch
    best = int(np.argmax(gain[: most + 1]))
    return best if gain[best] > 0 else 0
