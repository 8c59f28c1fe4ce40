"""Rows of any length as 16-byte blocks, and back, with no Python loop over rows.

The blocks of a batch lie *by steps from the end*: step 0 holds the last block of every row, step 1
the block before it of every row that has one, and so on. The rows are sorted by their number of
blocks, so each step is a leading run of the rows and one contiguous run of blocks; partial blocks
stand in step 0 alone; and what a chaining mode does to one step, it does to all rows at once. A
batch of any mixture of lengths costs as many steps as its longest row has blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLOCK",
    "KEEP",
    "Blocks",
    "Bytes",
    "Ints",
    "Items",
    "Mask",
    "Slices",
    "Steps",
    "Words",
    "gather_tails",
    "items",
    "mask_tails",
    "scatter",
    "scatter_rows",
    "scratch",
    "steps_of",
    "windows",
    "with_prefix",
    "words",
    "xor_each",
    "xor_into",
]

Bytes: TypeAlias = npt.NDArray[np.uint8]
Ints: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Words: TypeAlias = npt.NDArray[np.uint64]
Blocks: TypeAlias = npt.NDArray[np.uint8]
"""uint8 of shape (n, 16)"""
Items: TypeAlias = npt.NDArray[np.void]
"""V16 of shape (n,): a block as one item, which numpy moves in one go"""

BLOCK = np.dtype("V16")

# The C library hands freed blocks of a batch's size back to the system and takes them anew for the
# next batch, page fault by page fault: that cost as much as all the cryptography (190 ns a value
# with it, 90 without). Once a larger block was freed, it keeps up to twice that size in hand. So
# one is taken and freed, untouched; the accepted cost is at most 16 MiB a process.
_ = np.empty(8 << 20, dtype=np.uint8)
del _

_FILLED = np.arange(16) < np.arange(17)[:, None]
KEEP: Items = np.where(_FILLED, 0xFF, 0).astype(np.uint8).view(BLOCK)[:, 0]
"""item t keeps the first t bytes of a block"""


def scratch(count: int) -> Blocks:
    """`count` blocks, and one more behind them, which AES in place asks for."""
    return np.empty((count + 1, 16), dtype=np.uint8)


def items(blocks: Blocks) -> Items:
    """A contiguous (n, 16) matrix as n items."""
    return blocks.view(BLOCK)[:, 0]


def words(blocks: npt.NDArray[Any]) -> Words:
    """Contiguous blocks or items as a flat row of 64-bit words."""
    return blocks.reshape(-1).view(np.uint64)


def windows(data: Bytes, width: int) -> npt.NDArray[np.void]:
    """Item i is `data[i:i + width]`: overlapping, read or written in one indexed move.

    Twice as fast here as indexing a sliding window matrix.
    """
    return np.ndarray(
        (max(len(data) - width + 1, 0),), dtype=np.dtype(f"V{width}"), buffer=data, strides=(1,)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Byte strings in one buffer: `data[starts[i]:starts[i] + lengths[i]]`.

    Behind the end of each there are at least 16 more bytes of `data`, so that windows fit.
    """

    data: Bytes
    starts: Ints
    lengths: Ints

    def __len__(self) -> int:
        """The number of byte strings."""
        return len(self.starts)

    def only(self, rows: Ints | Mask | slice) -> Slices:
        """Those rows, over the same buffer."""
        return Slices(data=self.data, starts=self.starts[rows], lengths=self.lengths[rows])

    def inner(self, lead: int, trail: int) -> Slices:
        """Without the first `lead` and the last `trail` bytes of each."""
        return Slices(
            data=self.data, starts=self.starts + lead, lengths=self.lengths - (lead + trail)
        )

    def views(self) -> Iterator[memoryview]:
        """The byte strings, one by one."""
        data = self.data.data
        ends = (self.starts + self.lengths).tolist()
        return (data[start:end] for start, end in zip(self.starts.tolist(), ends, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How the rows of one batch fall into blocks.

    `order` sorts the rows by falling number of blocks (None: they stand as they came). The rest
    is in that order: `blocks` (at least 1, an empty row has one of nothing), `tails`, the bytes in
    the last block (0 to 16), `heads`, the bytes before it. `sizes[r]` rows take part in step r,
    whose blocks are those from `bounds[r]` to `bounds[r + 1]`.
    """

    order: Ints | None
    lengths: Ints
    blocks: Ints
    heads: Ints
    tails: Ints
    sizes: tuple[int, ...]
    bounds: tuple[int, ...]

    @property
    def total(self) -> int:
        """The number of blocks."""
        return self.bounds[-1]

    def sort(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A column of the batch's rows in the order of the steps."""
        return column if self.order is None else column[self.order]

    def unsort(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The inverse of `sort`."""
        if self.order is None:
            return column
        back = np.empty_like(column)
        back[self.order] = column
        return back

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(step, first block, number of rows), last blocks first."""
        return zip(range(len(self.sizes)), self.bounds, self.sizes, strict=False)


def steps_of(lengths: Ints) -> Steps:
    """The steps of rows of these lengths; there is at least one row."""
    longest, shortest = int(lengths.max()), int(lengths.min())
    most, least = max((longest + 15) >> 4, 1), max((shortest + 15) >> 4, 1)
    if most == least:
        count = len(lengths)
        heads = np.full(count, (most - 1) << 4, dtype=np.int64)
        return Steps(
            order=None, lengths=lengths, blocks=np.full(count, most, dtype=np.int64), heads=heads,
            tails=lengths if most == 1 else lengths - heads, sizes=(count,) * most,
            bounds=tuple(range(0, (most + 1) * count, count)),
        )  # fmt: skip
    blocks = np.maximum((lengths + 15) >> 4, 1)
    # Stable sorting of small unsigned integers is a radix sort: linear in the rows.
    kind = np.uint8 if most < 256 else np.uint16 if most < 65536 else np.int64
    order = np.argsort((most - blocks).astype(kind), kind="stable")
    lengths, blocks = lengths[order], blocks[order]
    heads = (blocks - 1) << 4
    above = np.bincount(blocks)[::-1].cumsum()[::-1]
    sizes = tuple(above[1:].tolist())
    return Steps(
        order=order, lengths=lengths, blocks=blocks, heads=heads, tails=lengths - heads,
        sizes=sizes, bounds=tuple(accumulate(sizes, initial=0)),
    )  # fmt: skip


def gather_tails(data: Bytes, starts: Ints, steps: Steps, into: Blocks) -> None:
    """The blocks of the rows from `starts` (sorted) on, by steps.

    The last block of a row comes with whatever lies in `data` behind the row's end.
    """
    view, target = windows(data, 16), items(into)
    if len(steps.sizes) == 1:
        target[...] = view[starts]
        return
    last = starts + steps.heads
    for step, first, count in steps:
        target[first : first + count] = view[last[:count] - 16 * step]


def mask_tails(blocks: Blocks, steps: Steps) -> None:
    """Zero what lies behind the end of each row."""
    last = words(blocks[: steps.sizes[0]])
    np.bitwise_and(last, words(KEEP.take(steps.tails)), out=last)


def xor_into(blocks: npt.NDArray[Any], other: npt.NDArray[Any]) -> None:
    """`blocks ^= other`, both contiguous blocks or items."""
    into = words(blocks)
    np.bitwise_xor(into, words(other), out=into)


def xor_each(blocks: npt.NDArray[Any], one: npt.NDArray[Any]) -> None:
    """`blocks ^= one` for every block, `one` being a single one."""
    into, other = words(blocks), words(one)
    for half in (0, 1):  # two long runs, where a pair a row would be two short steps a row
        np.bitwise_xor(into[half::2], other[half], out=into[half::2])


def with_prefix(prefix: bytes, blocks: Blocks, width: int, spare: int = 0) -> Blocks:
    """Rows of `prefix`, `width` bytes (12 or 16) of each block, and spare blocks behind these.

    Rows are whole blocks, so that all moves are of aligned words: what there is too much stands at
    their beginning.
    """
    start = -(len(prefix) + width) % 16
    constant = np.frombuffer(bytes(start) + prefix, dtype=np.uint32)
    rows = np.empty((len(blocks), 4 * len(constant) + width + 16 * spare), dtype=np.uint8)
    columns = rows.view(np.uint32)
    for at in range(start // 4, len(constant)):
        columns[:, at] = constant[at]
    if width == 16:
        rows.view(BLOCK)[:, -1 - spare] = items(blocks)
        return rows
    for at in range(width // 4):
        columns[:, len(constant) + at] = blocks.view(np.uint32)[:, at]
    return rows


def scatter(rows: Blocks, start: int, width: int, out: Bytes, at: Ints) -> None:
    """`width` bytes of each row, from byte `start` on, to `out[at[i]]`."""
    part = np.ndarray(
        (len(rows),), dtype=f"V{width}", buffer=rows, offset=start, strides=rows.strides[:1]
    )
    windows(out, width)[at] = part


def scatter_rows(blocks: Blocks, steps: Steps, out: Bytes, at: Ints) -> None:
    """Each row, of its exact length, to `out[at[i]]`; rows and `at` by steps.

    Last blocks are written one length after the other: no byte outside a row is touched, so that
    no order of writing is relied on.
    """
    last = at + steps.heads
    for step, first, count in steps:
        if step:
            windows(out, 16)[last[:count] - 16 * step] = items(blocks)[first : first + count]
    ends, tails = items(blocks)[: steps.sizes[0]], steps.tails
    shortest, longest = int(tails.min()), int(tails.max())
    counts = [0] * shortest + [len(tails)]
    if shortest < longest:
        small = tails.astype(np.uint8)
        order = np.argsort(small, kind="stable")
        ends, last, counts = ends.take(order), last[order], np.bincount(small).tolist()
    done = counts[0]
    for size, count in enumerate(counts[1:], 1):
        rows = ends[done : done + count].view(np.uint8).reshape(-1, 16)
        if count:
            scatter(rows, 0, size, out, last[done : done + count])
        done += count
