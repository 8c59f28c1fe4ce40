"""Columns of times, of each type, from whole microseconds."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tests.features._windows import HOUR


def with_time(df: DataFrame, name: str, kind: str) -> DataFrame:
    """A column of microseconds as times of this type."""
    at = F.col(name)
    if kind == "timestamp":
        return df.withColumn(name, F.timestamp_micros(at))
    if kind == "date":
        days = F.floor(at / (24 * HOUR)).cast("int")
        return df.withColumn(name, F.date_add(F.lit("1970-01-01").cast("date"), days))
    seconds = F.expr(f"make_dt_interval(0, 0, 0, cast({name} / 1000000 as decimal(18, 6)))")
    return df.withColumn(name, F.expr("timestamp_ntz'1970-01-01 00:00:00'") + seconds)
