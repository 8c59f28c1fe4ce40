"""Delta's transaction of a session, under which it skips a second write to a table.

Who has set one for writes of their own would have those of privpipe's tables skipped as well, with
no error: a key that is not kept, an entry that is not deleted.
Source: https://docs.delta.io/latest/delta-batch.html#idempotent-writes
"""

from __future__ import annotations

from pyspark.sql import SparkSession

from privpipe.errors import UsageError

__all__ = ["TRANSACTION", "refuse_transaction"]

TRANSACTION = ("spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion")
"""The settings of it: an application, and the version of its write"""


def refuse_transaction(spark: SparkSession) -> None:
    """Raises UsageError where the session has a transaction."""
    if all(spark.conf.get(name, None) is not None for name in TRANSACTION):
        raise UsageError(
            "the session has a transaction for Delta, which would skip what is written here",
            where=TRANSACTION[0],
            hint="unset it; a write of your own can have its transaction as options: "
            ".option('txnAppId', ...).option('txnVersion', ...)",
        )
