"""Which group each row of a batch belongs to, and what is done with all groups of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.errors import InternalError

__all__ = ["Groups", "Int64s", "Mask", "Values"]

Int64s = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]
T = TypeVar("T")

_DIGIT = np.int64(0xFFFF)


class Groups:
    """The group of each row, from 0 to `count` - 1; a group may have no row.

    What one aggregate of a batch computed from a column, the next may use: `once` remembers it.

    >>> groups = Groups(np.array([0, 2, 0]), 3)
    >>> groups.sizes.tolist(), groups.reduce(np.maximum, np.array([4, 5, 6]), -1).tolist()
    ([2, 0, 1], [6, -1, 5])
    """

    def __init__(self, index: npt.ArrayLike, count: int) -> None:
        self.index: Int64s = np.asarray(index, dtype=np.int64)
        self.count = count
        self._known: dict[tuple[str, int], tuple[object, Any]] = {}

    def __len__(self) -> int:
        return len(self.index)

    @property
    def sizes(self) -> Int64s:
        """How many rows each group has."""
        return self.once("sizes", self.index, lambda: np.bincount(self.index, minlength=self.count))

    @property
    def order(self) -> Int64s:
        """The rows, group by group, and within a group as they came."""
        return self.once("order", self.index, lambda: ordered(self.index, self.count))

    def kept(self, mask: Mask) -> Groups:
        """The same groups, of the rows where `mask` holds."""
        return self if mask.all() else Groups(self.index[mask], self.count)

    def valid(self, values: pa.Array) -> tuple[Groups, pa.Array]:
        """The rows whose value is not null, and those values."""
        if not values.null_count:
            return self, values

        def found() -> tuple[Groups, pa.Array]:
            mask = values.is_valid()
            return self.kept(mask.to_numpy(zero_copy_only=False)), values.filter(mask)

        return self.once("valid", values, found)

    def reduce(self, ufunc: np.ufunc, values: npt.ArrayLike, identity: Any) -> Values:
        """`ufunc` over the values of each group, in the order of rows; `identity` where none is.

        `np.add`, `np.maximum`, `np.bitwise_or`: whatever is associative and keeps the type.
        """
        column = np.asarray(values)
        if len(column) != len(self):
            raise InternalError(f"{len(column)} values for {len(self)} rows")
        out = np.full(self.count, identity, dtype=column.dtype)
        some = self.sizes > 0
        if some.any():
            starts = (np.cumsum(self.sizes) - self.sizes)[some]
            out[some] = ufunc.reduceat(column[self.order], starts)
        return out

    def once(self, name: str, column: object, make: Callable[[], T]) -> T:
        """What `make` gives, made once for each name and column."""
        key = name, id(column)
        if key not in self._known:
            # The column is kept beside, so that its id stays its own.
            self._known[key] = column, make()
        found: T = self._known[key][1]
        return found


def ordered(index: Int64s, count: int) -> Int64s:
    """A stable order of `index`: by 16 bits at a time, which numpy sorts by radix."""
    order = np.argsort((index & _DIGIT).astype(np.uint16), kind="stable")
    shift = 16
    while count >> shift:
        digit = ((index[order] >> shift) & _DIGIT).astype(np.uint16)
        order = order[np.argsort(digit, kind="stable")]
        shift += 16
    return order
