"""Which values there are: how many different ones, and which are the most frequent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.aggregates._groups import Groups
from privpipe.aggregates._listed import listed, opened
from privpipe.aggregates._ordered import check_ordered
from privpipe.errors import UsageError

__all__ = ["Distinct", "TopK"]


@dataclass(frozen=True, slots=True)
class Distinct:
    """How many different values there are, nulls aside: exact, as `count(DISTINCT ...)`.

    Its partials are the values themselves, and grow with their number: `Hll` bounds them. Spark's
    own is no faster, so it is not asked.

    >>> letters = Distinct().map(Groups([0, 0, 0], 1), pa.array(["a", "b", "a"]))
    >>> Distinct().finish(letters).to_pylist()
    [2]
    """

    dp: ClassVar[bool] = True

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """Each group's values, each once and in order."""
        check_ordered(values.type, "distinct")
        return listed(groups, values).lists()

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """The union of the values."""
        return listed(*opened(groups, partials)).lists()

    def finish(self, partials: pa.Array) -> pa.Array:
        """How many they are."""
        return partials.value_lengths().cast(pa.int64())


@dataclass(frozen=True, slots=True)
class TopK:
    """The `k` most frequent values with their counts, the most frequent first; of two that are as
    frequent, the smaller value first. Exact: no other value is as frequent as those left out.

    Its partials are all values with their counts, and grow with their number.

    >>> top = TopK(1)
    >>> top.finish(top.map(Groups([0, 0, 0, 0], 1), pa.array([5, 3, 3, 5])))[0].as_py()
    [{'value': 3, 'count': 2}]
    """

    dp: ClassVar[bool] = False

    k: int = 10

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError("the top has one value at least", where=f"k={self.k}")

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """Each group's values and how often each stands."""
        check_ordered(values.type, "topk")
        return listed(groups, values).counted()

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Counts of equal values added up."""
        inside, items = opened(groups, partials)
        counts = items.field("count").to_numpy()
        return listed(inside, items.field("value"), counts).counted()

    def finish(self, partials: pa.Array) -> pa.Array:
        """The first `k` of each."""
        items, lengths = partials.flatten(), np.diff(partials.offsets.to_numpy())
        group = np.repeat(np.arange(len(partials)), lengths)
        counts = items.field("count").to_numpy()
        # The values of a group are in order, and lexsort is stable.
        order = np.lexsort((-counts, group))
        kept = np.minimum(lengths, self.k)
        place = np.arange(len(order)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32)
        chosen = order[place < self.k]
        return pa.ListArray.from_arrays(pa.array(offsets), pc.take(items, pa.array(chosen)))
