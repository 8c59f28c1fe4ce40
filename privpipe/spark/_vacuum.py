"""`vacuum`: the files that a Delta table at a path uses no more, removed and counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from privpipe.spark._setting import setting
from privpipe.spark._target import identifier

__all__ = ["vacuum"]

_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
# Delta lists a table's folders by as many tasks as this says: 10,000 where nobody set it, half a
# minute on one machine for a handful of folders.
_LISTING = "spark.sql.sources.parallelPartitionDiscovery.parallelism"
_TASKS = "32"


def vacuum(spark: SparkSession, path: str, hours: int) -> int:
    """Removes the files that have been out of use for `hours`. How many there were."""
    before = _files(spark, path)
    # Delta else refuses to remove what was in use within the table's own time.
    with setting(spark, _CHECK, "false"), setting(spark, _LISTING, _TASKS), _silence(spark):
        spark.sql(f"VACUUM {identifier(path)} RETAIN {int(hours)} HOURS").collect()
    return len(before - _files(spark, path))


def _files(spark: SparkSession, path: str) -> set[str]:
    """The table's data files, old ones too."""
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    found = reader.option("pathGlobFilter", "*.parquet").load(path).inputFiles()
    return {file for file in found if "/_delta_log/" not in file}


@contextmanager
def _silence(spark: SparkSession) -> Iterator[None]:
    """Delta prints what it removed on the JVM's standard output, which is a command's own."""
    jvm = spark.sparkContext._jvm  # noqa: SLF001 (Scala's console has no other door from here)
    if jvm is None:
        yield
        return
    console = getattr(getattr(jvm.scala, "Console$"), "MODULE$")
    before = console.out()
    nowhere = jvm.java.io.PrintStream(jvm.java.io.OutputStream.nullOutputStream())
    console.setOutDirect(nowhere)
    try:
        yield
    finally:
        console.setOutDirect(before)
