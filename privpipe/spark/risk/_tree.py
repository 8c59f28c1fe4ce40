"""The cuts of Mondrian made so far, by ranks: which partition a row is in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from privpipe.spark._lips import sealed_lips
from privpipe.spark.risk._closeness import Ints

__all__ = ["Tree", "router"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Nodes by number: a cut of column `at` after rank `after`, and the two nodes below; a
    partition has -1 for its column. The root is 0."""

    at: list[int] = field(default_factory=lambda: [-1])
    after: list[int] = field(default_factory=lambda: [0])
    left: list[int] = field(default_factory=lambda: [0])
    right: list[int] = field(default_factory=lambda: [0])

    def cut(self, node: int, at: int, after: int) -> tuple[int, int]:
        """Cuts a partition; the two that it becomes."""
        low = len(self.at)
        self.at[node], self.after[node], self.left[node], self.right[node] = at, after, low, low + 1
        for each, value in ((self.at, -1), (self.after, 0), (self.left, 0), (self.right, 0)):
            each += [value, value]
        return low, low + 1

    def partitions(self, ranks: Sequence[Ints]) -> Ints:
        """The node in which each row ends."""
        at, after = np.array(self.at), np.array(self.after)
        left, right = np.array(self.left), np.array(self.right)
        node = np.zeros(len(ranks[0]), np.int64)
        stacked = np.stack(ranks)
        while True:
            moving = np.flatnonzero(at[node] >= 0)
            if not len(moving):
                return node
            here = node[moving]
            low = stacked[at[here], moving] <= after[here]
            node[moving] = np.where(low, left[here], right[here])


def router(tree: Tree, names: Sequence[str], only: Iterable[int]) -> Any:
    """What runs on an executor: the partition of each row as `p`, of the rows in those of `only`.

    The columns `names` are the ranks.
    """
    wanted = np.array(sorted(only), np.int64)

    def route(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            with sealed_lips("of ranks"):
                found = tree.partitions([batch.column(name).to_numpy() for name in names])
                kept = np.isin(found, wanted)
                routed = pa.RecordBatch.from_arrays(
                    [pa.array(found), *batch.columns], ["p", *batch.schema.names]
                )
                yield routed.filter(pa.array(kept))

    return route
