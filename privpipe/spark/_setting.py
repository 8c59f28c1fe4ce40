"""A session's setting, for as long as a step takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

__all__ = ["setting"]


@contextmanager
def setting(spark: SparkSession, key: str, value: str) -> Iterator[None]:
    """Sets `key`, and puts back afterwards what was there. Other threads of the session see it."""
    before = spark.conf.get(key, None)
    spark.conf.set(key, value)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(key)
        else:
            spark.conf.set(key, before)
