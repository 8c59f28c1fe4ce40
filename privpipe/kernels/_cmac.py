"""CMAC over many rows at once (RFC 4493), behind one head that is the same for all."""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from privpipe.kernels._aes import BlockCipher, block_cipher, encrypt_block
from privpipe.kernels._batches import Cost
from privpipe.kernels._field import double
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import (
    BLOCK,
    KEEP,
    Blocks,
    Ints,
    Items,
    Slices,
    Steps,
    gather_tails,
    items,
    scratch,
    steps_of,
    words,
    xor_into,
)

__all__ = ["PADS", "Cmac", "as_items", "chain", "subkeys"]

PADS = [1 << (127 - 8 * size) if size < 16 else 0 for size in range(17)]
"""The padding behind so many bytes of a last block"""


def subkeys(key: bytes) -> tuple[int, int]:
    """What is added to a last block that is full, and to one that is padded (section 2.3)."""
    full = double(int.from_bytes(encrypt_block(key, bytes(16)), "big"))
    return full, double(full)


def as_items(numbers: list[int]) -> Items:
    """Blocks given as numbers."""
    return np.frombuffer(b"".join(number.to_bytes(16, "big") for number in numbers), dtype=BLOCK)


def chain(cipher: BlockCipher, blocks: Blocks, steps: Steps) -> None:
    """CBC-MAC of every row, from its first block on: the sums are left in step 0.

    A row enters at the step of its first block, where the chain of the longer ones already runs.
    """
    for step, first, count in reversed(list(steps)):
        cipher(blocks, first, count)
        if step:
            onto = steps.bounds[step - 1]
            xor_into(blocks[onto : onto + count], blocks[first : first + count])


@holds_key
class Cmac:
    """CMAC of `head` and a value, under one key.

    The chain over the head's whole blocks is run once. The rest of it, less than a block, stands
    before the value in the first block of each row.
    """

    __slots__ = ("_adds", "_begin", "_behind", "_key", "_lead", "_library", "_masks")

    cost = Cost(batch=8_000, step=5_000, row=20, block=11, call=700, wire=17, most=96)

    def __init__(self, key: bytes, head: bytes = b"") -> None:
        self._key = key
        self._library = CMAC(algorithms.AES(key))
        self._library.update(head)
        full, padded = subkeys(key)
        ends = [pad ^ (padded if pad else full) for pad in PADS]
        whole = len(head) & ~15
        self._lead = len(head) - whole
        begin = _chained(key, head[:whole]) ^ int.from_bytes(head[whole:].ljust(16, b"\0"), "big")
        only = [begin ^ end for end in ends]
        if whole and not self._lead:
            # Behind whole blocks an empty value adds none: the head's own last block is the last.
            before = _chained(key, head[: whole - 16])
            only[0] = before ^ int.from_bytes(head[whole - 16 :], "big") ^ full
        # Every case of a last block: the bytes in it, for rows of one block, then for longer ones.
        self._adds = as_items(only + ends)
        self._behind = ~words(KEEP[self._lead : self._lead + 1])
        one = words(KEEP).reshape(-1, 2) & self._behind
        self._masks = np.concatenate([one.reshape(-1).view(BLOCK), KEEP])
        self._begin = words(as_items([begin]))

    def blocks(self, lengths: Ints) -> Ints:
        """The blocks of each row, which its value begins or adds."""
        found: Ints = np.maximum((lengths + (self._lead + 15)) >> 4, 1)
        return found

    def sums(self, rows: Slices) -> Blocks:
        """The tag of each row; there is at least one."""
        rows = rows if self._lead == 0 else _with_room(rows, self._lead)
        steps = steps_of(rows.lengths)
        blocks = scratch(steps.total)
        gather_tails(rows.data, steps.sort(rows.starts), steps, blocks[:-1])
        cases = steps.tails
        if len(steps.sizes) > 1:
            cases = cases + 17 * (steps.blocks > 1)
            self._begin_long(blocks, steps)
        last = blocks[: steps.sizes[0]]
        np.bitwise_and(words(last), words(self._masks.take(cases)), out=words(last))
        xor_into(last, self._adds.take(cases))
        chain(block_cipher(self._key), blocks, steps)
        return steps.unsort(items(last)).view(np.uint8).reshape(-1, 16)

    def sums_alone(self, rows: Slices) -> list[bytes]:
        """The tag of each row, by the library's own call."""
        tags = []
        for value in rows.views():
            context = self._library.copy()
            context.update(bytes(value))
            tags.append(context.finalize())
        return tags

    def _begin_long(self, blocks: Blocks, steps: Steps) -> None:
        """The head before the first blocks of rows that have more than one."""
        for step, first, count in steps:
            longer = steps.sizes[step + 1] if step + 1 < len(steps.sizes) else 0
            if step and longer < count:
                begun = words(blocks[first + longer : first + count])
                # Half by half: numpy is slow where a broadcast row has but two words.
                for half in (0, 1):
                    column = begun[half::2]
                    if self._lead:
                        np.bitwise_and(column, self._behind[half], out=column)
                    np.bitwise_xor(column, self._begin[half], out=column)


def _chained(key: bytes, blocks: bytes) -> int:
    """The state of CBC-MAC behind whole blocks."""
    # CBC from an initial vector of zeros is how CMAC is defined (SP 800-38B, section 6.2).
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16)))
    return int.from_bytes(cipher.encryptor().update(blocks)[-16:], "big")


def _with_room(rows: Slices, lead: int) -> Slices:
    """`lead` bytes of whatever kind before each row; a copy where the buffer begins too late."""
    data, starts = rows.data, rows.starts
    low = int(starts.min())
    if low < lead:
        end = int((starts + rows.lengths).max()) + 16
        data = np.zeros(16 + end - low, dtype=np.uint8)
        data[16:] = rows.data[low:end]
        starts = starts + (16 - low)
    return Slices(data=data, starts=starts, lengths=rows.lengths).inner(-lead, 0)
