"""What is computed whole before any of it is written.

A job that stops midway leaves the files that its tasks have written: no commit names them, and yet
whoever can list the folder can read them. So a value that stops the figures has to stop them while
the target is untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame

from privpipe.spark._errors import translated

__all__ = ["held"]


@contextmanager
def held(df: DataFrame, doing: str) -> Iterator[Callable[[], DataFrame]]:
    """Gives what computes `df`, once, and keeps it until the block ends: in memory, and where that
    is short on Spark's local disks, as a shuffle is. `doing` names the step in plain words."""
    kept: list[DataFrame] = []

    def computed() -> DataFrame:
        if not kept:
            kept.append(df.persist())
            with translated(doing):
                kept[0].count()
        return kept[0]

    try:
        yield computed
    finally:
        for each in kept:
            each.unpersist()
