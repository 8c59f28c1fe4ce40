"""Mondrian on Spark: all partitions are cut at once, and a worker finishes the small ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from privpipe.errors import AnonymityError
from privpipe.spark._leaves import apart, quoted
from privpipe.spark._lips import sealed_lips
from privpipe.spark._stop import stop
from privpipe.spark.risk._anonymized import Anonymized, Goal
from privpipe.spark.risk._closeness import Distribution
from privpipe.spark.risk._columns import Asked
from privpipe.spark.risk._cuts import Block, Rules, classes
from privpipe.spark.risk._measure import held
from privpipe.spark.risk._ranges import labelled
from privpipe.spark.risk._ranks import Taxonomy, joined, placed, same
from privpipe.spark.risk._sensitive import ranked, spread_of
from privpipe.spark.risk._split import Data, cuts
from privpipe.spark.risk._tree import Tree

__all__ = ["by_mondrian"]

SMALL = 50_000
"""Distinct rows that one worker cuts by itself"""


def by_mondrian(
    df: DataFrame,
    known: Sequence[Asked],
    hidden: Sequence[Asked],
    goal: Goal,
    taxonomies: Sequence[Taxonomy | None],
) -> Anonymized:
    """`df` with its quasi columns as text that all rows of a class share; no row is lost.

    The number of jobs grows with the depth of the cuts, not with how many partitions there are:
    about the logarithm of how often `SMALL` goes into the distinct rows. The same rows give the
    same classes, however they are partitioned and whatever `SMALL` is.

    Source: LeFevre, DeWitt and Ramakrishnan, ICDE 2006: strict partitioning, cuts at the median of
    the column that is widest beside its whole range, else of the next one.
    """
    quasi = [one.name for one in known]
    with held(_cells(df, known, hidden)) as cells:
        ranks, spreads = _ranked(cells, known, hidden, taxonomies)
        with held(ranks) as rows:
            rules = Rules(
                k=goal.k, diversity=goal.diversity, closeness=goal.closeness, spreads=spreads
            )
            _refuse_hopeless(rows, rules)
            data = Data(rows=_bare(rows), columns=len(known), sensitive=len(hidden))
            with held(_named(rows, _classes(data, rules), len(known))) as named:
                loss = _loss(named, len(known))
                made = _replaced(df, known, labelled(named, known, taxonomies))
                report = goal.proven(made, quasi)
    return Anonymized(df=made, report=report, loss=loss)


def _cells(df: DataFrame, known: Sequence[Asked], hidden: Sequence[Asked]) -> DataFrame:
    """How many rows, `n`, have each combination of values."""
    names = [one.value.alias(f"v{at}") for at, one in enumerate(known)]
    names += [one.value.alias(f"s{at}") for at, one in enumerate(hidden)]
    return df.groupBy(*names).agg(F.count(F.lit(1)).alias("n"))


def _ranked(
    cells: DataFrame,
    known: Sequence[Asked],
    hidden: Sequence[Asked],
    taxonomies: Sequence[Taxonomy | None],
) -> tuple[DataFrame, tuple[Distribution, ...]]:
    """The combinations with their ranks, places and branches; and how often each rank of the
    sensitive columns occurs."""
    rows, spreads = cells, []
    for at, (one, taxonomy) in enumerate(zip(known, taxonomies, strict=True)):
        levels = range(1, 1 + (taxonomy.levels if taxonomy is not None else 0))
        names = {
            "c": f"c{at}",
            "x": f"x{at}",
            **{f"t{level}": f"t{at}_{level}" for level in levels},
        }
        rows = joined(rows, f"v{at}", placed(cells, f"v{at}", one, taxonomy), names)
    for at, one in enumerate(hidden):
        values = ranked(cells, f"s{at}", "n")
        spreads.append(spread_of(values, one))
        rows = joined(rows, f"s{at}", values, {"r": f"r{at}"}).drop(f"s{at}")
    return rows, tuple(spreads)


def _bare(rows: DataFrame) -> DataFrame:
    """Without a value: ranks, places and counts alone go to workers."""
    return rows.select(*(name for name in rows.columns if name[0] in "cxrn"))


def _refuse_hopeless(ranks: DataFrame, rules: Rules) -> None:
    rows = ranks.agg(F.sum("n")).collect()[0][0] or 0
    if rows < rules.k:
        raise AnonymityError(
            f"{rows} row(s) make no class of {rules.k}", hint="ask for a smaller k"
        )
    poorest = min((len(spread.counts) for spread in rules.spreads), default=rules.diversity)
    if poorest < rules.diversity:
        raise AnonymityError(
            f"a sensitive column has {poorest} value(s) in all, and {rules.diversity} are asked of "
            "every class",
            hint="ask for a smaller l",
        )


def _classes(data: Data, rules: Rules) -> DataFrame:
    """The class of each combination of ranks, as `p` and `b`."""
    tree, active = Tree(), {0}
    whole: set[int] = set()
    finished: set[int] = set()
    while active:
        found, little = cuts(data, tree, active, rules, SMALL)
        finished |= little
        active = set()
        for p in sorted(found):
            cut = found[p]
            if cut is None:
                whole.add(p)
            else:
                active |= set(tree.cut(p, cut.at, cut.after))
    return _of_partitions(data, tree, rules, whole, finished)


def _of_partitions(
    data: Data, tree: Tree, rules: Rules, whole: Collection[int], rest: Collection[int]
) -> DataFrame:
    """Partitions that are classes as they are, and those that are cut on by a worker."""
    columns = [*data.ranks, "p", "b"]
    parts = []
    if whole:  # of any size, so in no worker's memory
        found = data.routed(tree, whole).withColumn("b", F.lit(0).cast("long"))
        parts.append(found.select(*columns))
    if rest:
        schema = ", ".join(f"{name} long" for name in columns)
        small = data.routed(tree, rest).groupBy("p")
        parts.append(small.applyInArrow(_finish(rules, data.columns, data.sensitive), schema))
    return reduce(DataFrame.unionByName, parts).distinct()


def _finish(rules: Rules, columns: int, sensitive: int) -> Any:
    """What runs on an executor: the classes of one partition."""

    def finish(table: pa.Table) -> pa.Table:
        with sealed_lips("of ranks"):
            ranks = tuple(table[f"c{at}"].to_numpy() for at in range(columns))
            block = Block(
                ranks=ranks,
                places=tuple(table[f"x{at}"].to_numpy() for at in range(columns)),
                sensitive=tuple(table[f"r{at}"].to_numpy() for at in range(sensitive)),
                counts=table["n"].to_numpy(),
            )
            found = {f"c{at}": each for at, each in enumerate(ranks)}
            return pa.table({**found, "p": table["p"], "b": classes(block, rules)})

    return finish


def _named(rows: DataFrame, classed: DataFrame, columns: int) -> DataFrame:
    """The distinct values with ranks, places, branches, class, and how many rows have them."""
    names = [name for name in rows.columns if name[0] in "vcxt"]
    values = rows.groupBy(*names).agg(F.sum("n").alias("n"))
    return values.join(classed, [f"c{at}" for at in range(columns)])


def _loss(named: DataFrame, columns: int) -> float:
    """The mean, over rows and columns, of how wide the class is there (Xu and others, KDD 2006:
    normalized certainty penalty)."""
    widths = [F.max(f"x{at}") - F.min(f"x{at}") for at in range(columns)]
    wide = sum(widths[1:], widths[0])
    sized = named.groupBy("p", "b").agg(F.sum("n").alias("n"), wide.alias("wide"))
    row = sized.agg((F.sum(F.col("n") * F.col("wide")) / F.sum("n")).alias("loss")).collect()[0]
    return float(row["loss"]) / columns


def _replaced(df: DataFrame, known: Sequence[Asked], labels: DataFrame) -> DataFrame:
    """`df` with each quasi column as its class's label."""
    own = apart(df.columns, "privpipe_")
    mine = [f"{own}mine_{at}" for at in range(len(known))]
    theirs = [f"{own}v{at}" for at in range(len(known))]
    told = labels.toDF(*(own + name for name in labels.columns)).withColumn(own, F.lit(True))
    marked = df.withColumns({name: one.value for name, one in zip(mine, known, strict=True)})
    both = marked.join(told, same(mine, theirs), "left")
    lost = stop(
        AnonymityError(
            "a row has values that were not there when the classes were made",
            hint="give a DataFrame that is the same each time it is read",
        ),
        StringType(),
    )
    labels_of = {
        one.path[0]: F.when(F.col(own), F.col(f"{own}g{at}")).otherwise(lost)
        for at, one in enumerate(known)
    }
    return both.select(
        *(labels_of.get(name, F.col(quoted(name))).alias(name) for name in df.columns)
    )
