"""Aggregates as map, combine and finish beside Spark's own: what exactness in any order costs.

    python benchmarks/mapreduce.py [--rows 5000000] [--groups 1000] [--rounds 3]

One process, `local[2]`, a table of 8 Parquet files, to the `noop` sink. Each case runs once to warm
up; then all run in turn, and the best time of each counts: the machine may be shared, so ratios are
what to read. `transport` hands the columns to Python and gives nothing back: the limit of all that
is not Spark's own. Spark's sums and variances of doubles depend on the order of rows, and its
`percentile` and `count(DISTINCT)` are exact; the peers of a user's own aggregate are a grouped
pandas UDF and an RDD of tuples.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from _jobs import race
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.functions import pandas_udf

from privpipe.aggregates import (
    Aggregate,
    Count,
    Distinct,
    Groups,
    Hll,
    Kll,
    Max,
    Mean,
    Min,
    Quantile,
    Sum,
    Variance,
)
from privpipe.spark._session import build_session
from privpipe.spark.mapreduce import Spec, aggregate, finish, partials

KEY = ["g"]
FOUR = ("c0", "c1", "c2", "c3")
PROMISED = {
    "count and sum of ints": "<= 1.1",
    "100 figures / 5 figures": "<= 4",
}


class ActiveDays:
    """On how many days of a month something happened: a bit a day."""

    def map(self, groups: Groups, days: pa.Array) -> pa.Array:
        """The days of each group."""
        return pa.array(groups.reduce(np.bitwise_or, 1 << days.to_numpy(), 0))

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """The days of all."""
        return pa.array(groups.reduce(np.bitwise_or, partials.to_numpy(), 0))

    def finish(self, partials: pa.Array) -> pa.Array:
        """How many they are."""
        return pa.array(np.bitwise_count(partials.to_numpy()).astype(np.int64))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--groups", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spark = session(Path(folder))
        try:
            df = table(spark, Path(folder) / "table", options.rows, options.groups)
            pairs = cases(df)
            stored = Path(folder) / "partials"
            more = others(spark, df, stored)
            agree(df)
            jobs = {f"{name}: {side}": job for name, both in pairs.items()
                    for side, job in zip(("Spark", "privpipe"), both, strict=True)}  # fmt: skip
            report(pairs, race(jobs | more, options.rounds), options.rows)
        finally:
            spark.stop()


def session(folder: Path) -> SparkSession:
    """Two cores, and all that Spark writes in `folder`."""
    return build_session(
        {
            "spark.master": "local[2]",
            "spark.driver.memory": "4g",
            "spark.local.dir": str(folder / "local"),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
    )


def table(spark: SparkSession, path: Path, rows: int, groups: int) -> DataFrame:
    """Ints, bigints, decimals, doubles and short strings."""
    wide = F.xxhash64("id")
    spark.range(0, rows, 1, 8).select(
        F.pmod(wide, F.lit(groups)).alias("g"),
        F.pmod(wide, F.lit(10_007)).cast("int").alias("i"),
        F.shiftright(wide, 20).alias("l"),
        (F.pmod(wide, F.lit(1_000_000)) / 100).cast("decimal(12,2)").alias("d"),
        (F.rand(7) * 1000).alias("x"),
        F.concat(F.lit("u"), F.pmod(F.shiftright(wide, 9), F.lit(5000))).alias("s"),
        F.pmod(F.shiftright(wide, 5), F.lit(31)).alias("day"),
        *(F.pmod(F.shiftright(wide, 3 + at), F.lit(1000 + at)).cast("int").alias(name)
          for at, name in enumerate(FOUR)),
    ).write.parquet(str(path))  # fmt: skip
    return spark.read.parquet(str(path))


def cases(df: DataFrame) -> dict[str, tuple[DataFrame, DataFrame]]:
    """By what is asked for: Spark's own way, and ours."""
    by = df.groupBy(*KEY)
    ints: Spec = {"n": (Count(), ()), "i": (Sum(), "i")}
    count, sum_i = F.count("*"), F.sum("i")
    active = F.expr("cast(bit_count(bit_or(shiftleft(1, cast(day AS int)))) AS bigint)")
    return {
        "count and sum of ints": (by.agg(count, sum_i), aggregate(df, KEY, ints)),
        "the same through Arrow": (by.agg(count, sum_i), aggregate(df, KEY, ints, native=False)),
        "sum and mean of bigints": (
            by.agg(F.sum("l"), F.avg("l")),
            aggregate(df, KEY, {"s": (Sum(), "l"), "m": (Mean(), "l")}),
        ),
        "sum and mean of doubles": (
            by.agg(F.sum("x"), F.avg("x")),
            aggregate(df, KEY, {"s": (Sum(), "x"), "m": (Mean(), "x")}),
        ),
        "variance of doubles": (
            by.agg(F.var_samp("x")),
            aggregate(df, KEY, {"v": (Variance(), "x")}),
        ),
        "decimals through Arrow": (
            by.agg(F.sum("d"), F.avg("d"), F.max("d")),
            aggregate(
                df,
                KEY,
                {"s": (Sum(), "d"), "m": (Mean(), "d"), "x": (Max(), "d")},
                native=False,
            ),
        ),
        "exact median": (
            by.agg(F.percentile("x", 0.5)),
            aggregate(df, KEY, {"q": (Quantile(0.5), "x")}),
        ),
        "median by sketch": (
            by.agg(F.percentile_approx("x", 0.5)),
            aggregate(df, KEY, {"q": (Kll(0.5), "x")}),
        ),
        "distinct strings through Arrow": (
            by.agg(F.count_distinct("s")),
            aggregate(df, KEY, {"n": (Distinct(), "s")}, native=False),
        ),
        "distinct by sketch": (
            by.agg(F.hll_sketch_estimate(F.hll_sketch_agg("s"))),
            aggregate(df, KEY, {"n": (Hll(), "s")}),
        ),
        "a user's own, beside an expression": (
            by.agg(active),
            aggregate(df, KEY, {"a": (ActiveDays(), "day")}),
        ),
        "a user's own, beside a pandas UDF": (
            by.agg(active_days_udf()("day")),
            aggregate(df, KEY, {"a": (ActiveDays(), "day")}),
        ),
        "5 figures": (spark_figures(df, 1), aggregate(df, KEY, figures(1), native=False)),
        "100 figures": (spark_figures(df, 20), aggregate(df, KEY, figures(20), native=False)),
    }


def figures(times: int) -> Spec:
    """Five figures of four columns, so many times: as different features are of few columns."""
    kinds: list[tuple[str, Aggregate]] = [
        ("sum", Sum()), ("mean", Mean()), ("max", Max()), ("min", Min()), ("var", Variance()),
    ]  # fmt: skip
    return {
        f"{name}{turn}": (kind, FOUR[turn % len(FOUR)])
        for turn in range(times)
        for name, kind in kinds
    }


def spark_figures(df: DataFrame, times: int) -> DataFrame:
    """The same by Spark."""
    kinds = {"sum": F.sum, "mean": F.avg, "max": F.max, "min": F.min, "var": F.var_samp}
    return df.groupBy(*KEY).agg(
        *(
            kind(FOUR[turn % len(FOUR)]).alias(f"{name}{turn}")
            for turn in range(times)
            for name, kind in kinds.items()
        )
    )


def others(spark: SparkSession, df: DataFrame, path: Path) -> dict[str, DataFrame]:
    """The limit, and stored partials."""
    partials(df, KEY, figures(1)).write.parquet(str(path))
    stored = spark.read.parquet(str(path))

    def swallow(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.slice(0, 1)

    two = df.select("g", "i")
    return {
        "transport of two columns": two.mapInArrow(swallow, two.schema),
        "figures of stored partials": finish(stored, KEY, figures(1)),
    }


def active_days_udf() -> object:
    """The usual way by hand: a call a group, with all its rows."""

    def active(days: pd.Series) -> int:
        return days.nunique()

    active.__annotations__ = {"days": pd.Series, "return": int}
    return pandas_udf(active, "bigint")


def agree(df: DataFrame) -> None:
    """The rivals give the same figures, before they are timed."""
    for name in ("count and sum of ints", "the same through Arrow", "exact median",
                 "decimals through Arrow", "distinct strings through Arrow",
                 "a user's own, beside an expression"):  # fmt: skip
        theirs, ours = cases(df.where("g < 20"))[name]
        assert sorted(map(repr, map(tuple, theirs.collect()))) == sorted(
            map(repr, map(tuple, ours.collect()))
        ), name


def report(pairs: dict[str, object], times: dict[str, float], rows: int) -> None:
    """The table, and the ratios that are promised."""
    print(f"| figures over {rows:,} rows | Spark, s | privpipe, s | ratio |\n|---|---:|---:|---:|")
    ratios = {}
    for name in pairs:
        theirs, ours = times[f"{name}: Spark"], times[f"{name}: privpipe"]
        ratios[name] = ours / theirs
        print(f"| {name} | {theirs:.2f} | {ours:.2f} | {ratios[name]:.2f} |")
    for name in ("transport of two columns", "figures of stored partials"):
        print(f"| {name} | | {times[name]:.2f} | |")
    ours = {name: times[f"{name} figures: privpipe"] for name in ("100", "5")}
    theirs = {name: times[f"{name} figures: Spark"] for name in ("100", "5")}
    ratios["100 figures / 5 figures"] = ours["100"] / ours["5"]
    ratios["100 figures / 5 figures, Spark"] = theirs["100"] / theirs["5"]
    print("\n| ratio | measured | promised |\n|---|---:|---:|")
    for name in (*PROMISED, "100 figures / 5 figures, Spark"):
        print(f"| {name} | {ratios[name]:.2f} | {PROMISED.get(name, '')} |")


if __name__ == "__main__":
    main()
