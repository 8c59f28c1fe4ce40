"""An Arrow table to a DataFrame without a file on the way."""

from __future__ import annotations

import warnings
from threading import Lock

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

__all__ = ["handed"]

_turn = Lock()


def handed(spark: SparkSession, table: pa.Table) -> DataFrame:
    """`table` in Spark, by a local socket that authenticates.

    PySpark hands a table over in a temporary file, in clear, unless io encryption is on; its
    context remembers that in one attribute, which chooses between file and socket and nothing else.
    """
    context = spark.sparkContext
    with _turn:
        before = context._encryption_enabled  # noqa: SLF001
        context._encryption_enabled = True  # noqa: SLF001
        try:
            with warnings.catch_warnings():
                # PySpark leaves its end of the socket to be collected, which closes it.
                warnings.simplefilter("ignore", ResourceWarning)
                return spark.createDataFrame(table)
        finally:
            context._encryption_enabled = before  # noqa: SLF001
