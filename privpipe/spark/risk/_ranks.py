"""Values as ranks, so that what is cut, sent to workers and kept in closures is no value.

A column's distinct values are sorted in Spark; each gets a rank, and a place from 0 (the least) to
1 (the greatest) for widths. Nulls come first, at the place of the least value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from privpipe.errors import InvalidValue, SchemaError
from privpipe.spark.risk._columns import NUMBERS, ORDERED, Asked
from privpipe.spark.risk._sensitive import ranked

__all__ = ["Taxonomy", "as_text", "joined", "placed", "rankable", "same"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """A hierarchy: by value, what it becomes at level 1, 2, …."""

    rows: Mapping[str, tuple[str, ...]]

    @property
    def levels(self) -> int:
        """How many there are above the value itself."""
        return min(len(texts) for texts in self.rows.values())

    def table(self, spark: SparkSession) -> DataFrame:
        """The value as `known`, and `t1`, `t2`, …."""
        names = ["known", *(f"t{level}" for level in range(1, self.levels + 1))]
        rows = [(value, *texts[: self.levels]) for value, texts in self.rows.items()]
        return spark.createDataFrame(rows, ", ".join(f"{name} string" for name in names))


def rankable(one: Asked) -> None:
    """Raises SchemaError for a column whose values have no order that a reader would know."""
    if one.word in {"binary", "array"}:
        raise SchemaError(
            f"values of type {one.word} have no ranges",
            where=f"column {one.name}",
            hint="drop the column, or suppress: suppress(df, quasi, k)",
        )


def placed(cells: DataFrame, value: str, one: Asked, taxonomy: Taxonomy | None) -> DataFrame:
    """The distinct values of a column as `v`, with rank `c`, place `x`, and a taxonomy's levels.

    One task sorts them. With a taxonomy they are sorted as its branches are, from the top.
    """
    if taxonomy is not None:
        return _by_branches(cells, value, one, taxonomy)
    # `r` is the rank, `total` the rows; neither is a value.
    values = ranked(cells, value, "n").select("v", F.col("r").alias("c"))
    if one.word not in ORDERED:
        return _evenly(values)
    number = _number(one)
    finite = F.when(F.abs(number) < F.lit(float("inf")), number)
    low, high = F.min(finite).over(Window.partitionBy()), F.max(finite).over(Window.partitionBy())
    share = (number - low) / F.nullif(high - low, F.lit(0.0))
    inside = F.least(F.greatest(share, F.lit(0.0)), F.lit(1.0))
    # NaN is above every number; where all numbers are one, there is no width.
    place = F.when(F.col("v").isNull(), 0.0).otherwise(F.coalesce(inside, F.lit(0.0)))
    return values.select("v", "c", place.alias("x"))


def _by_branches(cells: DataFrame, value: str, one: Asked, taxonomy: Taxonomy) -> DataFrame:
    levels = [f"t{level}" for level in range(1, taxonomy.levels + 1)]
    values = cells.groupBy(F.col(value).alias("v")).agg(F.sum("n").alias("rows"))
    told = taxonomy.table(cells.sparkSession)
    found = values.join(told, F.col("v") == F.col("known"), "left")
    lost = found.where("v is not null and known is null").agg(F.sum("rows")).collect()[0][0]
    if lost:
        raise InvalidValue(
            f"rows whose value the hierarchy does not list: {lost}",
            where=f"column {one.name}",
            hint="add a line for every value of the column",
        )
    order = Window.orderBy(*(F.col(name).asc_nulls_first() for name in [*reversed(levels), "v"]))
    sorted_ = found.select("v", *levels, (F.row_number().over(order) - 1).cast("long").alias("c"))
    return _evenly(sorted_)


def _evenly(values: DataFrame) -> DataFrame:
    last = F.nullif(F.max("c").over(Window.partitionBy()), F.lit(0))
    return values.withColumn("x", F.coalesce(F.col("c") / last, F.lit(0.0)))


def _number(one: Asked) -> Column:
    value = F.col("v")
    if one.word in NUMBERS:
        return value.cast("double")
    if one.word == "date":
        return F.unix_date(value).cast("double")
    return F.unix_micros(value.cast("timestamp")).cast("double")


def joined(cells: DataFrame, value: str, found: DataFrame, names: Mapping[str, str]) -> DataFrame:
    """`cells` with columns of `found` (by their names there), where `value` is its `v`."""
    other = f"{value}_there"
    picked = found.select(
        F.col("v").alias(other), *(F.col(name).alias(new) for name, new in names.items())
    )
    return cells.join(picked, F.col(value).eqNullSafe(F.col(other))).drop(other)


def same(names: Sequence[str], others: Sequence[str]) -> Column:
    """Whether columns agree, nulls too."""
    pairs = zip(names, others, strict=True)
    return reduce(
        lambda one, other: one & other,
        [F.col(name).eqNullSafe(F.col(other)) for name, other in pairs],
    )


def as_text(value: Column) -> Column:
    """A value as it is shown."""
    return value.cast(StringType())
