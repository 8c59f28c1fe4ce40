"""A string column in, a string column out."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as pt

from privpipe.arrow import build
from privpipe.errors import SchemaError
from privpipe.kernels._column import Column
from privpipe.kernels._pack import Bytes, Ints

__all__ = ["check_text", "text_column"]


def check_text(values: pa.Array | pa.ChunkedArray) -> None:
    """SchemaError where the column is not of strings."""
    kind = values.type.value_type if pt.is_dictionary(values.type) else values.type
    if not (pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)):
        raise SchemaError(f"a column of type {values.type} holds no text")


def text_column(column: Column, data: Bytes, lengths: Ints) -> pa.Array:
    """Strings that lie one behind the other in `data`, in the places of the column's rows."""
    made = build(data, column.offsets(lengths), column.valid)
    return made.view(pa.large_string() if pt.is_large_binary(made.type) else pa.string())
