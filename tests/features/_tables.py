"""Rows as a pass over a table gives them, and the same sums by the slow way."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.dp import Bounds, FixedPoint
from privpipe.features._bounded import GROUP, HASH, KEY, UNIT, BoundedSums, group_bits
from privpipe.features._measures import Measure
from privpipe.features._sums import GroupSums
from privpipe.features._values import distinct_column

CENTS = FixedPoint.of(low=-2, high=10, step="0.5")
EDGES = (Fraction(0), Fraction(1), Fraction(4), Fraction(9))
ROWS = Measure(kind="rows")
UNITS = Measure(kind="units")
VALUES = Measure(kind="values", column="x")
TOTAL = Measure(kind="total", column="x", fixed=CENTS)
CENTRED = Measure(kind="centred", column="x", fixed=CENTS)
SQUARES = Measure(kind="squares", column="x", fixed=CENTS)
BINS = Measure(kind="bins", column="x", edges=EDGES)
DISTINCT = Measure(kind="distinct", column="y")
ALL = (ROWS, UNITS, VALUES, TOTAL, CENTRED, SQUARES, BINS, DISTINCT)

Int64s = npt.NDArray[np.int64]
Row = tuple[int, int, float | None, int]  # unit, group, x, y


def hashed(*parts: object) -> int:
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def some_rows(seed: int, count: int, units: int, groups: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    values = [None, float("nan"), -0.0, float("inf"), 1e308, -5.0, *np.arange(0, 12, 0.25)]
    return [
        (
            int(rng.integers(units)),
            int(rng.integers(groups)),
            values[rng.integers(len(values))],
            int(rng.integers(5)),
        )
        for _ in range(count)
    ]


def batch_of(rows: Sequence[Row], groups: int) -> pa.RecordBatch:
    """The rows, their groups among so many, as units and as rows that are each a unit."""
    bits = group_bits(groups)
    return pa.RecordBatch.from_pydict(
        {
            UNIT: pa.array([hashed("one", row[0]) for row in rows], pa.int64()),
            KEY: pa.array(
                [hashed("two", row[0]) >> bits << bits | row[1] for row in rows], pa.int64()
            ),
            GROUP: pa.array([row[1] for row in rows], pa.int32()),
            HASH: pa.array([hashed("row", who, *own) for who, _, *own in rows], pa.int64()),
            "x": pa.array([row[2] for row in rows], pa.float64()),
            distinct_column("y"): pa.array([row[3] for row in rows], pa.int64()),
        }
    )


def folded(
    rows: Sequence[Row],
    bounds: Bounds,
    groups: int | Int64s,
    *,
    pieces: int = 1,
    per_unit: bool = True,
    measures: tuple[Measure, ...] = ALL,
) -> GroupSums:
    """Of `groups` groups, or of those of these names."""
    names = np.arange(groups) if isinstance(groups, int) else groups
    sums = BoundedSums(measures, bounds, names, per_unit=per_unit)
    for at in range(pieces):
        sums.add(batch_of(rows[at::pieces], len(names)))
    return sums.totals()


def as_dict(sums: GroupSums, measures: tuple[Measure, ...] = ALL) -> dict[int, list[int]]:
    """By group, its numbers in order, and the count of each distinct measure at the end."""
    counts = [
        dict(zip(*np.unique(groups, return_counts=True), strict=True)) for groups, _ in sums.pairs
    ]
    found = {}
    for group, numbers in zip(sums.groups.tolist(), sums.sums.tolist(), strict=True):
        found[group] = [*numbers, *(count[group] for count in counts)]
    return found


def by_hand(kept: dict[int, dict[int, list[Row]]], rows_most: int) -> dict[int, list[int]]:
    """Unbounded sums by group, of units whose rows are all kept."""
    found: dict[int, list[int]] = defaultdict(lambda: [0] * 9)
    seen: dict[int, set[int]] = defaultdict(set)
    for groups in kept.values():
        for group, rows in groups.items():
            line = found[group]
            line[0] += len(rows)
            line[1] += 1
            for row in rows:
                seen[group].add(row[3])
                if row[2] is None or np.isnan(row[2]):
                    continue
                unit = round(min(max(row[2], -2), 10) * 2)
                centred = 2 * unit - 16
                line[2] += 1
                line[3] += unit
                line[4] += centred
                line[5] += 2 * centred**2 - 24**2
                line[6 + int(np.searchsorted([1, 4], row[2], side="right"))] += 1
    return {group: [*line, len(seen[group])] for group, line in found.items()}
