"""Pseudonyms: what users see of a tag, what stands before the value, and how often two collide.

A tag is published, so that look-ups by its bytes tell nobody more than the result does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.arrow import build
from privpipe.errors import SchemaError, UsageError
from privpipe.kernels._pack import Bytes, Mask
from privpipe.kernels._tags import tag_matrix

__all__ = [
    "UUID_BITS",
    "as_base64",
    "as_hex",
    "as_int64",
    "as_uuid",
    "collision_bound",
    "context_head",
]

UUID_BITS = 122
"""What a UUID of version 8 keeps of 128 bits"""

# Two bytes to four digits: entry i holds those of the bytes that i has in this machine's order.
_HEX = np.frombuffer(np.arange(1 << 16, dtype=np.uint16).tobytes().hex().encode(), dtype=np.uint32)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_PAIRS = np.frombuffer(
    b"".join(bytes((high, low)) for high in _ALPHABET for low in _ALPHABET), dtype=np.uint16
)
"""Twelve bits to two characters"""

_DIGITS_AT = (0, 4, 9, 14, 19, 24, 28, 32)
_HYPHENS_AT = (8, 13, 18, 23)


def as_hex(tags: pa.Array) -> pa.Array:
    """Lower-case hexadecimal digits, two a byte."""
    rows, valid = tag_matrix(tags)
    data = rows.reshape(-1)
    if len(data) % 2:
        data = np.append(data, np.uint8(0))
    digits = _HEX.take(data.view(np.uint16)).view(np.uint8)
    return _text(digits[: 2 * rows.size].reshape(len(rows), 2 * rows.shape[1]), valid)


def as_base64(tags: pa.Array) -> pa.Array:
    """The URL-safe alphabet (`-` and `_`, RFC 4648, section 5), without padding.

    So a pseudonym may stand in an address, a file's name or a query as it is.
    """
    rows, valid = tag_matrix(tags)
    count, width = rows.shape
    padded = np.zeros((count, width + -width % 3), dtype=np.uint8)
    padded[:, :width] = rows
    first, second, third = padded.reshape(-1, 3).astype(np.uint16).T
    pairs = np.empty((len(first), 2), dtype=np.uint16)
    pairs[:, 0] = _PAIRS.take((first << 4) | (second >> 4))
    pairs[:, 1] = _PAIRS.take(((second & 15) << 8) | third)
    characters = pairs.view(np.uint8).reshape(count, padded.shape[1] // 3 * 4)
    return _text(np.ascontiguousarray(characters[:, : (8 * width + 5) // 6]), valid)


def as_uuid(tags: pa.Array) -> pa.Array:
    """The text of a UUID of version 8 (RFC 9562, section 5.8); tags have 16 bytes.

    The version takes four bits of the tag and the variant two: 122 are kept.
    """
    rows, valid = tag_matrix(tags)
    if rows.shape[1] != 16:
        raise SchemaError(f"a UUID is made of 16 bytes, and not of {rows.shape[1]}")
    marked = rows.copy()
    marked[:, 6] = (marked[:, 6] & 0x0F) | 0x80
    marked[:, 8] = (marked[:, 8] & 0x3F) | 0x80
    text = np.empty((len(rows), 36), dtype=np.uint8)
    pairs = marked.view(np.uint16)
    for at, start in enumerate(_DIGITS_AT):
        text[:, start : start + 4].view(np.uint32)[:, 0] = _HEX.take(pairs[:, at])
    for at in _HYPHENS_AT:
        text[:, at] = ord("-")
    return _text(text, valid)


def as_int64(tags: pa.Array) -> pa.Array:
    """The first 8 bytes as int64: big-endian, two's complement."""
    rows, valid = tag_matrix(tags)
    if rows.shape[1] < 8:
        raise SchemaError(f"an int64 is made of 8 bytes, and not of {rows.shape[1]}")
    numbers = np.ascontiguousarray(rows[:, :8]).view(">i8").reshape(-1).astype(np.int64)
    if valid is None:
        return pa.array(numbers)
    every = np.zeros(len(valid), dtype=np.int64)
    every[valid] = numbers
    return pa.array(every, mask=~valid)


def collision_bound(distinct: int, bits: int) -> float:
    """The birthday bound: n^2 / 2^(bits + 1) for n distinct values and pseudonyms of `bits` bits.

    The chance that any two share a pseudonym is at most this, and so is the number of pairs that
    are to be expected; above 1 it says only the second. It takes the tags for random.
    """
    if distinct < 0 or bits < 1:
        raise UsageError(f"{distinct} values and {bits} bits make no collision bound")
    return distinct * distinct / (1 << (bits + 1))


def context_head(context: bytes) -> bytes:
    """What stands before a value: the length of `context` as u32, it, zeros up to a whole block.

    As the length stands first, no context and value are taken for another context and value.
    """
    head = len(context).to_bytes(4, "big") + context
    return head + bytes(-len(head) % 16)


def _text(characters: Bytes, valid: Mask | None) -> pa.Array:
    """A string array of rows of one width, one for each row that is not null."""
    count, width = characters.shape
    offsets: npt.NDArray[np.int64]
    if valid is None:
        offsets = np.arange(count + 1, dtype=np.int64) * width
    else:
        offsets = np.zeros(len(valid) + 1, dtype=np.int64)
        np.cumsum(valid * np.int64(width), out=offsets[1:])
    column = build(characters.reshape(-1), offsets, valid)
    # ASCII by construction, so Arrow need not check it.
    return column.view(pa.string() if column.type == pa.binary() else pa.large_string())
