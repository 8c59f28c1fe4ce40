"""Totals of groups: sums of noisy counts and sums, which are consistent and cost nothing.

Groups of public values alone have them: of others some are hidden, and would be missing. A count of
people is of pairs of a unit and a group, so a unit in two groups of a total counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.dp import Interval, Mechanism, Written, consistent_totals, interval
from privpipe.features._model import Spec

__all__ = ["ADDED", "Rollup", "add_totals", "parts_of", "rollup_of", "with_totals"]

Int64s = npt.NDArray[np.int64]
Places = npt.NDArray[np.intp]

ADDED = frozenset({"count", "units", "sum", "histogram"})
"""The figures of which groups add up to totals"""

_LEAST, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollup:
    """The hierarchy of a spec's totals: `levels` of nodes from the coarsest down, and the groups.

    `node_of` tells for each level of which of its nodes each group is part, `first` one group of
    each node, `parents` the node above of every node and then of every group, or -1.
    """

    levels: tuple[tuple[str, ...], ...]
    node_of: tuple[Places, ...]
    first: tuple[Places, ...]
    parents: Places

    @property
    def nodes(self) -> int:
        """How many totals there are."""
        return sum(map(len, self.first))


def parts_of(spec: Spec, by: tuple[str, ...]) -> int:
    """How many groups a total by these columns is the sum of."""
    found = 1
    for group in spec.groups:
        if group.column not in by and group.values is not None:
            found *= len(group.values)
    return found


def rollup_of(spec: Spec) -> Rollup | None:
    """The totals of a spec whose groups are all combinations of public values; None where it asks
    for none."""
    if not spec.totals:
        return None
    sizes = [len(group.values or ()) for group in spec.groups]
    places = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)
    node_of: list[Places] = []
    first: list[Places] = []
    parents: list[Places] = []
    for by in spec.totals:
        kept = [at for at, group in enumerate(spec.groups) if group.column in by]
        inside = np.zeros(len(places[0]), dtype=np.intp)
        for at in kept:
            inside = inside * sizes[at] + places[at]
        _, one = np.unique(inside, return_index=True)
        parents.append(_above(node_of, first, one))
        node_of.append(inside)
        first.append(one)
    parents.append(_above(node_of, first, np.arange(len(places[0]))))
    return Rollup(
        levels=spec.totals,
        node_of=tuple(node_of),
        first=tuple(first),
        parents=np.concatenate(parents),
    )


def _above(node_of: list[Places], first: list[Places], groups: Places) -> Places:
    """The nodes of the last level so far in which groups lie, by their places among all nodes."""
    if not node_of:
        return np.full(len(groups), -1, dtype=np.intp)
    before = sum(map(len, first[:-1]))
    return np.asarray(node_of[-1][groups] + before, dtype=np.intp)


def with_totals(spec: Spec, columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """The values of the groups, and behind them those of totals: null where a column is summed
    over. No group of public values has a null."""
    rollup = rollup_of(spec)
    if rollup is None:
        return dict(columns)
    return {name: _with_nodes(rollup, name, column) for name, column in columns.items()}


def _with_nodes(rollup: Rollup, name: str, column: pa.Array) -> pa.Array:
    own = np.arange(len(column))
    places = np.concatenate([own, *rollup.first])
    levels = zip(rollup.levels, rollup.first, strict=True)
    over = [np.full(len(first), name not in by) for by, first in levels]
    hidden = np.concatenate([np.zeros(len(own), dtype=np.bool_), *over])
    return column.take(pa.array(places, mask=hidden))


def add_totals(
    noisy: Int64s, mechanism: Mechanism, level: Written, rollup: Rollup, *, counts: bool
) -> tuple[Int64s, Interval]:
    """What is shown of the groups and then of their totals, and where the exact values lie.

    Input: noisy sums, a row a group, with a column for each bin of a histogram. Totals are sums of
    what the groups show. Of `counts` none is below 0: a total is the sum of the noisy counts, or 0,
    and is divided among its groups so that they are nearest to theirs.

    An interval is that of the noisy value, or sum, drawn before any of this; it is widened to what
    is shown where that lies outside, so that it holds no less often.
    """
    if noisy.ndim == 2:
        bins = [
            _added(column, mechanism, level, rollup, counts=counts)
            for column in np.ascontiguousarray(noisy.T)
        ]
        shown, low, high = (np.column_stack(each) for each in zip(*bins, strict=True))
    else:
        shown, low, high = _added(noisy, mechanism, level, rollup, counts=counts)
    return shown, Interval(low=low, high=high)


def _added(
    noisy: Int64s, mechanism: Mechanism, level: Written, rollup: Rollup, *, counts: bool
) -> tuple[Int64s, Int64s, Int64s]:
    """What is shown, and both ends."""
    sums, ends = [noisy], [interval(noisy, mechanism, level, counts=counts)]
    for node_of, first in zip(rollup.node_of, rollup.first, strict=True):
        parts = len(noisy) // len(first)
        sums.append(_sums(noisy, node_of, len(first)))
        ends.append(interval(sums[-1], mechanism, level, counts=counts, parts=parts))
    shown = _consistent(noisy, rollup) if counts else np.concatenate(sums)
    low = np.concatenate([each.low for each in ends])
    high = np.concatenate([each.high for each in ends])
    return shown, np.minimum(low, shown), np.maximum(high, shown)


def _sums(noisy: Int64s, node_of: Places, nodes: int) -> Int64s:
    """Sums that stop at the ends of 64 bits."""
    found = np.zeros(nodes, dtype=object)
    np.add.at(found, node_of, noisy.astype(object))
    return np.clip(found, _LEAST, _MOST).astype(np.int64)


def _consistent(noisy: Int64s, rollup: Rollup) -> Int64s:
    """Whole counts that add up, none below 0: the groups, then the totals."""
    nodes = rollup.nodes
    start = np.concatenate([np.zeros(nodes), noisy.astype(np.float64)])
    spread = np.concatenate([np.full(nodes, np.inf), np.ones(len(noisy))])
    best = consistent_totals(start, spread, rollup.parents, counts=True)
    whole = np.zeros(len(best), dtype=np.int64)
    roots = rollup.parents < 0
    whole[roots] = np.rint(best[roots]).astype(np.int64)
    # Each node stands before its parts, and so do the families in this order.
    order = np.argsort(rollup.parents, kind="stable")[np.count_nonzero(roots) :]
    for parts in np.split(order, np.flatnonzero(np.diff(rollup.parents[order])) + 1):
        whole[parts] = _rounded(best[parts], int(whole[rollup.parents[parts[0]]]))
    return np.concatenate([whole[nodes:], whole[:nodes]])


def _rounded(parts: npt.NDArray[np.float64], total: int) -> Int64s:
    """Whole parts that sum to the total, each less than 1 off: those that lose most go up."""
    found = np.floor(parts + 1e-9).astype(np.int64)
    missing = total - int(found.sum())
    if 0 <= missing <= len(found):
        found[np.argsort(found - parts, kind="stable")[:missing]] += 1
    else:  # beyond what doubles tell apart
        found[np.argmax(found)] += missing
    return found
