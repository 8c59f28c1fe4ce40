"""The aggregates that exact figures are computed by, and what says of how many units they are."""

from __future__ import annotations

from collections.abc import Mapping

from privpipe.aggregates import (
    Aggregate,
    Count,
    Distinct,
    Enough,
    Mean,
    SharedBins,
    SharedExtreme,
    SharedQuantile,
    SharedTop,
    Sum,
    Variance,
)
from privpipe.features._exact_model import ExactAggregate, ExactSpec
from privpipe.features._grouped import ROW

__all__ = ["enough_of", "exact_aggregate"]

_PLAIN: Mapping[str, Aggregate] = {
    "distinct": Distinct(),
    "sum": Sum(),
    "mean": Mean(),
    "variance": Variance(population=True),
}


def exact_aggregate(figure: ExactAggregate, spec: ExactSpec) -> tuple[Aggregate, tuple[str, ...]]:
    """What computes a figure, and of which columns: a value of single rows shows in none of them
    unless enough units share it."""
    rows, k = spec.unit == ROW, spec.k
    column = () if figure.column is None else (figure.column,)
    if figure.kind == "count" or (figure.kind == "units" and rows):
        return Count(), ()
    if figure.kind == "units":
        return Distinct(), (spec.unit,)
    if figure.kind in _PLAIN:
        return _PLAIN[figure.kind], column
    found: Aggregate
    if figure.kind == "quantile":
        found = SharedQuantile(k, figure.edges, figure.at, several=figure.several, rows=rows)
    elif figure.kind == "histogram":
        found = SharedBins(k, figure.edges, rows=rows)
    elif figure.kind == "top":
        found = SharedTop(k, figure.most, rows=rows)
    else:
        found = SharedExtreme(k, greatest=figure.kind == "max", rows=rows)
    return found, column if rows else (*column, spec.unit)


def enough_of(spec: ExactSpec) -> Aggregate:
    """What says whether the units of a group, or of those with a value of a column, are enough: of
    the column of units; of rows it counts them."""
    return Count() if spec.unit == ROW else Enough(spec.k)
