"""l-diversity and t-closeness of one sensitive column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import DoubleType

from privpipe.spark._lips import sealed_lips
from privpipe.spark.risk._closeness import Distribution
from privpipe.spark.risk._columns import ORDERED, Asked
from privpipe.spark.risk._report import SensitiveReport

__all__ = ["ranked", "sensitive_report", "spread_of"]


def ranked(cells: DataFrame, value: str, count: str) -> DataFrame:
    """The distinct values of `cells`, nulls first, as `v`; their rank `r` and rows `total`."""
    values = cells.groupBy(F.col(value).alias("v")).agg(F.sum(count).alias("total"))
    order = Window.orderBy(F.col("v").asc_nulls_first())
    return values.withColumn("r", (F.row_number().over(order) - 1).cast("long"))


def spread_of(values: DataFrame, column: Asked) -> Distribution:
    """How often each rank occurs: counts alone reach the driver, in the order of values that stay
    where they are."""
    totals = [row["total"] for row in values.orderBy("r").select("total").collect()]
    return Distribution(
        counts=np.array(totals, np.int64), ordered=column.word in ORDERED and len(totals) > 1
    )


def sensitive_report(
    cells: DataFrame, keys: Sequence[str], value: str, column: Asked, recursive_l: int
) -> SensitiveReport:
    """The figures of the column `value` of `cells`: `n` rows for each class and value.

    Null is a value, and below every other one. Sources: Machanavajjhala, Kifer, Gehrke and
    Venkitasubramaniam, l-Diversity, TKDD 1(1) 2007, definitions 4.1 and 4.2 (here the smallest l,
    and the least c, that hold for all classes); Li, Li and Venkatasubramanian, ICDE 2007.
    """
    own = cells.groupBy(*keys, F.col(value).alias("v")).agg(F.sum("n").alias("n"))
    values = ranked(own, "v", "n")
    spread = spread_of(values, column)
    told = values.select(F.col("v").alias("known"), "r", "total")
    placed = own.join(told, F.col("v").eqNullSafe(F.col("known"))).drop("v", "known")
    figures = _figures(_with_distance(placed, keys, spread), keys, spread, recursive_l)
    row = figures.collect()[0]
    return SensitiveReport(
        column=column.name,
        values=len(spread.counts),
        distinct=row["distinct"],
        entropy=float(np.exp(row["entropy"])),
        recursive=float(row["recursive"]),
        recursive_l=recursive_l,
        told_rows=row["told"],
        closeness=max(float(row["closeness"]), 0.0),
        distance="ordered" if column.word in ORDERED else "equal",
    )


def _with_distance(placed: DataFrame, keys: Sequence[str], spread: Distribution) -> DataFrame:
    """Each class's value with its part of the class's distance, and what the analysis needs."""
    whole = Window.partitionBy(*keys)
    upward = whole.orderBy("r")
    sized = placed.withColumn("rows", F.sum("n").over(whole)).withColumn(
        "place", F.row_number().over(whole.orderBy(F.col("n").desc(), "r"))
    )
    share = F.col("n") / F.col("rows")
    if not spread.ordered:
        common = F.col("total") / F.lit(spread.rows)
        return sized.withColumn("part", (F.abs(share - common) - common) / 2)
    ahead = sized.withColumns(
        {
            "share": F.sum("n").over(upward) / F.col("rows"),
            "end": F.lead("r", 1, len(spread.counts)).over(upward).cast("long"),
            "first": F.row_number().over(upward) == 1,
        }
    )
    part = arrow_udf(_parts(spread), DoubleType())  # type: ignore[call-overload]
    return ahead.withColumn("part", part("r", "end", "share", "first"))


def _parts(spread: Distribution) -> Any:
    """What runs on an executor, on ranks and shares: the parts of the distances."""

    def parts(starts: pa.Array, ends: pa.Array, share: pa.Array, first: pa.Array) -> pa.Array:
        with sealed_lips("of ranks"):
            ranks = starts.to_numpy()
            found = spread.runs(ranks, ends.to_numpy(), share.to_numpy())
            heads = first.to_numpy(zero_copy_only=False)
            found[heads] += spread.heads(ranks[heads])
            return pa.array(found)

    return parts


def _figures(
    parts: DataFrame, keys: Sequence[str], spread: Distribution, recursive_l: int
) -> DataFrame:
    """One row: what the worst class has of each figure."""
    share = F.col("n") / F.col("rows")
    classes = parts.groupBy(*keys).agg(
        F.count(F.lit(1)).alias("distinct"),
        F.max("rows").alias("rows"),
        (-F.sum(share * F.ln(share))).alias("entropy"),
        _ratio(recursive_l).alias("recursive"),
        (F.sum("part") + F.lit(0.0 if spread.ordered else 0.5)).alias("closeness"),
    )
    return classes.agg(
        F.min("distinct").alias("distinct"),
        F.min("entropy").alias("entropy"),
        F.max("recursive").alias("recursive"),
        F.sum(F.when(F.col("distinct") == 1, F.col("rows")).otherwise(0)).alias("told"),
        F.max("closeness").alias("closeness"),
    )


def _ratio(recursive_l: int) -> Column:
    """The most frequent value's rows to those of the `recursive_l`-th most frequent and on."""
    rest = F.sum(F.when(F.col("place") >= recursive_l, F.col("n")).otherwise(0))
    return F.when(rest == 0, F.lit(float("inf"))).otherwise(F.max("n") / rest)
