"""A number that a table's commits note where a RESTORE of the table does not take it back.

A Delta log keeps the version of the newest transaction of every application beside the table's
files, in checkpoints too, and RESTORE brings back files alone. A commit that is a transaction of
version n notes n, and does nothing at all where as high a number is noted already.
Source: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#transaction-identifiers
"""

from __future__ import annotations

from typing import Any, cast

from pyspark.sql import SparkSession

__all__ = ["highest_noted", "session_that_notes"]

_SETTING = "spark.databricks.delta.write.txn"


def highest_noted(spark: SparkSession, path: str, application: str) -> int:
    """The highest number that a commit of the table noted; 0 where none did."""
    # Transactions have no other door from here.
    jvm = cast("Any", spark.sparkContext._jvm)  # noqa: SLF001
    logs = jvm.org.apache.spark.sql.delta.DeltaLog
    snapshot = logs.forTableWithSnapshot(spark._jsparkSession, path)._2()  # noqa: SLF001
    noted = snapshot.transactions().get(application)
    return int(noted.get()) if noted.isDefined() else 0


def session_that_notes(spark: SparkSession, number: int, application: str) -> SparkSession:
    """A session like `spark`, whose next commit to a table notes `number`.

    A MERGE takes its transaction from the session, so it gets one of its own: under the caller's,
    a write of another thread would be taken for this one.
    """
    alike = spark._jsparkSession.cloneSession()  # noqa: SLF001 (newSession forgets the settings)
    own = SparkSession(spark.sparkContext, alike)
    own.conf.set(f"{_SETTING}AppId", application)
    own.conf.set(f"{_SETTING}Version", str(number))
    return own
