"""Times as the engine has them: their types, and how they are moved."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, TimestampNTZType, TimestampType

from privpipe.errors import SchemaError
from privpipe.features import Window

__all__ = ["months_before", "refuse_hours", "time_type", "window_start"]

_HOUR = 3_600_000_000  # microseconds
_TIMES = (DateType, TimestampType, TimestampNTZType)


def months_before(asof: Column, months: int, kind: DataType) -> Column:
    """The beginning of the month, so many months before the one that a moment is in: of timestamps,
    in the session's time zone."""
    return F.add_months(F.trunc(asof.cast("date"), "MM"), -months).cast(kind)


def window_start(asof: Column, window: Window, kind: DataType) -> Column:
    """The first moment of a window as of another. A day is 24 hours, also where clocks change."""
    if window.months:
        return months_before(asof, window.months, kind)
    if isinstance(kind, DateType):
        return F.date_sub(asof, window.hours // 24)
    if isinstance(kind, TimestampType):
        # Of an interval the engine takes whole days by the clock, which may change meanwhile.
        return F.timestamp_micros(F.unix_micros(asof) - F.lit(window.hours * _HOUR))
    return asof - F.expr(f"INTERVAL '{window.hours}' HOUR")


def time_type(df: DataFrame, column: str, where: str) -> DataType:
    """The type of an opened time. Raises SchemaError where it is none."""
    kind = df.schema[column].dataType
    if not isinstance(kind, _TIMES):
        raise SchemaError(
            f"{column} is {kind.simpleString()}, and no time",
            where=where,
            hint="a date or a timestamp; cast it where the table is made",
        )
    return kind


def refuse_hours(windows: Sequence[Window], column: str, where: str, time: DataType) -> None:
    """Raises SchemaError for windows of hours over dates."""
    for window in windows:
        if isinstance(time, DateType) and window.hours % 24:
            raise SchemaError(
                f"{window.text} is no whole number of days, and {column} has dates alone",
                where=where,
                hint="whole days, or a time with hours",
            )
