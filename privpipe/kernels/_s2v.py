"""S2V of one associated data and one value, over many rows at once (RFC 5297, section 2.4)."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np

from privpipe.kernels._aes import BlockCipher, block_cipher, encrypt_block
from privpipe.kernels._cmac import PADS, Cmac, as_items, chain, subkeys
from privpipe.kernels._column import Aad
from privpipe.kernels._field import double, double_all
from privpipe.kernels._head import RowAad
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import (
    Blocks,
    Ints,
    Items,
    Mask,
    Slices,
    Steps,
    items,
    scratch,
    windows,
    xor_each,
    xor_into,
)

__all__ = ["S2v"]

_Addends: TypeAlias = tuple[Items, Items]
"""What is added to the last block of a row, and to the one before it, ahead of the CMAC"""

_LAST = np.concatenate([np.arange(17), np.arange(17)])
_LONG = np.arange(34) > 16
"""Every case of a row: the bytes in its last block, and whether there are blocks before it"""


@holds_key
class S2v:
    """S2V under one key. Vectors are blocks by steps, as `Steps` has them."""

    __slots__ = ("_addends", "_constants")

    def __init__(self, key: bytes) -> None:
        self._constants = _Constants(key)
        # The cache holds the constants, not the kernel: a kernel that is dropped is gone at once.
        self._addends = lru_cache(maxsize=16)(partial(_all_addends, self._constants))

    def vectors(self, aad: Aad, text: Blocks, steps: Steps) -> Blocks:
        """The synthetic IV of each row, in the order of the steps; `text` is masked."""
        long = steps.lengths > 16
        if isinstance(aad, RowAad):
            seeds = self._constants.seeds(aad.sort(steps))
            last, before = self._constants.addends(seeds, steps.tails, long)
        else:
            cases = steps.tails + 17 * long
            last, before = self._addends(aad)
            last = last.take(cases)
            before = before.take(cases) if len(steps.sizes) > 1 else before
        blocks = scratch(steps.total)
        blocks[:-1] = text
        xor_into(blocks[: len(last)], last)
        if len(steps.sizes) > 1:
            first, end = steps.bounds[1:3]
            xor_into(blocks[first:end], before[: end - first])
        chain(self._constants.cipher(), blocks, steps)
        return blocks[: len(last)]


@holds_key
class _Constants:
    """What CMAC and S2V derive from the key alone."""

    __slots__ = ("_cmac", "_ends", "_key", "_start")

    def __init__(self, key: bytes) -> None:
        self._key = key
        # A few heads, each with the chain behind it: a column has one, a batch of few rows another.
        self._cmac = lru_cache(maxsize=16)(partial(Cmac, key))
        full, padded = subkeys(key)
        # The padding and the subkey behind t bytes of a last block, case by case; a value shorter
        # than a block is padded by S2V itself, and the CMAC then sees a full block.
        short = [pad ^ full for pad in PADS]
        long = [pad ^ (padded if pad else full) for pad in PADS]
        self._ends = as_items(short + long)
        zero = encrypt_block(key, full.to_bytes(16, "big"))
        self._start = as_items([double(int.from_bytes(zero, "big"))])

    def cipher(self) -> BlockCipher:
        """The block cipher, for one batch."""
        return block_cipher(self._key)

    def seeds(self, aad: RowAad) -> Blocks:
        """The state of S2V behind each associated data."""
        sums = self._cmac(aad.head).sums(aad.rest)
        xor_each(sums, self._start)
        return sums

    def addends(self, seeds: Blocks, tails: Ints, long: Mask) -> _Addends:
        """Each row's own addends, from its seed, the size of its last block, and whether it is
        longer than that: `xorend`, or doubling and padding where it is shorter than a block.
        """
        short = ~long & (tails < 16)
        if short.all():
            last = items(double_all(seeds))
            xor_into(last, self._ends.take(tails))
            return last, last  # no row has a block before its last: the second is not looked at
        count = len(seeds)
        padded = np.zeros((count, 3, 16), dtype=np.uint8)
        padded[:, 1] = seeds
        view = windows(padded.reshape(-1), 16)
        middle = 48 * np.arange(count) + 16
        last = view[middle + 16 - tails]
        before = view[middle - tails]
        last[short] = items(double_all(items(seeds)[short].view(np.uint8).reshape(-1, 16)))
        ends = self._ends.take(tails + 17 * long)
        xor_into(last, ends)
        return last, before


def _all_addends(constants: _Constants, aad: bytes) -> _Addends:
    """The addends of all cases, for one associated data."""
    data = np.frombuffer(aad + bytes(16), dtype=np.uint8)
    one = Slices(data=data, starts=np.zeros(1, dtype=np.int64), lengths=np.array([len(aad)]))
    seeds = constants.seeds(RowAad(head=b"", rest=one))
    seeds = np.repeat(seeds, len(_LAST), axis=0)
    return constants.addends(seeds, _LAST, _LONG)
