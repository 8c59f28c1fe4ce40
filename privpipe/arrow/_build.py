"""Bytes and offsets back to an Arrow column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from privpipe.arrow._layout import LARGE, Bytes, Ints, Mask, bitmap

__all__ = ["build"]


def build(data: Bytes, offsets: Ints, valid: Mask | None) -> pa.Array:
    """A binary column over `data`, whose row i is `data[offsets[i]:offsets[i + 1]]`.

    `data` is uint8, contiguous, and taken over without a copy: leave it alone afterwards.
    `offsets` is int64 of shape (n + 1,), rising, within `data`. `valid` is bool of shape (n,), or
    None where nothing is null. The result is `binary`, or `large_binary` past 2 GiB.
    """
    large = bool(offsets[-1] > LARGE)
    kind = pa.large_binary() if large else pa.binary()
    ends = np.ascontiguousarray(offsets, dtype=np.int64 if large else np.int32)
    buffers = [bitmap(valid), pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)
