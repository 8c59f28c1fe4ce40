"""What is summed: the integer vectors that figures are made of, each with its sensitivity.

A measure is one number of a unit in a group (a histogram: one of each bin), an integer that the
bounds hold, whatever the data. Group results are sums of them, and everything that is released is
made of noisy group results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from privpipe.dp import Bisection, Bounds, FixedPoint, Moments, Noise, Query, Sensitivity
from privpipe.features._model import Aggregate, Spec

__all__ = ["UNITS", "Measure", "figure_of", "measures_of", "moments_of", "query_of", "weighed"]

MeasureKind = Literal[
    "rows", "units", "values", "total", "centred", "squares", "bins", "search", "distinct"
]  # fmt: skip
_BINNED = frozenset({"bins", "search"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One vector of group results.

    `rows` and `values` count at most the bounds' rows of a unit (those with a value in `column`),
    `units` counts a unit once. `total` sums clamped values, `centred` and `squares` those of
    `Moments`; of a unit with more rows than the bounds they take the same part of its sum. `bins`
    and `distinct` are over rows that are kept one by one; `search` is of bins too, of which a
    `Bisection` is told, at the quantiles `at`. It is of the rows in the spec's `window` at that
    place alone, or, without one, of all rows that are read.
    """

    kind: MeasureKind
    column: str | None = None
    fixed: FixedPoint | None = None
    edges: tuple[Fraction, ...] = ()
    at: tuple[Fraction, ...] = ()
    window: int | None = None

    @property
    def binned(self) -> bool:
        """Whether rows are counted in bins."""
        return self.kind in _BINNED

    @property
    def per_row(self) -> bool:
        """Whether it needs single rows, and not only a unit's sums."""
        return self.binned or self.kind == "distinct"

    @property
    def bisection(self) -> Bisection:
        """How a `search` goes."""
        return Bisection(bins=self.width, at=self.at)

    @property
    def width(self) -> int:
        """How many numbers of a group it is."""
        return len(self.edges) - 1 if self.binned else 1

    def sensitivity(self, bounds: Bounds) -> Sensitivity:
        """How far one unit moves the vector."""
        if self.kind == "units":
            return bounds.units()
        if self.kind == "bins":
            return bounds.histogram(bins=self.width)
        if self.kind == "search":
            return self.bisection.sensitivity(bounds)
        if self.fixed is None:
            return bounds.counts()
        if self.kind == "total":
            return bounds.sums(low=self.fixed.low_units, high=self.fixed.high_units)
        return bounds.sums(low=-self.largest, high=self.largest)

    @property
    def largest(self) -> int:
        """What one row adds at most, in units of the sum."""
        if self.fixed is None:
            return 1
        if self.kind == "total":
            return self.fixed.largest
        width = self.fixed.high_units - self.fixed.low_units
        return width**2 if self.kind == "squares" else width


UNITS = Measure(kind="units")
"""How many units a group has: what selects groups, and what a floor is on."""


def measures_of(aggregate: Aggregate) -> tuple[Measure, ...]:
    """What the figure is made of, in the order in which it is read back."""
    if aggregate.window is None:
        return _measures(aggregate)
    return tuple(replace(each, window=aggregate.window.place) for each in _measures(aggregate))


def _measures(aggregate: Aggregate) -> tuple[Measure, ...]:
    column, fixed = aggregate.column, aggregate.fixed
    match aggregate.kind:
        case "count":
            return (Measure(kind="rows"),)
        case "units":
            return (Measure(kind="units"),)
        case "distinct":
            return (Measure(kind="distinct", column=column),)
        case "sum":
            return (Measure(kind="total", column=column, fixed=fixed),)
        case "mean" | "variance":
            values = Measure(kind="values", column=column)
            centred = Measure(kind="centred", column=column, fixed=fixed)
            squares = Measure(kind="squares", column=column, fixed=fixed)
            both = (values, centred)
            return both if aggregate.kind == "mean" else (*both, squares)
        case "quantile" | "histogram":
            edges, at = aggregate.edges, aggregate.at if aggregate.searched else ()
            return (Measure(kind="search" if at else "bins", column=column, edges=edges, at=at),)


def figure_of(aggregates: Iterable[Aggregate], measure: Measure) -> str | None:
    """The first figure that is made of that measure; None where no figure is."""
    return next((each.name for each in aggregates if measure in measures_of(each)), None)


def moments_of(aggregate: Aggregate, bounds: Bounds) -> Moments:
    """The mean or variance that the figure is."""
    assert aggregate.fixed is not None  # noqa: S101 (the reader refuses one without)
    return Moments(fixed=aggregate.fixed, bounds=bounds, variance=aggregate.kind == "variance")


def weighed(aggregates: Iterable[Aggregate]) -> Mapping[Measure, Fraction]:
    """Every measure once, in the order of first use, with the greatest weight that was asked for.

    Two figures that are made of the same sums share them, and their cost.
    """
    found: dict[Measure, Fraction] = {}
    for aggregate in aggregates:
        for measure in measures_of(aggregate):
            found[measure] = max(found.get(measure, aggregate.weight), aggregate.weight)
    return found


def query_of(measure: Measure, weight: Fraction, spec: Spec, noise: Noise) -> Query:
    """What noise is drawn for."""
    return Query(sensitivity=measure.sensitivity(spec.bounds), noise=noise, weight=weight)
