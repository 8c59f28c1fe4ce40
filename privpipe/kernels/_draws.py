"""Numbers drawn by a pseudorandom function, each below a bound and the same for equal values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from privpipe.kernels._aescmac import AesCmac
from privpipe.kernels._tags import tag_matrix

__all__ = ["draws"]


def draws(prf: AesCmac, values: pa.Array | pa.ChunkedArray, bound: int) -> pa.Array:
    """int64 from 0 to `bound` - 1 for each value: its tag's first 8 bytes, unsigned, modulo it.

    No number is likelier than another by more than `bound` / 2^64, as a share. Nulls stay null.
    """
    rows, valid = tag_matrix(prf.compute(values, size=8))
    drawn = (np.ascontiguousarray(rows).view(">u8").reshape(-1) % np.uint64(bound)).astype(np.int64)
    if valid is None:
        return pa.array(drawn)
    every = np.zeros(len(valid), dtype=np.int64)
    every[valid] = drawn
    return pa.array(every, mask=~valid)
