"""How many rows there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from privpipe.aggregates._groups import Groups

__all__ = ["Count"]


@dataclass(frozen=True, slots=True)
class Count:
    """The rows where no column is null; all rows where no column is given. A bigint, never null.

    >>> Count().map(Groups([0, 0, 1], 2), pa.array([1, None, 3])).to_pylist()
    [1, 1]
    """

    dp: ClassVar[bool] = True

    def map(self, groups: Groups, *columns: pa.Array) -> pa.Array:
        """Rows of each group."""
        valid = np.ones(len(groups), dtype=np.bool_)
        for column in columns:
            if column.null_count:
                valid &= column.is_valid().to_numpy(zero_copy_only=False)
        return pa.array(groups.kept(valid).sizes)

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Counts added up."""
        return pa.array(groups.reduce(np.add, partials.to_numpy(), 0))

    def finish(self, partials: pa.Array) -> pa.Array:
        """The partials."""
        return partials

    def native(self, *types: pa.DataType) -> str:
        """Spark's own."""
        return f"count({', '.join(f'{{{i}}}' for i in range(len(types))) or '1'})"
