"""Twins in plain Python of the figures that show what enough units share, and what they are tried
on: rows are pairs of a value and a unit, or values that are units each."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from tests.aggregates.batches import Make

Rows = Sequence[tuple[Any, Any]]
Shown = Callable[[Sequence[Any]], Any]


def with_units(make: Make, *, nulls: bool = True) -> Make:
    """The same, and who has each: few, so that values are shared; some nobody."""

    def made(random: np.random.Generator) -> tuple[pa.Array, ...]:
        [column] = make(random)
        drawn = random.integers(0, 6, len(column))
        told = [None if nulls and each == 5 else f"u{each}" for each in drawn]
        return column, pa.array(told, pa.string())

    return made


def without_nulls(make: Make) -> Make:
    """The same, each null dropped."""

    def made(random: np.random.Generator) -> tuple[pa.Array, ...]:
        [column] = make(random)
        return (column.drop_null(),)

    return made


def few(random: np.random.Generator) -> tuple[pa.Array, ...]:
    """Small numbers, the small ones often."""
    rows = int(random.integers(0, 60))
    drawn = [None if each > 8 else int(each) for each in random.geometric(0.35, rows)]
    return (pa.array(drawn, pa.int32()),)


def measures(random: np.random.Generator) -> tuple[pa.Array, ...]:
    """Doubles on both sides of the edges, NaN and infinities among them."""
    rows = int(random.integers(0, 60))
    drawn = random.choice([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 9.0, math.inf, math.nan], rows)
    missing = random.random(rows) < 0.1
    return (pa.array(drawn, mask=missing, from_pandas=False),)


def units_of(rows: Rows) -> int:
    return len({unit for _, unit in rows if unit is not None})


def enough(k: int) -> Shown:
    return lambda values: len(set(values)) >= k


def alone(twin: Callable[[Rows], Any]) -> Shown:
    """The twin of values that are units each."""
    return lambda values: twin(list(zip(values, range(len(values)), strict=True)))


def shown_values(rows: Rows, k: int, most: int | None) -> list[tuple[Any, int]]:
    """The rule in full: shared values by frequency, and the last goes where too few are left."""
    by_value: dict[Any, list[tuple[Any, Any]]] = defaultdict(list)
    for row in rows:
        by_value[row[0]].append(row)
    fit = [each for each, of in by_value.items() if each is not None and units_of(of) >= k]
    fit.sort(key=lambda each: (-len(by_value[each]), each))
    fit = fit[:most]
    left = [row for row in rows if row[0] not in fit]
    if 0 < units_of(left) < k:
        fit = fit[:-1]
    return [(each, len(by_value[each])) for each in fit]


def shared_top(k: int, most: int) -> Callable[[Rows], Any]:
    def twin(rows: Rows) -> list[dict[str, Any]]:
        return [{"value": value, "count": n} for value, n in shown_values(rows, k, most)]

    return twin


def binned(rows: Rows, edges: Sequence[Fraction]) -> Rows:
    def place(value: Any) -> int | None:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        inner = edges[1:-1]
        return int(sum(value >= edge for edge in inner))

    return [(place(value), unit) for value, unit in rows]


def shared_bins(k: int, edges: Sequence[Fraction]) -> Callable[[Rows], Any]:
    def twin(rows: Rows) -> list[int | None]:
        found = dict(shown_values(binned(rows, edges), k, None))
        return [found.get(at) for at in range(len(edges) - 1)]

    return twin


def shared_quantile(
    k: int, edges: Sequence[Fraction], at: Sequence[Fraction]
) -> Callable[[Rows], Any]:
    def twin(rows: Rows) -> list[float] | None:
        inside = sorted(
            (row for row in binned(rows, edges) if row[0] is not None), key=lambda r: r[0]
        )
        if not inside:
            return None
        cuts = [inside[math.ceil(share * len(inside)) - 1][0] for share in at]
        if any(units_of([row for row in inside if row[0] == cut]) < k for cut in cuts):
            return None
        ends = [-1, *sorted(cuts), len(edges)]
        for low, high in pairwise(ends):
            if 0 < units_of([row for row in inside if low < row[0] <= high]) < k:
                return None
        return [float(edges[cut]) for cut in cuts]

    return twin


def shared_extreme(
    k: int, pick: Callable[..., Any], rank: Callable[[Any], Any]
) -> Callable[[Rows], Any]:
    def twin(rows: Rows) -> Any:
        there = [row for row in rows if row[0] is not None]
        if not there:
            return None
        best = pick((row[0] for row in there), key=rank)
        if units_of([row for row in there if rank(row[0]) == rank(best)]) < k:
            return None
        return best + 0.0 if isinstance(best, float) else best

    return twin
