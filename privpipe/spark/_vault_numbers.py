"""The highest number of a vault, noted where a RESTORE of its table does not take it back.

A Delta log keeps the version of the newest transaction of every application beside the table's
files, in checkpoints too, and RESTORE brings back files alone. So the commit that adds entries is
a transaction whose version is the highest number that was given by then.
Source: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
"""

from __future__ import annotations

from typing import Any, cast

from delta import DeltaTable
from pyspark.sql import SparkSession

from privpipe.spark._transaction import TRANSACTION

__all__ = ["highest_noted", "table_that_notes"]

_APPLICATION = "privpipe-vault"


def highest_noted(spark: SparkSession, path: str) -> int:
    """The highest number that a commit of the table noted; 0 where none did."""
    # Transactions have no other door from here.
    jvm = cast("Any", spark.sparkContext._jvm)  # noqa: SLF001
    logs = jvm.org.apache.spark.sql.delta.DeltaLog
    snapshot = logs.forTableWithSnapshot(spark._jsparkSession, path)._2()  # noqa: SLF001
    noted = snapshot.transactions().get(_APPLICATION)
    return int(noted.get()) if noted.isDefined() else 0


def table_that_notes(spark: SparkSession, path: str, number: int) -> DeltaTable:
    """The table at `path`, whose next commit through this object notes `number`.

    A MERGE takes its transaction from the session, so it gets one of its own: under the caller's,
    a write of another thread would be taken for this one. Where the table has noted as high a
    number already, such a commit does nothing at all.
    """
    jvm = cast("Any", spark.sparkContext._jvm)  # noqa: SLF001
    alike = spark._jsparkSession.cloneSession()  # noqa: SLF001 (newSession forgets the settings)
    for name, value in zip(TRANSACTION, (_APPLICATION, str(number)), strict=True):
        alike.conf().set(name, value)
    # Known to Java alone: a SparkSession of Python's, once made, is that of every later `rdd.toDF`,
    # and what is written from there would bear this transaction, or be skipped as its second one.
    return DeltaTable(spark, jvm.io.delta.tables.DeltaTable.forPath(alike, path))
