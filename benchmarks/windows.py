"""Features of entities over windows, beside plain Spark's range windows and a self-join.

    python benchmarks/windows.py [--rows 5000000] [--entities 100000] [--rounds 3]

One process, `local[2]`. Events of a year; a row of features for each entity and day that has any:
count and sum over 7 and 30 days before. All three give the same figures, which is looked at first.
`windows` is the pass of `home.features`, its one shuffle and its kernel; `range windows` are those
of Spark's SQL over sums by day; `self-join` joins the days with the events before them, as is often
written by hand. Each case runs in turn with the others and its best time counts: the machine may be
shared, so ratios are what to read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from _jobs import project, race_calls, sink
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from privpipe.features import EntitySpec, parse_features
from privpipe.spark import Home, open_home
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._entity_rows import entity_rows
from privpipe.spark.features._entity_source import find_entities

DAYS = (7, 30)
SPEC = """
version: 1
features: bench.windows
source: {source}
entity: patient
event_time: visited
windows: [7d, 30d]
grain: day
aggregates: {{{aggregates}}}
privacy: none
"""
TWO = "n: count, s: {sum: cost}"
MANY = TWO + ", m: {mean: dose}, t: {sum: dose}, top: {max: cost}, d: {distinct: doctor}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_home(project(Path(folder))) as home:
        bench(home, Path(folder), options.rows, options.entities, options.rounds)


def bench(home: Home, folder: Path, rows: int, entities: int, rounds: int) -> None:
    source = table(home.spark, folder / "events", rows, entities)
    ours, theirs = windows(home, source, TWO), range_windows(home.spark, source)
    if digest(ours) != digest(theirs) or digest(theirs) != digest(self_join(home.spark, source)):
        raise SystemExit("the figures differ")
    jobs = {
        "range windows, 2 figures": lambda: sink(range_windows(home.spark, source)),
        "self-join, 2 figures": lambda: sink(self_join(home.spark, source)),
        "windows, 2 figures": lambda: sink(windows(home, source, TWO)),
        "windows, 6 figures": lambda: sink(windows(home, source, MANY)),
    }
    best = race_calls(jobs, rounds)
    base = best["range windows, 2 figures"]
    print(f"rows: {rows:,}, entities: {entities:,}\n\n| case | seconds | to range windows |")
    print("|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.2f} | {seconds / base:.2f} |")


def table(spark: SparkSession, place: Path, rows: int, entities: int) -> str:
    df = spark.range(rows).selectExpr(
        f"pmod(xxhash64(id), {entities}) as patient",
        "timestamp'2024-01-01' + make_dt_interval(pmod(hash(id), 365), pmod(hash(id, 1), 24)) "
        "as visited",
        "pmod(hash(id, 2), 100000) as cost",
        "pmod(hash(id, 3), 100000) / 7.0d as dose",
        "pmod(hash(id, 4), 50) as doctor",
    )
    df.write.format("delta").save(str(place))
    return str(place)


def windows(home: Home, source: str, aggregates: str) -> DataFrame:
    spec = parse_features(SPEC.format(source=source, aggregates=aggregates))
    assert isinstance(spec, EntitySpec)
    base = home.project.path.parent
    work = Workspace(spark=home.spark, catalog=home.catalog, keys=home.keys, base=base)
    return entity_rows(find_entities(work, spec, source))


def by_day(spark: SparkSession, source: str) -> DataFrame:
    day = F.datediff(F.col("visited").cast("date"), F.lit("2024-01-01").cast("date"))
    df = spark.read.format("delta").load(source)
    return df.groupBy("patient", day.alias("day")).agg(
        F.count("*").alias("n"), F.sum("cost").alias("s")
    )


def range_windows(spark: SparkSession, source: str) -> DataFrame:
    by = Window.partitionBy("patient").orderBy("day")
    return by_day(spark, source).select(
        "patient",
        "day",
        *(F.coalesce(F.sum("n").over(by.rangeBetween(-d, -1)), F.lit(0)).alias(f"n_{d}d")
          for d in DAYS),
        *(F.sum("s").over(by.rangeBetween(-d, -1)).alias(f"s_{d}d") for d in DAYS),
    )  # fmt: skip


def self_join(spark: SparkSession, source: str) -> DataFrame:
    days = by_day(spark, source).select("patient", "day")
    day = F.datediff(F.col("visited").cast("date"), F.lit("2024-01-01").cast("date"))
    events = spark.read.format("delta").load(source)
    events = events.select("patient", day.alias("at"), "cost")
    gap = F.col("day") - F.col("at")
    joined = days.join(events, "patient").withColumn("gap", gap).where("gap >= 0 and gap <= 30")
    return joined.groupBy("patient", "day").agg(
        *(F.count_if(F.col("gap").between(1, d)).alias(f"n_{d}d") for d in DAYS),
        *(F.sum(F.when(F.col("gap").between(1, d), F.col("cost"))).alias(f"s_{d}d")
          for d in DAYS),
    )  # fmt: skip


def digest(df: DataFrame) -> tuple[object, ...]:
    """What does not depend on the order of rows."""
    names = [f"{name}_{d}d" for name in ("n", "s") for d in DAYS]
    hashed = F.sum(F.pmod(F.xxhash64("patient", *names), F.lit(1 << 30)))
    row = df.agg(F.count("*"), hashed).first()
    return () if row is None else tuple(row)


if __name__ == "__main__":
    main()
