"""Associated data, one a row, taken apart: the blocks that all rows share, and each row's rest.

A mode goes through what is shared once for the column, and through the rest row by row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from privpipe.kernels._pack import Ints, Items, Mask, Slices, Steps, windows, words

__all__ = ["RowAad", "joined", "split"]

_MOST = 64
"""Blocks: a mode goes through a head block by block, at tens of microseconds each"""

_PROBES = 16
"""Rows that are compared first: where they share nothing, no other row is looked at"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAad:
    """Row i has `head` and `rest[i]` behind it. The head is whole blocks; where it is not empty,
    no rest is, so that the last block of a row is its own.
    """

    head: bytes
    rest: Slices

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.rest)

    def only(self, rows: Ints | Mask | slice) -> RowAad:
        """Those rows."""
        return RowAad(head=self.head, rest=self.rest.only(rows))

    def sort(self, steps: Steps) -> RowAad:
        """The rows in the order of a batch's steps."""
        return self if steps.order is None else self.only(steps.order)

    def views(self) -> Iterator[bytes | memoryview]:
        """The associated data whole, row by row."""
        return (self.head + rest for rest in self.rest.views()) if self.head else self.rest.views()


def split(rows: Slices) -> RowAad:
    """Find the whole blocks at which all rows begin alike."""
    shared = _shared(rows) if len(rows) else 0
    first = int(rows.starts[0]) if shared else 0
    head = rows.data[first : first + 16 * shared].tobytes()
    return RowAad(head=head, rest=rows.inner(16 * shared, 0))


def joined(rows: RowAad) -> Slices:
    """What `split` took apart: the head still lies before each rest."""
    return rows.rest.inner(-len(rows.head), 0)


def _shared(rows: Slices) -> int:
    """The number of these blocks, one byte at least being left to each row."""
    most = min((int(rows.lengths.min()) - 1) // 16, _MOST)
    if most <= 0:
        return 0
    view = windows(rows.data, 16)
    for starts in (rows.starts[:: -(-len(rows) // _PROBES)], rows.starts):
        most = _alike(view, starts, most)
    return most


def _alike(view: Items, starts: Ints, most: int) -> int:
    """How many blocks from `starts` on are the same, `most` being enough."""
    for block in range(most):
        found = words(view[starts + 16 * block])
        for half in (0, 1):
            if (found[half::2] != found[half]).any():
                return block
    return most
