"""Values made as long as others, so that a ciphertext tells their length by the bucket alone.

A padded value is its length as u32, big-endian, the value, and zeros up to a whole multiple of the
bucket: unambiguous, whatever the value ends with.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from privpipe.arrow._build import build
from privpipe.arrow._cells import Cells, cells, put_rows
from privpipe.arrow._layout import Ints, edges, windows
from privpipe.errors import EncodingError

__all__ = ["padded", "unpadded"]

_U32 = np.dtype(">u4")
_HEAD = 4


def padded(values: pa.Array, bucket: int) -> pa.Array:
    """Each value padded to a multiple of `bucket` bytes; nulls stay null."""
    found = cells(values)
    lengths = _whole(found.lengths, bucket)
    if found.valid is not None:
        lengths *= found.valid
    ends = edges(lengths)
    out = np.zeros(int(ends[-1]) + _HEAD, dtype=np.uint8)
    held = slice(None) if found.valid is None else found.valid
    sizes = found.lengths[held].astype(_U32)
    if len(sizes):
        windows(out, _HEAD)[ends[:-1][held]] = sizes.view(f"V{_HEAD}")
    put_rows(found, out, ends[:-1] + _HEAD)
    return build(out[: ends[-1]], ends, found.valid)


def unpadded(values: pa.Array, bucket: int) -> pa.Array:
    """The inverse of `padded`. Raises EncodingError where a value is not one that was padded."""
    found = cells(values)
    held = slice(None) if found.valid is None else found.valid
    starts, lengths = found.starts[held], found.lengths[held]
    if (lengths < _HEAD).any():
        raise _failure()
    sizes = np.zeros(len(found), dtype=np.int64)
    if len(starts):
        heads = windows(found.data, _HEAD)[starts]
        sizes[held] = heads.view(_U32).astype(np.int64)
    if (_whole(sizes[held], bucket) != lengths).any():
        raise _failure()
    inner = Cells(data=found.data, starts=found.starts + _HEAD, lengths=sizes, valid=found.valid)
    ends = edges(sizes)
    out = np.empty(int(ends[-1]), dtype=np.uint8)
    put_rows(inner, out, ends[:-1])
    return build(out, ends, found.valid)


def _whole(lengths: Ints, bucket: int) -> Ints:
    whole: Ints = -(-(lengths + _HEAD) // bucket) * bucket
    return whole


def _failure() -> EncodingError:
    return EncodingError("a value whose padding is none", hint="report this")
