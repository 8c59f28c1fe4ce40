"""One step of Mondrian for all partitions at once: the cut that each of them is given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StructField, StructType

from privpipe.spark._lips import sealed_lips
from privpipe.spark.risk._cuts import Rules
from privpipe.spark.risk._tree import Tree, router

__all__ = ["Cut", "Data", "cuts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Distinct rows by rank: `c0`, `c1`, … with places `x0`, …, `r0`, … of `sensitive` columns, and
    `n` rows of the table each."""

    rows: DataFrame
    columns: int
    sensitive: int

    @property
    def ranks(self) -> list[str]:
        """The names of the quasi columns' ranks."""
        return [f"c{at}" for at in range(self.columns)]

    def routed(self, tree: Tree, only: Collection[int]) -> DataFrame:
        """The rows in some partitions, with their partition as `p`."""
        schema = StructType([StructField("p", LongType()), *self.rows.schema.fields])
        return self.rows.mapInArrow(router(tree, self.ranks, only), schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The median cut of a partition in one column: its rank, how wide the column is there, the rows
    of the smaller side."""

    at: int
    after: int
    width: float
    smaller: int


def cuts(
    data: Data, tree: Tree, active: Collection[int], rules: Rules, small: int
) -> tuple[dict[int, Cut | None], set[int]]:
    """Of the partitions `active`: those of more than `small` distinct rows, with the cut that each
    gets (None where none is allowed); and the others, which a worker finishes.

    One job counts, and one for each sensitive column whose values count.
    """
    large, smaller = _medians(data, tree, active, small)
    tried = {p: [cut for cut in found if cut.smaller >= rules.k] for p, found in large.items()}
    if rules.look_inside:
        refused: set[tuple[int, int]] = set()
        for column in range(data.sensitive):
            refused |= _refused(data, tree, tried, rules, column)
        tried = {p: [c for c in found if (p, c.at) not in refused] for p, found in tried.items()}
    return {p: found[0] if found else None for p, found in tried.items()}, smaller


def _medians(
    data: Data, tree: Tree, active: Collection[int], small: int
) -> tuple[dict[int, list[Cut]], set[int]]:
    """By partition, the cut of each column, the widest first; and the small ones."""
    cells = F.array(
        *(
            F.struct(F.lit(at).alias("a"), F.col(f"c{at}").alias("c"), F.col(f"x{at}").alias("x"))
            for at in range(data.columns)
        )
    )
    each = data.routed(tree, active).select("p", "n", F.inline(cells))
    tops = each.groupBy("p", "a", "c").agg(
        F.sum("n").alias("n"), F.count(F.lit(1)).alias("m"), F.max("x").alias("x")
    )
    whole = Window.partitionBy("p", "a")
    counted = tops.withColumn("total", F.sum("n").over(whole)).withColumn(
        "below", F.sum("n").over(whole.orderBy("c"))
    )
    gap = F.abs(2 * F.col("below") - F.col("total"))
    middle = F.when(F.col("below") < F.col("total"), F.struct(gap, "c", "below"))
    found = counted.groupBy("p", "a").agg(
        F.min(middle).alias("cut"),
        F.max("total").alias("total"),
        F.sum("m").alias("rows"),
        (F.max("x") - F.min("x")).alias("width"),
    )
    large: dict[int, list[Cut]] = defaultdict(list)
    smaller: set[int] = set()
    for row in found.collect():
        if row["rows"] <= small:
            smaller.add(row["p"])
            continue
        own = large[row["p"]]
        if row["cut"] is not None:
            below = row["cut"]["below"]
            smaller_side = min(below, row["total"] - below)
            own.append(
                Cut(at=row["a"], after=row["cut"]["c"], width=row["width"], smaller=smaller_side)
            )
    for own in large.values():
        own.sort(key=lambda cut: (-cut.width, cut.at))
    return large, smaller


def _refused(
    data: Data, tree: Tree, tried: Mapping[int, list[Cut]], rules: Rules, column: int
) -> set[tuple[int, int]]:
    """The cuts (partition and column) of which a side is not diverse or close enough."""
    asking = {p: found for p, found in tried.items() if found}
    if not asking:
        return set()
    sides = "p long, a int, low boolean, r long, n long"
    seen = data.routed(tree, asking).mapInArrow(_sides(asking, data.columns, f"r{column}"), sides)
    counted = seen.groupBy("p", "a", "low", "r").agg(F.sum("n").alias("n"))
    judged = counted.groupBy("p", "a", "low").applyInArrow(
        _judge(rules, column), "p long, a int, holds boolean"
    )
    bad = judged.where(~F.col("holds")).select("p", "a").distinct().collect()
    return {(row["p"], row["a"]) for row in bad}


def _sides(tried: Mapping[int, list[Cut]], columns: int, sensitive: str) -> Any:
    """What runs on an executor: a row for each cut that is tried, with the side it would be on."""
    size = max(tried) + 1
    after = np.full((columns, size), -1, np.int64)
    for p, found in tried.items():
        for cut in found:
            after[cut.at, p] = cut.after

    def side(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            with sealed_lips("of ranks"):
                p = batch.column("p").to_numpy()
                for at in range(columns):
                    ends = after[at, p]
                    asked = pa.array(ends >= 0)
                    low = batch.column(f"c{at}").to_numpy() <= ends
                    yield pa.RecordBatch.from_arrays(
                        [
                            batch.column("p"),
                            pa.array(np.full(len(p), at, np.int32)),
                            pa.array(low),
                            batch.column(sensitive),
                            batch.column("n"),
                        ],
                        ["p", "a", "low", "r", "n"],
                    ).filter(asked)

    return side


def _judge(rules: Rules, column: int) -> Any:
    """What runs on an executor: whether one side of one cut may be a class."""
    spread = rules.spreads[column]

    def judge(table: pa.Table) -> pa.Table:
        with sealed_lips("of ranks"):
            holds = rules.hold(spread, table["r"].to_numpy(), table["n"].to_numpy())
            first = table.slice(0, 1)
            return pa.table({"p": first["p"], "a": first["a"], "holds": pa.array([holds])})

    return judge
