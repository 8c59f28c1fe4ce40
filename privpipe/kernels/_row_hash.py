"""GHASH where each row has its own associated data.

A row is head, rest, ciphertext, length block. GHASH is a sum over the blocks, so what the head and
the lengths add comes from small tables, made once for a head, and the rest is hashed beside the
ciphertext.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from privpipe.kernels._field import multiply
from privpipe.kernels._ghash import CAP, Ghash
from privpipe.kernels._head import RowAad
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import (
    BLOCK,
    Blocks,
    Ints,
    Items,
    Slices,
    Steps,
    gather_tails,
    items,
    mask_tails,
    scratch,
    steps_of,
    xor_into,
)

__all__ = ["RowSeeds", "add_rests", "length_blocks", "row_seeds", "seed_rows"]

_SIZES = (4, 16, CAP)
"""Blocks of a row behind its head, for which tables are made: a few sizes, so that a column whose
longest row varies does not fill the cache"""


@holds_key
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RowSeeds:
    """What one head adds to the hash of a row, in three terms.

    `head[n]` is the head itself, with n blocks between it and the length block. `rest[n]` and
    `text[n]` are the halves of the length block: a rest of n bytes, the head counted in, and a
    value of n bytes.
    """

    head: Items
    rest: Items
    text: Items


SeedsOf: TypeAlias = Callable[[bytes, int], RowSeeds]


def row_seeds(hash_: Ghash, head: bytes, most: int) -> RowSeeds:
    """The tables of one head, for rows of at most so many blocks behind it."""
    total = 0
    for at in range(0, len(head), 16):
        block = int.from_bytes(head[at : at + 16], "big")
        total = multiply(total ^ block, hash_.power(1))
    sums = bytearray()
    for _ in range(most + 1):
        total = multiply(total, hash_.power(1))
        sums += total.to_bytes(16, "big")
    lengths = np.arange(16 * most + 1)
    return RowSeeds(
        head=np.frombuffer(sums, dtype=BLOCK),
        rest=items(hash_.product(length_blocks(8 * (len(head) + lengths), 0 * lengths), 1)),
        text=items(hash_.product(length_blocks(0, 8 * lengths), 1)),
    )


def length_blocks(aad_bits: int | Ints, text_bits: Ints) -> Blocks:
    """The last block of each row's hash."""
    blocks = np.empty((len(text_bits), 2), dtype=">u8")
    blocks[:, 0] = aad_bits
    blocks[:, 1] = text_bits
    return blocks.view(np.uint8)


def seed_rows(seeds_of: SeedsOf, aad: RowAad, lengths: Ints) -> Blocks:
    """What heads and lengths add to the hash of rows whose values have these lengths."""
    rest = aad.rest.lengths
    counts = ((lengths + 15) >> 4) + ((rest + 15) >> 4)
    longest = int(counts.max())
    seeds = seeds_of(aad.head, next(size for size in _SIZES if size >= longest))
    sums = seeds.head.take(counts).view(np.uint8).reshape(-1, 16)
    xor_into(sums, seeds.rest.take(rest))
    xor_into(sums, seeds.text.take(lengths))
    return sums


def add_rests(hash_: Ghash, sums: Blocks, rest: Slices, lengths: Ints) -> None:
    """Add the rest of each row, whose value has this length.

    A rest may be the key of a row of the table, where it stands for everyone to see, or bytes
    that were given as associated data: public either way, as look-ups ask for.
    """
    if not rest.lengths.any():
        return
    own = (lengths + 15) >> 4
    steps = steps_of(rest.lengths)
    blocks = scratch(steps.total)[:-1]
    gather_tails(rest.data, steps.sort(rest.starts), steps, blocks)
    mask_tails(blocks, steps)
    most = int(own.max())
    if int(own.min()) == most:
        part = steps.sort(items(sums)).view(np.uint8).reshape(-1, 16)
        for step, first, rows in steps:
            hash_.add_alike(part[:rows], blocks[first : first + rows], most + 2 + step)
        if steps.order is not None:
            items(sums)[steps.order] = items(part)
        return
    powers = np.concatenate([steps.sort(own)[:rows] + (step + 2) for step, _, rows in steps])
    powers[: len(rest)][steps.lengths == 0] = 0  # in step 0: it would be a power beyond the last
    _add_by_power(hash_, sums, blocks, powers, steps)


def _add_by_power(hash_: Ghash, sums: Blocks, blocks: Blocks, powers: Ints, steps: Steps) -> None:
    """The blocks of one power together, whichever rows they are of: no row has two of them.

    At power 0 stand the blocks of what is empty.
    """
    place = np.arange(steps.sizes[0]) if steps.order is None else steps.order
    place = np.concatenate([place[:rows] for rows in steps.sizes])
    order = np.argsort(powers.astype(np.uint8), kind="stable")
    place, sorted_ = place[order], items(blocks).take(order).view(np.uint8).reshape(-1, 16)
    counts = np.bincount(powers).tolist()
    done = counts[0]
    for power, count in enumerate(counts[1:], 1):
        if count:
            run = slice(done, done + count)
            part = items(sums).take(place[run]).view(np.uint8).reshape(-1, 16)
            hash_.add_alike(part, sorted_[run], power)
            items(sums)[place[run]] = items(part)
        done += count
