"""The rows that lie in some window before the moment of a spec of groups, each with its windows."""

from __future__ import annotations

from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType

from privpipe.errors import SchemaError
from privpipe.features import WINDOWS, ExactSpec, Over, Spec, place_of
from privpipe.spark._leaves import quoted
from privpipe.spark.features._times import months_before, refuse_hours, time_type, window_start

__all__ = ["in_windows"]


def in_windows(df: DataFrame, spec: Spec | ExactSpec) -> DataFrame:
    """The rows of opened columns that are in a window, with a bit for each in `WINDOWS`; all rows
    as they are, of a spec that has no windows. What has no time is in none.

    Where windows begin and end follows from the spec and the session's time zone alone, so that
    nothing of the data tells: not how far they reach back, nor whether anything is in them.
    Raises: SchemaError for a column that is no time, or has dates where hours are asked for.
    """
    over = spec.over
    if over is None:
        return df
    kind = time_type(df, over.event_time, place_of(spec, "event_time"))
    refuse_hours(over.windows, over.event_time, place_of(spec, "windows"), kind)
    if isinstance(kind, DateType) and over.has_hours:
        raise SchemaError(
            f"{over.as_of} is no beginning of a day, and {over.event_time} has dates alone",
            where=place_of(spec, "as_of"),
            hint="a date, or a time with hours",
        )
    inside = _inside(over, kind)
    bits = (F.when(each, F.lit(1 << at)).otherwise(F.lit(0)) for at, each in enumerate(inside))
    marked = reduce(Column.bitwiseOR, (each.cast("bigint") for each in bits))
    return df.where(reduce(or_, inside)).withColumn(WINDOWS, marked)


def _inside(over: Over, kind: DataType) -> list[Column]:
    """Of each window, whether a row's time is in it: from its start to before its end."""
    time, asof = F.col(quoted(over.event_time)), F.lit(over.as_of).cast(kind)
    found = []
    for window in over.windows:
        end = months_before(asof, 0, kind) if window.months else asof
        found.append((time >= window_start(asof, window, kind)) & (time < end))
    return found
