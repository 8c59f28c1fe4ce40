"""S2V of one associated data and one value, over many rows at once (RFC 5297, section 2.4)."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np

from privpipe.kernels._aes import BlockCipher, block_cipher, encrypt_block
from privpipe.kernels._column import Aad
from privpipe.kernels._field import double, double_all
from privpipe.kernels._head import RowAad
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import (
    BLOCK,
    Blocks,
    Ints,
    Items,
    Mask,
    Slices,
    Steps,
    gather_tails,
    items,
    mask_tails,
    scratch,
    steps_of,
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

    __slots__ = ("_addends", "_constants", "_states")

    def __init__(self, key: bytes) -> None:
        self._constants = _Constants(key)
        # The cache holds the constants, not the kernel: a kernel that is dropped is gone at once.
        self._addends = lru_cache(maxsize=16)(partial(_all_addends, self._constants))
        self._states = lru_cache(maxsize=16)(self._constants.state)

    def vectors(self, aad: Aad, text: Blocks, steps: Steps) -> Blocks:
        """The synthetic IV of each row, in the order of the steps; `text` is masked."""
        long = steps.lengths > 16
        if isinstance(aad, RowAad):
            seeds = self._constants.seeds(aad.sort(steps), self._states(aad.head))
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

    __slots__ = ("_ends", "_key", "_start")

    def __init__(self, key: bytes) -> None:
        self._key = key
        full = double(int.from_bytes(encrypt_block(key, bytes(16)), "big"))
        partial_ = double(full)
        # The padding and the subkey behind t bytes of a last block, case by case; a value shorter
        # than a block is padded by S2V itself, and the CMAC then sees a full block.
        pads = [1 << (127 - 8 * size) if size < 16 else 0 for size in range(17)]
        short = [pad ^ full for pad in pads]
        long = [pad ^ (partial_ if pad else full) for pad in pads]
        joined = b"".join(number.to_bytes(16, "big") for number in short + long)
        self._ends = np.frombuffer(joined, dtype=BLOCK)
        zero = encrypt_block(key, full.to_bytes(16, "big"))
        self._start = np.frombuffer(double(int.from_bytes(zero, "big")).to_bytes(16, "big"), BLOCK)

    def cipher(self) -> BlockCipher:
        """The block cipher, for one batch."""
        return block_cipher(self._key)

    def state(self, head: bytes) -> Items:
        """The chain of CMAC behind whole blocks that are not the last."""
        state = bytes(16)
        for at in range(0, len(head), 16):
            block = int.from_bytes(state, "big") ^ int.from_bytes(head[at : at + 16], "big")
            state = encrypt_block(self._key, block.to_bytes(16, "big"))
        return np.frombuffer(state, dtype=BLOCK)

    def seeds(self, aad: RowAad, state: Items) -> Blocks:
        """The state of S2V behind each associated data, `state` being the chain's behind its head.

        A rest is never empty where there is a head: so each row's last block is its own.
        """
        rest = aad.rest
        steps = steps_of(rest.lengths)
        blocks = scratch(steps.total)
        gather_tails(rest.data, steps.sort(rest.starts), steps, blocks[:-1])
        mask_tails(blocks, steps)
        sums = blocks[: steps.sizes[0]]
        xor_into(sums, self._ends.take(steps.tails + 17))
        if aad.head:
            enter(state, blocks, steps)
        chain(self.cipher(), blocks, steps)
        xor_each(sums, self._start)
        return steps.unsort(items(sums)).view(np.uint8).reshape(-1, 16)

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
    seeds = constants.seeds(RowAad(head=b"", rest=one), constants.state(b""))
    seeds = np.repeat(seeds, len(_LAST), axis=0)
    return constants.addends(seeds, _LAST, _LONG)


def enter(state: Items, blocks: Blocks, steps: Steps) -> None:
    """Add the state of a chain to the first block of every row."""
    for (_, first, count), longer in zip(steps, (*steps.sizes[1:], 0), strict=True):
        xor_each(blocks[first + longer : first + count], state)


def chain(cipher: BlockCipher, blocks: Blocks, steps: Steps) -> None:
    """CBC-MAC of every row, from its first block on: the sums are left in step 0.

    A row enters at the step of its first block, where the chain of the longer ones already runs.
    """
    for step, first, count in reversed(list(steps)):
        cipher(blocks, first, count)
        if step:
            onto = steps.bounds[step - 1]
            xor_into(blocks[onto : onto + count], blocks[first : first + count])
