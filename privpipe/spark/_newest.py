"""The latest version of a Delta table, its commit and its properties, from the log and without a
job.

A history or a detail is a job of its own, of a tenth of a second and more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from privpipe.spark._names import delta_table, is_path

__all__ = ["newest_commit", "newest_version", "properties_there", "version_there"]


def newest_version(spark: SparkSession, target: str) -> int | None:
    """The version that the table at `target`, a path or a name, has now. Raises what Delta raises.

    A name alone is asked of its history.
    """
    table = delta_table(spark, target)
    if is_path(target):
        return int(_log(spark, target)._2().version())  # noqa: SLF001 (a tuple of Scala's)
    latest = table.history(1).select("version").first()
    return None if latest is None else int(latest["version"])


def version_there(spark: SparkSession, target: str) -> int | None:
    """The same; None for what is no Delta table."""
    try:
        return newest_version(spark, target)
    except (PySparkException, Py4JError):
        return None


def newest_commit(spark: SparkSession, path: str) -> tuple[int, Mapping[str, Any]] | None:
    """The latest version of the table at `path`, and what its commit says of itself; None where
    it says nothing in the place where Delta does. Raises what Delta raises."""
    log = _log(spark, path)
    version = int(log._2().version())  # noqa: SLF001
    nothing = cast("Any", spark.sparkContext._jvm).scala.Option.empty()  # noqa: SLF001
    changes = log._1().getChanges(version, nothing, False)  # noqa: SLF001 (Java's)
    if not changes.hasNext():
        return None
    actions = changes.next()._2()  # noqa: SLF001
    said = {} if actions.isEmpty() else json.loads(actions.head().json()).get("commitInfo", {})
    return (version, said) if "timestamp" in said else None


def properties_there(
    spark: SparkSession, path: str, names: Sequence[str]
) -> list[str | None] | None:
    """What the properties `names` of the table at `path` say, None for one that is not set; None
    where its log has no commit yet. Raises what Delta raises."""
    DeltaTable.forPath(spark, path)  # a log that is not there would be one of no commit
    snapshot = _log(spark, path)._2()  # noqa: SLF001 (a tuple of Scala's)
    if snapshot.version() < 0:
        return None
    found = [snapshot.metadata().configuration().get(name) for name in names]
    return [str(each.get()) if each.isDefined() else None for each in found]


def _log(spark: SparkSession, path: str) -> Any:
    """Delta's own log of a table, and its state now."""
    logs = cast("Any", spark.sparkContext._jvm).org.apache.spark.sql.delta.DeltaLog  # noqa: SLF001
    return logs.forTableWithSnapshot(spark._jsparkSession, path)  # noqa: SLF001
