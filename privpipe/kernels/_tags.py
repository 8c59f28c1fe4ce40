"""Tags, which are of one width: an array of them from a matrix, and a matrix from an array."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.arrow import cells
from privpipe.errors import SchemaError, UsageError
from privpipe.kernels._column import Column
from privpipe.kernels._pack import Bytes, Mask

__all__ = ["check_size", "tag_array", "tag_matrix"]


def check_size(size: int, most: int) -> None:
    """UsageError for a size that a tag cannot be cut to."""
    if not 1 <= size <= most:
        raise UsageError(f"a tag of {size} bytes", hint=f"a size is 1 to {most}")


def tag_array(tags: Bytes, size: int, column: Column) -> pa.Array:
    """The first `size` bytes of each tag of the column's rows; zeros lie under a null."""
    rows = np.ndarray((len(tags),), dtype=f"V{size}", buffer=tags, strides=tags.strides[:1])
    bitmap = None
    if column.valid is not None:
        every = np.zeros(column.count, dtype=rows.dtype)
        every[column.valid] = rows
        rows, bitmap = every, pa.py_buffer(np.packbits(column.valid, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(rows).view(np.uint8))
    return pa.Array.from_buffers(pa.binary(size), column.count, [bitmap, data])


def tag_matrix(tags: pa.Array | pa.ChunkedArray) -> tuple[Bytes, Mask | None]:
    """The tags that are not null, shape (n, width), and where they stand (None: everywhere)."""
    if not pt.is_fixed_size_binary(tags.type) or tags.type.byte_width == 0:
        raise SchemaError(f"tags are of a fixed size, and no {tags.type}")
    found, width = cells(tags), tags.type.byte_width
    first = int(found.starts[0]) if len(found) else 0
    rows = found.data[first : first + len(found) * width].reshape(-1, width)
    return rows if found.valid is None else rows[found.valid], found.valid
