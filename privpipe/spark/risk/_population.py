"""The classes of a table in the population that it was drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.errors import SchemaError, SourceError
from privpipe.spark.risk._columns import NUMBERS, Asked, asked

__all__ = ["in_population"]


def in_population(
    cells: DataFrame, keys: Sequence[str], known: Sequence[Asked], population: DataFrame
) -> tuple[dict[int, tuple[int, int]], int]:
    """By the size of a class in the population: how many classes of the table, and rows of it; and
    how many rows the population has.

    Raises SourceError where the population has fewer rows of a class than the table: then the
    table was not drawn from it, or its columns are coarser or finer.
    """
    there = asked(population, [one.name for one in known], "quasi")
    for mine, theirs in zip(known, there, strict=True):
        if mine.word != theirs.word and not {mine.word, theirs.word} <= NUMBERS:
            raise SchemaError(
                f"it is {mine.word} in the table and {theirs.word} in the population",
                where=f"column {mine.name}",
                hint="bring both to one type: equal values must be equal",
            )
    others = [f"p_{key}" for key in keys]
    people = population.select(
        *(one.value.alias(name) for one, name in zip(there, others, strict=True))
    )
    sizes = people.groupBy(*others).agg(F.count(F.lit(1)).alias("size"))
    own = cells.groupBy(*keys).agg(F.sum("n").alias("n"))
    same = reduce(
        lambda one, other: one & other,
        [F.col(key).eqNullSafe(F.col(other)) for key, other in zip(keys, others, strict=True)],
    )
    found = (
        own.join(sizes, same, "left")
        .select("n", F.coalesce("size", F.lit(0)).alias("size"))
        .groupBy("size")
        .agg(
            F.count(F.lit(1)).alias("classes"),
            F.sum("n").alias("rows"),
            F.count_if(F.col("n") > F.col("size")).alias("short"),
        )
        .collect()
    )
    short = sum(row["short"] for row in found)
    if short:
        raise SourceError(
            f"classes of the table that the population has fewer rows of: {short}",
            hint="the population is the table that this one was drawn from, with the same "
            "columns in the same coarseness",
        )
    return {row["size"]: (row["classes"], row["rows"]) for row in found}, population.count()
