"""A session of the caller's, or one built for as long as it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from privpipe.spark._session import build_session

__all__ = ["session_or_own"]


@contextmanager
def session_or_own(spark: SparkSession | None) -> Iterator[SparkSession]:
    """`spark` as it is; without one, a session that is stopped at the end."""
    if spark is not None:
        yield spark
        return
    built = build_session()
    try:
        yield built
    finally:
        built.stop()
