"""GF(2^128), on single elements: what a key's tables are made from.

Secret elements take the same steps whatever their bits are: no branch and no look-up depends on
one. (Python's integers shed leading zeros; a handful of these runs once a key, and an onlooker
would have to time a single shift.)
"""

from __future__ import annotations

import numpy as np

from privpipe.kernels._pack import Blocks, Words, words

__all__ = ["double", "double_all", "multiply", "times_x"]

_REDUCE = 0xE1 << 120
_ALL = (1 << 128) - 1


def times_x(element: int) -> int:
    """GCM's order of bits: the first bit of the block is the coefficient of 1."""
    return (element >> 1) ^ (_REDUCE & -(element & 1))


def multiply(left: int, right: int) -> int:
    """The product of two elements in GCM's order of bits (SP 800-38D, section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        product ^= right & -((left >> bit) & 1)
        right = times_x(right)
    return product


def double(element: int) -> int:
    """Times x in the order of bits of CMAC and S2V (RFC 5297, section 2.3)."""
    return ((element << 1) & _ALL) ^ (0x87 & -(element >> 127))


def double_all(blocks: Blocks) -> Blocks:
    """`double` of each block."""
    pairs: Words = words(blocks).view(">u8").astype(np.uint64).reshape(-1, 2)
    high, low = pairs[:, 0], pairs[:, 1]
    one, top = np.uint64(1), np.uint64(63)
    doubled = np.empty((len(blocks), 2), dtype=">u8")
    doubled[:, 0] = (high << one) | (low >> top)
    doubled[:, 1] = (low << one) ^ (np.uint64(0x87) * (high >> top))
    return doubled.view(np.uint8)
