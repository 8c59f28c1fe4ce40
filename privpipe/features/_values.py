"""Row by row, the integer that each measure adds: clamped units, bins, hashed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.dp import Bounds, FixedPoint, Moments
from privpipe.errors import InternalError
from privpipe.features._measures import Measure

__all__ = ["NO_VALUE", "distinct_column", "row_values"]

Int64s = npt.NDArray[np.int64]
Valid = npt.NDArray[np.bool_]

NO_VALUE = -(1 << 63)
"""In the place of the hash of a null"""

_ONE = Bounds(groups=1, rows=1)


def distinct_column(column: str) -> str:
    """Where the hash of a column's value stands, for distinct counts."""
    return f"__hash_{column}"


def row_values(table: pa.Table, measures: Sequence[Measure]) -> Mapping[Measure, Int64s]:
    """What each measure adds for each row; null, and NaN, add nothing.

    The columns are of integers, floats or bools. A bin is its place, or -1; values beyond the
    edges lie in the outer bins. Of `rows` and `units` nothing is said here.
    """
    read: dict[str, tuple[npt.NDArray[Any], Valid]] = {}
    encoded: dict[tuple[str, FixedPoint], tuple[Int64s, Valid]] = {}
    found: dict[Measure, Int64s] = {}
    for measure in measures:
        if measure.column is None:
            continue
        if measure.kind == "distinct":
            found[measure] = _hashes(table, measure.column)
            continue
        if measure.column not in read:
            read[measure.column] = _column(table, measure.column)
        values, valid = read[measure.column]
        if measure.kind == "values":
            found[measure] = valid.astype(np.int64)
        elif measure.binned:
            found[measure] = _bins(values, valid, measure)
        else:
            fixed = _fixed(measure)
            if (measure.column, fixed) not in encoded:
                encoded[measure.column, fixed] = fixed.encode(values, valid)
            found[measure] = _added(measure, fixed, *encoded[measure.column, fixed])
    return found


def _added(measure: Measure, fixed: FixedPoint, units: Int64s, valid: Valid) -> Int64s:
    if measure.kind == "total":
        return units
    moments = Moments(fixed=fixed, bounds=_ONE, variance=measure.kind == "squares")
    each = moments.squares if measure.kind == "squares" else moments.centred
    return each(units, valid)


def _column(table: pa.Table, name: str) -> tuple[npt.NDArray[Any], Valid]:
    column = table.column(name)
    valid = column.is_valid().to_numpy()
    kind = column.type
    if pa.types.is_boolean(kind):
        column = pc.cast(column, pa.int64())
    values = pc.fill_null(column, pa.scalar(0, column.type)).to_numpy()
    if values.dtype.kind == "f":
        valid = valid & ~np.isnan(values)
    return values, valid


def _hashes(table: pa.Table, name: str) -> Int64s:
    # A hash is never this number: Spark's side moves it by one.
    return np.asarray(
        pc.fill_null(table.column(distinct_column(name)), NO_VALUE).to_numpy(), dtype=np.int64
    )


def _bins(values: npt.NDArray[Any], valid: Valid, measure: Measure) -> Int64s:
    edges = np.array([float(edge) for edge in measure.edges])
    real = np.where(valid, values, 0).astype(np.float64)
    # A bin holds its lower edge; the last one its upper edge too.
    found = np.searchsorted(edges[1:-1], real, side="right").astype(np.int64)
    return np.where(valid, found, -1)


def _fixed(measure: Measure) -> FixedPoint:
    if measure.fixed is None:
        raise InternalError("a sum without its clamps")
    return measure.fixed
