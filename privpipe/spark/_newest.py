"""The latest version of a Delta table, from its log and without a job."""

from __future__ import annotations

from typing import Any, cast

from pyspark.sql import SparkSession

from privpipe.spark._names import delta_table, is_path

__all__ = ["newest_version"]


def newest_version(spark: SparkSession, target: str) -> int | None:
    """The version that the table at `target`, a path or a name, has now. Raises what Delta raises.

    A history is a job of its own, of a tenth of a second, and is read for a name alone.
    """
    table = delta_table(spark, target)
    if is_path(target):
        logs = cast("Any", spark.sparkContext._jvm).org.apache.spark.sql.delta.DeltaLog  # noqa: SLF001
        return int(logs.forTableWithSnapshot(spark._jsparkSession, target)._2().version())  # noqa: SLF001
    latest = table.history(1).select("version").first()
    return None if latest is None else int(latest["version"])
