"""A number that a table's commits note where a RESTORE of the table does not take it back.

A Delta log keeps the version of the newest transaction of every application beside the table's
files, in checkpoints too, and RESTORE brings back files alone. A commit that is a transaction of
version n notes n, and does nothing at all where as high a number is noted already.
Source: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from delta import DeltaTable
from pyspark.sql import SparkSession

from privpipe.spark._transaction import TRANSACTION

__all__ = ["KEPT_FOR_GOOD", "highest_noted", "table_that_notes"]

KEPT_FOR_GOOD: Mapping[str, str] = MappingProxyType(
    {"delta.setTransactionRetentionDuration": "interval 36500 days"}
)
"""The property of a table whose number counts: a session may have another default, and the number
would be forgotten so soon."""


def highest_noted(spark: SparkSession, path: str, application: str) -> int:
    """The highest number that a commit of the table noted; 0 where none did."""
    # Transactions have no other door from here.
    jvm = cast("Any", spark.sparkContext._jvm)  # noqa: SLF001
    logs = jvm.org.apache.spark.sql.delta.DeltaLog
    snapshot = logs.forTableWithSnapshot(spark._jsparkSession, path)._2()  # noqa: SLF001
    noted = snapshot.transactions().get(application)
    return int(noted.get()) if noted.isDefined() else 0


def table_that_notes(
    spark: SparkSession, place: str, number: int, application: str, *, named: bool = False
) -> DeltaTable:
    """The table at `place` (a path, or a name where `named`), whose next commit through this object
    notes `number`.

    A MERGE takes its transaction from the session, so it gets one of its own: under the caller's,
    a write of another thread would be taken for this one.
    """
    jvm = cast("Any", spark.sparkContext._jvm)  # noqa: SLF001
    alike = spark._jsparkSession.cloneSession()  # noqa: SLF001 (newSession forgets the settings)
    for name, value in zip(TRANSACTION, (application, str(number)), strict=True):
        alike.conf().set(name, value)
    # Known to Java alone: a SparkSession of Python's, once made, is that of every later `rdd.toDF`,
    # and what is written from there would bear this transaction, or be skipped as its second one.
    tables = jvm.io.delta.tables.DeltaTable
    found = tables.forName(alike, place) if named else tables.forPath(alike, place)
    return DeltaTable(spark, found)
