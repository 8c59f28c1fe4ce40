"""The groups of a batch, by the values of its key columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._groups import Groups, Int64s
from privpipe.aggregates._ordered import plain
from privpipe.arrow import encode

__all__ = ["grouped"]


def grouped(keys: Sequence[pa.Array], rows: int) -> tuple[Groups, list[pa.Array]]:
    """The group of each of `rows` rows, and each group's keys, in the order they first appear.

    Null is a key like others, also within structs; 0.0 and -0.0 are one, and so are all NaN, as in
    Spark SQL. Without keys all rows are one group, even where there are none.
    """
    if not keys:
        return Groups(np.zeros(rows, dtype=np.int64), 1), []
    columns = [plain(key) for key in keys]
    index, count = _codes(columns[0])
    for column in columns[1:]:
        more, other = _codes(column)
        # Both are below the number of rows, whose square an int64 holds.
        index, count = _encoded(pa.array(index * other + more))
    first = np.zeros(count, dtype=np.int64)
    first[index[::-1]] = np.arange(len(index))[::-1]
    return Groups(index, count), [column.take(pa.array(first)) for column in columns]


def _codes(column: pa.Array) -> tuple[Int64s, int]:
    simple = not pt.is_nested(column.type) and not pt.is_null(column.type)
    return _encoded(column if simple else encode(column))


def _encoded(column: pa.Array) -> tuple[Int64s, int]:
    coded = column.dictionary_encode(null_encoding="encode")
    return coded.indices.to_numpy().astype(np.int64), len(coded.dictionary)
