"""Strict Mondrian as the paper tells it, over rows in lists: no ranks, no arrays, no Spark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.spark._risk import Row, distribution, equal_distance, ordered_distance

Tree = Mapping[str, Sequence[str]]


@dataclass(kw_only=True)
class Reference:
    """What is asked of every class, and where values lie: numbers by value, texts by order."""

    rows: list[Row]
    quasi: Sequence[str]
    k: int
    sensitive: Sequence[str] = ()
    diversity: int = 1
    closeness: float = 1.0
    numbers: frozenset[str] = frozenset({"age", "pay"})
    trees: Mapping[str, Tree] = field(default_factory=dict)

    def order(self, column: str) -> Callable[[Row], Any]:
        """A sort key: null first, then by branch where there is a tree, then by value."""
        tree = self.trees.get(column)

        def key(row: Row) -> Any:
            value = row[column]
            if value is None:
                return (False,)
            if tree is not None:
                return (True, *reversed(tree[value]), value)
            return True, value if column in self.numbers else value.encode()

        return key

    def classes(self) -> list[list[Row]]:
        done, waiting = [], [self.rows]
        while waiting:
            rows = waiting.pop()
            cut = self.cut(rows)
            if cut is None:
                done.append(rows)
            else:
                waiting += cut
        return done

    def cut(self, rows: list[Row]) -> tuple[list[Row], list[Row]] | None:
        widths = {column: self.width(rows, column) for column in self.quasi}
        for column in sorted(self.quasi, key=lambda name: -widths[name]):
            key = self.order(column)
            cuts = sorted({key(row) for row in rows})[:-1]
            if not cuts:
                continue
            gaps = {cut: abs(2 * sum(key(r) <= cut for r in rows) - len(rows)) for cut in cuts}
            at = min(cuts, key=gaps.__getitem__)
            sides = [r for r in rows if key(r) <= at], [r for r in rows if key(r) > at]
            if all(map(self.allowed, sides)):
                return sides
        return None

    def allowed(self, rows: list[Row]) -> bool:
        if len(rows) < self.k:
            return False
        for column in self.sensitive:
            own, whole = distribution(rows, column), distribution(self.rows, column)
            distance = ordered_distance if column in self.numbers else equal_distance
            if len(own) < self.diversity or distance(own, whole) > self.closeness + 1e-12:
                return False
        return True

    def width(self, rows: list[Row], column: str) -> float:
        places = self.places(column)
        own = [places[self.order(column)(row)] for row in rows]
        return max(own) - min(own)

    def places(self, column: str) -> dict[Any, float]:
        keys = sorted({self.order(column)(row) for row in self.rows})
        if column not in self.numbers:
            return {key: at / max(len(keys) - 1, 1) for at, key in enumerate(keys)}
        values = [key[1] for key in keys if key[0]]
        low, high = (min(values), max(values)) if values else (0, 0)
        return {
            key: (key[1] - low) / (high - low) if key[0] and high > low else 0.0 for key in keys
        }

    def labels(self, columns: Sequence[str] | None = None) -> dict[Any, tuple[str | None, ...]]:
        """What each row's quasi columns become, by its id."""
        return {
            row["id"]: tuple(self.label(rows, column) for column in columns or self.quasi)
            for rows in self.classes()
            for row in rows
        }

    def label(self, rows: list[Row], column: str) -> str | None:
        values = sorted(
            {row[column] for row in rows if row[column] is not None},
            key=lambda value: self.order(column)({column: value}),
        )
        if not values:
            return None
        end = " or null" if any(row[column] is None for row in rows) else ""
        if len(values) == 1:
            return f"{values[0]}{end}"
        if column in self.trees:
            levels = zip(*(self.trees[column][value] for value in values), strict=True)
            return next((level[0] for level in levels if len(set(level)) == 1), "*") + end
        every = sorted(self.places(column))
        span = every.index(self.order(column)({column: values[-1]})) - every.index(
            self.order(column)({column: values[0]})
        )
        if column in self.numbers or span >= 8:
            return f"[{values[0]}, {values[-1]}]{end}"
        return "{" + ", ".join(sorted(values)) + "}" + end
