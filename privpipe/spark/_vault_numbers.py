"""The highest number of a vault, noted where a RESTORE of its table does not take it back: the
commit that adds entries is a transaction whose version is the highest number given by then."""

from __future__ import annotations

from pyspark.sql import SparkSession

from privpipe.spark import _noted as noted

__all__ = ["highest_noted", "session_that_notes"]

_APPLICATION = "privpipe-vault"


def highest_noted(spark: SparkSession, path: str) -> int:
    """The highest number that a commit of the table noted; 0 where none did."""
    return noted.highest_noted(spark, path, _APPLICATION)


def session_that_notes(spark: SparkSession, number: int) -> SparkSession:
    """A session like `spark`, whose next commit to a table notes `number`; where the table has
    noted as high a number already, such a commit does nothing at all."""
    return noted.session_that_notes(spark, number, _APPLICATION)
