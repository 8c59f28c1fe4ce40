"""A Delta source of one version: as it was at the end of some day, or as it is now."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.errors import SourceError
from privpipe.spark._errors import translated
from privpipe.spark._names import delta_table, is_path
from privpipe.spark._newest import newest_version

__all__ = ["read_as_of", "read_now", "read_version"]


def read_as_of(spark: SparkSession, source: str, day: str) -> DataFrame:
    """The Delta table `source` as it was at the end of `day` (`2026-11-23`, the session's zone).

    Raises SourceError where the table did not exist yet.
    """
    with translated(f"reading the source as of {day}"):
        history = delta_table(spark, source).history()
        past = history.where(F.col("timestamp") < F.date_add(F.lit(day).cast("date"), 1))
        newest = past.agg(F.max("version").alias("version")).first()
        if newest is None or newest["version"] is None:
            raise SourceError(
                f"the source has no version of {day} or before",
                where=source,
                hint="its history may begin later, or have been cut; leave --as-of out",
            )
        return read_version(spark, source, newest["version"])


def read_now(spark: SparkSession, source: str) -> DataFrame:
    """The Delta table `source` in its latest version, and in no later one however often it is read:
    a run reads its source more than once."""
    newest = newest_version(spark, source)
    if newest is None:
        raise SourceError("the source has no version", where=source, hint="check the path")
    return read_version(spark, source, newest)


def read_version(spark: SparkSession, source: str, version: int | None) -> DataFrame:
    """The Delta table `source`, by path or name, in one version."""
    reader = spark.read.format("delta").option("versionAsOf", version)
    return reader.load(source) if is_path(source) else reader.table(source)
