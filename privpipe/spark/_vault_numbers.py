"""The highest number of a vault, noted where a RESTORE of its table does not take it back: the
commit that adds entries is a transaction whose version is the highest number given by then."""

from __future__ import annotations

from delta import DeltaTable
from pyspark.sql import SparkSession

from privpipe.spark import _noted as noted

__all__ = ["highest_noted", "table_that_notes"]

_APPLICATION = "privpipe-vault"


def highest_noted(spark: SparkSession, path: str) -> int:
    """The highest number that a commit of the table noted; 0 where none did."""
    return noted.highest_noted(spark, path, _APPLICATION)


def table_that_notes(spark: SparkSession, path: str, number: int) -> DeltaTable:
    """The table at `path`, whose next commit through this object notes `number`; where the table
    has noted as high a number already, such a commit does nothing at all."""
    return noted.table_that_notes(spark, path, number, _APPLICATION)
