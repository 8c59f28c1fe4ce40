"""Private count and sum beside plain Spark, and beside the same bounds in Spark's own operators.

    python benchmarks/features.py [--rows 5000000] [--rounds 3] [--pairs 7]

One process, `local[2]`. A table of 1,000 groups and ten rows a unit, of which at most 10 groups and
10 rows in each count; units are UUIDs. `bounded` is the pass of a release, to the exact sums in the
driver; `written` puts those sums into a Delta table too, with no noise and no record; `release` is
all of a release: its charge in the ledger, the run's records, the draw, the Delta table.
Each case runs in turn with the others and its best time counts: the machine may be shared, so
ratios are what to read. At the end a release and the pass alone run in turn, pair by pair.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path
from statistics import median

import pyarrow as pa
from _jobs import project, race_calls, seconds, sink
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.features import GroupSums, Spec, measures_of, parse_features
from privpipe.spark import Home, open_home
from privpipe.spark.features import group_sums
from privpipe.spark.features._groups import find_groups

GROUPS, PER_UNIT, COLUMNS = 1000, 10, 10
SPEC = """
version: 1
features: bench.sums
source: {source}
unit: person
groups: {{g: [{groups}]}}
bounds: {{groups: 10, rows: 10}}
privacy: {{budget: bench, epsilon: 1, delta: 1e-9}}
aggregates:
{aggregates}
"""
TWO = "  n: count\n  s: {sum: v0, low: 0, high: 1000, step: 0.1}\n"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_home(project(Path(folder))) as home:
        ledger.open_budget(home.catalog, "bench", Budget.of_epsilon(1000, delta="1e-6"))
        bench(home, Path(folder), options.rows, options.rounds, options.pairs)


def bench(home: Home, folder: Path, rows: int, rounds: int, pairs: int) -> None:
    source = table(home, folder / "rows", rows)
    small = table(home, folder / "fewer", rows // 4)
    runs = count()
    two = spec(source, TWO)
    jobs = {
        "plain": lambda: plain(home.spark, source),
        "bounds by Spark's operators": lambda: by_operators(home.spark, source),
        "bounded": lambda: bounded(home.spark, source, two, rows),
        "bounded, a quarter of the rows": lambda: bounded(home.spark, small, two, rows // 4),
        "bounded, 5 features": lambda: bounded(home.spark, source, many(source, 5), rows),
        "bounded, 100 features": lambda: bounded(home.spark, source, many(source, 100), rows),
        "bounded, written": lambda: written(
            home.spark, source, two, rows, str(folder / f"exact{next(runs)}")
        ),
        "release": lambda: home.features(two, str(folder / f"out{next(runs)}")),
    }
    best = race_calls(jobs, rounds)
    print(f"rows: {rows:,}\n\n| case | seconds | to plain |\n|---|---|---|")
    for name, took in best.items():
        print(f"| {name} | {took:.2f} | {took / best['plain']:.1f} |")
    told = {
        "release to bounded": best["release"] / best["bounded"],
        "release to bounded, written": best["release"] / best["bounded, written"],
        "release to bounds by Spark's operators": best["release"]
        / best["bounds by Spark's operators"],
        "4 times the rows": best["bounded"] / best["bounded, a quarter of the rows"],
        "100 features to 5": best["bounded, 100 features"] / best["bounded, 5 features"],
    }
    print("\n| ratio | |\n|---|---|")
    for name, ratio in told.items():
        print(f"| {name} | {ratio:.2f} |")
    for other in ("bounded", "bounded, written"):
        ratios = [seconds(jobs["release"]) / seconds(jobs[other]) for _ in range(pairs)]
        low, middle, high = min(ratios), median(ratios), max(ratios)
        print(f"| release to {other}, {pairs} pairs | {middle:.2f} ({low:.2f} to {high:.2f}) |")


def table(home: Home, place: Path, rows: int) -> str:
    """A protected table, its units pseudonyms."""
    units = rows // PER_UNIT
    values = [f"cast(pmod(hash(id, {at}), 10000) as double) / 10 as v{at}" for at in range(COLUMNS)]
    df = home.spark.range(rows).selectExpr(
        f"pmod(xxhash64(id), {units}) as person", f"cast(pmod(hash(id), {GROUPS}) as int) as g",
        *values,
    )  # fmt: skip
    text = (
        f"version: 1\ntable: bench.{place.name}\nunlisted: keep\n"
        "columns: {person: {protect: pseudonymize, output: uuid}}\n"
    )
    home.protect(parse_policy(text), df, str(place))
    return str(place)


def spec(source: str, aggregates: str) -> Spec:
    groups = ", ".join(map(str, range(GROUPS)))
    made = parse_features(SPEC.format(source=source, groups=groups, aggregates=aggregates))
    assert isinstance(made, Spec)
    return made


def many(source: str, figures: int) -> Spec:
    """Sums of ten columns, under clamps of their own."""
    lines = [
        f"  s{at}: {{sum: v{at % COLUMNS}, low: 0, high: {1000 - at // COLUMNS}, step: 0.1}}\n"
        for at in range(figures)
    ]
    return spec(source, "".join(lines))


def plain(spark: SparkSession, source: str) -> None:
    sink(spark.read.format("delta").load(source).groupBy("g").agg(F.count("*"), F.sum("v0")))


def by_operators(spark: SparkSession, source: str) -> None:
    """As a release bounds: rows of a unit in a group clamped, groups of a unit chosen by hash."""
    unit = F.rint(F.least(F.greatest("v0", F.lit(0.0)), F.lit(1000.0)) * 10).cast("bigint")
    df = spark.read.format("delta").load(source).select("person", "g", unit.alias("s"))
    each = df.groupBy("person", "g").agg(F.count("*").alias("n"), F.sum("s").alias("s"))
    first = F.expr("min_by(struct(g, n, s), xxhash64('salt', person, g), 10)")
    kept = each.groupBy("person").agg(first.alias("kept")).select(F.inline("kept"))
    sink(kept.groupBy("g").agg(F.sum(F.least("n", F.lit(10))), F.sum("s")))


def written(spark: SparkSession, source: str, wanted: Spec, rows: int, place: str) -> None:
    sums = bounded(spark, source, wanted, rows)
    count, total = sums.sums.T
    told = pa.table({"g": sums.groups, "n": count, "s": total})
    spark.createDataFrame(told).write.format("delta").save(place)


def bounded(spark: SparkSession, source: str, wanted: Spec, rows: int) -> GroupSums:
    df = spark.read.format("delta").load(source)
    groups = find_groups(df, wanted)
    measures = dict.fromkeys(m for each in wanted.aggregates for m in measures_of(each))
    return group_sums(
        groups.placed(df.select(*wanted.columns)), list(measures), wanted.bounds, unit="person",
        groups=groups.names, rows=rows, salt="salt",
    )  # fmt: skip


if __name__ == "__main__":
    main()
