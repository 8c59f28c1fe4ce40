"""GHASH over many rows: sums of table look-ups.

The hash of a row is the sum of `X_i * H^(k + 1 - i)` over its k blocks. Each power of H has a
table for each byte of a block, and a product is the sum of 16 look-ups.

**Safety of the look-ups.** A table is secret, and where it is read shows in the cache. It is read
at places that *public* bytes alone name: ciphertext (which an onlooker holds anyway), associated
data (which names a column, and a row by what its table shows of it: by its key as it is stored)
and lengths. That is why each power has its own table: Horner's rule would need only one, but would
look up with the running sum, which depends on H.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from privpipe.kernels._field import multiply, times_x
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import BLOCK, Blocks, words, xor_each

__all__ = ["CAP", "Ghash"]

CAP = 64
"""The most blocks of a row that are hashed here: 64 KiB of tables for each power up to one more"""

_SMALL = 1500
"""Below this many rows, numpy's calls cost more than memory: one large look-up, not 16"""

Table = npt.NDArray[np.void]
_BYTE_OFFSETS = (np.arange(16, dtype=np.int64) << 8)[:, None]


def _byte_table(power: int) -> Table:
    """(16, 256): the product of `power` and each value of each byte of a block."""
    basis = np.empty((128, 16), dtype=np.uint8)
    for bit in range(128):
        basis[bit] = np.frombuffer(power.to_bytes(16, "big"), dtype=np.uint8)
        power = times_x(power)
    # The first bit of a byte is its highest: place 1 << b of the index is bit 7 - b.
    columns = basis.view(np.uint64).reshape(16, 8, 2)[:, ::-1]
    table = np.zeros((16, 256, 2), dtype=np.uint64)
    for place in range(8):
        size = 1 << place
        np.bitwise_xor(table[:, :size], columns[:, place, None], out=table[:, size : 2 * size])
    return table.view(BLOCK)[..., 0]


@holds_key
class Ghash:
    """GHASH under one hash key; grows its tables as they are asked for, up to a bound.

    At most `CAP` + 1 tables of 64 KiB. Look-ups of two bytes at once would be half as many, in
    tables of 8 MiB: a little faster alone on a machine, and half as fast where anything else uses
    its cache.
    """

    __slots__ = ("_powers", "_tables")

    def __init__(self, hash_key: bytes) -> None:
        self._powers = {1: int.from_bytes(hash_key, "big")}
        self._tables: dict[int, Table] = {}

    def power(self, exponent: int) -> int:
        """H to that power."""
        for power in range(2, exponent + 1):
            # Two threads may do this at once: both come to the same.
            if power not in self._powers:
                self._powers[power] = multiply(self._powers[power - 1], self._powers[1])
        return self._powers[exponent]

    def add(
        self, sums: Blocks, blocks: Blocks, exponent: int, places: Iterable[int] = range(16)
    ) -> None:
        """Add `blocks * H^exponent` to `sums`, row by row; both contiguous.

        The blocks must be public, and zero in all bytes but those of `places`.
        """
        if len(blocks) < _SMALL:
            self._add_few(sums, blocks, exponent)
            return
        self._add_many(sums, blocks, exponent, places)

    def add_alike(self, sums: Blocks, blocks: Blocks, exponent: int) -> None:
        """`add`, for blocks in which many bytes are the same in all rows: those are looked up once.

        A row's key is of this kind, with its length before it and its leading zeros. Which bytes
        these are shows in the time: the blocks are public, as `add` has it.
        """
        if len(blocks) < _SMALL:
            self._add_few(sums, blocks, exponent)
            return
        first, flat = words(blocks[:1]), words(blocks)
        halves = [np.bitwise_or.reduce(flat[half::2] ^ first[half]) for half in (0, 1)]
        differ = np.array(halves, dtype=np.uint64).view(np.uint8) != 0
        common = np.where(differ, np.uint8(0), blocks[:1])
        xor_each(sums, self.product(common, exponent))
        self._add_many(sums, blocks, exponent, np.flatnonzero(differ).tolist())

    def product(self, blocks: Blocks, exponent: int) -> Blocks:
        """`blocks * H^exponent` of public blocks."""
        sums = np.zeros((len(blocks), 16), dtype=np.uint8)
        self._add_few(sums, np.ascontiguousarray(blocks), exponent)
        return sums

    def _add_many(self, sums: Blocks, blocks: Blocks, exponent: int, places: Iterable[int]) -> None:
        """What the bytes at `places` add."""
        tables = self._table(exponent)
        total = words(sums)
        at = np.empty(len(blocks), dtype=np.int64)
        term = np.empty(len(blocks), dtype=BLOCK)
        flat = term.view(np.uint64)
        for place in places:
            at[...] = blocks[:, place]
            tables[place].take(at, out=term, mode="clip")
            np.bitwise_xor(total, flat, out=total)

    def _add_few(self, sums: Blocks, blocks: Blocks, exponent: int) -> None:
        at = np.empty((16, len(blocks)), dtype=np.int64)
        at[...] = blocks.T
        at += _BYTE_OFFSETS
        terms = self._table(exponent).reshape(-1).take(at, mode="clip")
        total = np.bitwise_xor.reduce(terms.view(np.uint64), axis=0)
        flat = words(sums)
        np.bitwise_xor(flat, total, out=flat)

    def _table(self, exponent: int) -> Table:
        found = self._tables.get(exponent)
        if found is None:
            found = self._tables[exponent] = _byte_table(self.power(exponent))
        return found
