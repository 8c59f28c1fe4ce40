"""Aggregates on Spark: the figures of Spark SQL to the last bit, however the rows are divided."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.aggregates import (
    Aggregate,
    Count,
    Deviation,
    Distinct,
    Groups,
    Histogram,
    Hll,
    Kll,
    Max,
    Mean,
    Min,
    Quantile,
    Sum,
    TopK,
    Variance,
)
from privpipe.errors import (
    AggregateError,
    EncodingError,
    PrivpipeError,
    SchemaError,
    UsageError,
    from_text,
)
from privpipe.spark.mapreduce import Spec, _worker, aggregate, finish, merge, partials
from privpipe.spark.mapreduce._plan import Plan, inputs, planned

ROWS = 3000
SECRET = "Zyxwvutsky-41"

# What Spark SQL has too, and how it says it.
SQL: dict[str, tuple[Spec, str]] = {
    "rows": ({"f": (Count(), ())}, "count(1)"),
    "there": ({"f": (Count(), ("i", "x"))}, "count(i, x)"),
    "bytes": ({"f": (Sum(), "b")}, "sum(b)"),
    "ints": ({"f": (Sum(), "i")}, "sum(i)"),
    "longs": ({"f": (Sum(), "l")}, "sum(l)"),
    "decimals": ({"f": (Sum(), "d")}, "sum(d)"),
    "wide": ({"f": (Sum(), "w")}, "sum(w)"),
    "mean_ints": ({"f": (Mean(), "i")}, "avg(i)"),
    "mean_longs": ({"f": (Mean(), "l")}, "avg(l)"),
    "mean_decimals": ({"f": (Mean(), "d")}, "avg(d)"),
    "mean_wide": ({"f": (Mean(), "w")}, "avg(w)"),
    "different": ({"f": (Distinct(), "s")}, "count(DISTINCT s)"),
    "different_x": ({"f": (Distinct(), "x")}, "count(DISTINCT x)"),
    "least": ({"f": (Min(), "d")}, "min(d)"),
    "least_x": ({"f": (Min(), "x")}, "min(x + 0D)"),
    "greatest_x": ({"f": (Max(), "x")}, "max(x + 0D)"),
    "last": ({"f": (Max(), "t")}, "max(t)"),
    "first": ({"f": (Min(), "n")}, "min(n)"),
    "word": ({"f": (Max(), "s")}, "max(s)"),
    "flagged": ({"f": (Max(), "flag")}, "max(flag)"),
    "bytes_max": ({"f": (Max(), "raw")}, "max(raw)"),
    "median": ({"f": (Quantile(0.5), "i")}, "percentile(i, 0.5)"),
    "quantiles": ({"f": (Quantile((0.1, 0.9)), "d")}, "percentile(d, array(0.1, 0.9))"),
    "bins": (
        {"f": (Histogram((0, 10.5)), "i")},
        "array(count_if(i < 0), count_if(i >= 0 and i < 10.5), count_if(i >= 10.5))",
    ),
    "sketch": ({"f": (Hll(), "i")}, "hll_sketch_estimate(hll_sketch_agg(i))"),
}
KEYS: list[list[str]] = [[], ["s"], ["st"], ["d", "day"], ["flag", "g", "arr"], ["x"], ["t", "raw"]]


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> Iterator[DataFrame]:
    """Rows of all types with nulls, one group of which has nine rows in ten."""
    random = np.random.default_rng(20)

    def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        drawn = [values[at] for at in random.integers(0, len(values), ROWS)]
        holes = random.random(ROWS) < 0.15
        pairs = zip(drawn, holes, strict=True)
        return pa.array([None if hole else v for v, hole in pairs], kind, from_pandas=False)

    cents = [Decimal(int(each)) / 100 for each in random.integers(-(10**9), 10**9, 40)]
    wide = [Decimal(int(each)) * 10**9 / 10**4 for each in random.integers(-(10**18), 10**18, 40)]
    days = [int(each) for each in random.integers(-30_000, 30_000, 5)]
    moments = [int(each) for each in random.integers(-(10**15), 10**15, 5)]
    structs = [{"a": a, "z": z} for a in (1, None) for z in (0.0, -0.0, math.nan)]
    longs = [int(each) for each in random.integers(-(2**40), 2**40, 50)]
    table = pa.table(
        {
            "g": pa.array(np.where(random.random(ROWS) < 0.9, 7, random.integers(0, 50, ROWS))),
            "b": column([-128, 127, 5], pa.int8()),
            "i": column([*range(-20, 20), 2**31 - 1, -(2**31)], pa.int32()),
            "l": column(longs, pa.int64()),
            "d": column(cents, pa.decimal128(12, 2)),
            "w": column(wide, pa.decimal128(30, 4)),
            "x": column([1.5, -1e300, 1e-300, math.nan, -0.0, 0.0, math.inf], pa.float64()),
            "y": pa.array(random.normal(size=ROWS) * 10.0 ** random.integers(-9, 9, ROWS)),
            "s": column(["", "a", "ä", "😀", "zz"], pa.string()),
            "raw": column([b"", b"\x00", b"\xff\x01"], pa.binary()),
            "flag": column([True, False], pa.bool_()),
            "day": column(days, pa.int32()).cast(pa.date32()),
            "t": column(moments, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            "n": column(moments, pa.int64()).cast(pa.timestamp("us")),
            "st": column(structs, pa.struct([("a", pa.int32()), ("z", pa.float64())])),
            "arr": column([[1], [], [None, 2]], pa.list_(pa.int32())),
        }
    )
    day = F.expr("day(day)").alias("dom")
    made = spark.createDataFrame(table).select("*", day).repartition(4).cache()
    assert made.count() == ROWS
    yield made
    made.unpersist()


def divided(df: DataFrame) -> dict[str, DataFrame]:
    """The same rows in partitions of all kinds."""
    return {
        "as they are": df,
        "one": df.coalesce(1),
        "by group": df.repartition(5, "g"),
        "most of them empty": df.repartition(9, F.col("g") == 7),
    }


def told(df: DataFrame) -> list[str]:
    """The rows as text, since NaN is no NaN's equal, and -0.0 is not 0.0."""
    return sorted(repr(tuple(row)) for row in df.collect())


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: "-".join(keys) or "none")
def test_the_figures_are_spark_sqls(rows: DataFrame, keys: list[str]) -> None:
    spec: dict[str, Any] = {name: made["f"] for name, (made, _) in SQL.items()}
    texts = [F.expr(text).alias(name) for name, (_, text) in SQL.items()]
    if keys == ["st"]:
        # Spark's own grouping leaves the sign of a zero in a struct as it comes upon it.
        zero = F.struct("st.a", (F.col("st.z") + 0.0).alias("z"))
        rows = rows.withColumn("st", F.when(F.col("st").isNotNull(), zero))
    expected = rows.groupBy(*keys).agg(*texts)
    whole = told(expected)
    for name, df in divided(rows).items() if keys in ([], KEYS[4]) else [("as they are", rows)]:
        found = aggregate(df, keys, spec, native=False)
        assert told(found) == whole, name
    kinds = [(f.name, f.dataType.simpleString()) for f in expected.schema]
    assert [(f.name, f.dataType.simpleString()) for f in found.schema] == kinds
    nothing = rows.limit(0).repartition(3)
    assert told(aggregate(nothing, keys, spec)) == told(nothing.groupBy(*keys).agg(*texts))


def test_doubles_do_not_depend_on_the_order(rows: DataFrame) -> None:
    spec: Spec = {
        "sum": (Sum(), "y"),
        "mean": (Mean(), F.col("y") * 2),
        "variance": (Variance(), "y"),
        "deviation": (Deviation(population=True), "y"),
    }
    found = {tuple(told(aggregate(df, ["s"], spec))) for df in divided(rows).values()}
    assert len(found) == 1
    exact: dict[Any, list[float]] = {}
    for s, y in rows.select("s", "y").collect():
        exact.setdefault(s, []).append(y)
    sums = {row.s: row["sum"] for row in aggregate(rows, ["s"], spec).collect()}
    assert sums == {s: math.fsum(ys) for s, ys in exact.items()}
    near = rows.groupBy("s").agg(F.var_samp("y"), F.stddev_pop("y")).collect()
    ours = {row.s: row for row in aggregate(rows, ["s"], spec).collect()}
    for s, variance, deviation in near:
        assert ours[s].variance == pytest.approx(variance, rel=1e-9)
        assert ours[s].deviation == pytest.approx(deviation, rel=1e-9)


def test_what_spark_has_it_runs_itself(rows: DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal to the way through Arrow, also where a key is called as an input column would be."""
    spec: dict[str, Any] = {
        name: SQL[name][0]["f"]
        for name in ("rows", "there", "bytes", "ints", "decimals", "mean_ints", "mean_decimals",
                     "least", "last", "word")
    }  # fmt: skip
    named = rows.withColumnRenamed("g", "c0").withColumnRenamed("s", "a `b`.c")
    spec["word"] = (Max(), "a `b`.c")
    own = aggregate(named, ["c0", "a `b`.c"], spec)
    assert told(own) == told(aggregate(named, ["c0", "a `b`.c"], spec, native=False))
    assert own.columns == ["c0", "a `b`.c", *spec]
    own.explain()
    assert "MapInArrow" not in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"column f: Spark has no such aggregate"):
        aggregate(rows, [], {"f": (Sum(), "x")}, native=True)
    rows.sparkSession.conf.set("spark.sql.ansi.enabled", "false")
    try:
        with pytest.raises(UsageError, match="wrap around"):
            aggregate(rows, [], {"f": (Sum(), "i")}, native=True)
        aggregate(rows, [], {"f": (Sum(), "i")}).explain()
    finally:
        rows.sparkSession.conf.unset("spark.sql.ansi.enabled")
    assert "MapInArrow" in capsys.readouterr().out


def test_a_hundred_figures_share_one_pass(
    spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds: list[Aggregate] = [
        *(Sum(), Mean(), Variance(), Min(), Max(), Count(), Distinct()),
        *(Quantile(0.1), Quantile(0.9), Histogram((0,))),
    ]
    columns = [f"c{at}" for at in range(10)]
    df = spark.range(1000).select("id", *((F.col("id") % (at + 2)).alias(f"c{at}")
                                          for at in range(10)))  # fmt: skip
    spec: Spec = {
        f"f{i}_{column}": (kind, column) for i, kind in enumerate(kinds) for column in columns
    }
    found = aggregate(df, ["c8"], spec)
    found.explain()
    plan = capsys.readouterr().out
    assert (plan.count("MapInArrow"), plan.count("Exchange"), plan.count("Range")) == (2, 1, 1)
    assert (found.count(), len(found.columns)) == (10, 101)


def active_days() -> Any:
    """An aggregate of a user's own, of a class that no worker can import."""

    class ActiveDays:
        def map(self, groups: Groups, days: pa.Array) -> pa.Array:
            bits = np.left_shift(np.int64(1), days.fill_null(63).to_numpy().astype(np.int64))
            return pa.array(groups.reduce(np.bitwise_or, bits, 0))

        def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
            return pa.array(groups.reduce(np.bitwise_or, partials.to_numpy(), 0))

        def finish(self, partials: pa.Array) -> pa.Array:
            return pa.array(np.bitwise_count(partials.to_numpy() & (2**62 - 1)).astype(np.int64))

    return ActiveDays()


STORED: Spec = {
    "rows": (Count(), ()),
    "sum": (Sum(), "d"),
    "mean": (Mean(), "y"),
    "variance": (Variance(), "l"),
    "distinct": (Distinct(), "s"),
    "top": (TopK(2), "i"),
    "median": (Quantile(0.5), "x"),
    "bins": (Histogram((0, 1)), "x"),
    "last": (Max(), "t"),
    "sketch": (Hll(10), "l"),
    "active": (active_days(), "dom"),
}


def test_stored_days_merge_to_the_whole(rows: DataFrame, tmp_path: Path) -> None:
    spark, keys = rows.sparkSession, ["g", "st"]
    places = [str(tmp_path / name) for name in ("one", "two")]
    first = F.col("l") > 0
    for place, part in zip(places, (rows.where(first), rows.where(~first | first.isNull())),
                           strict=True):  # fmt: skip
        partials(part, keys, STORED).write.format("delta").save(place)
    one, two = (spark.read.format("delta").load(place) for place in places)
    whole = told(aggregate(rows, keys, STORED))
    assert told(finish(one.unionByName(two), keys, STORED)) == whole
    both = merge(two.unionByName(one), keys, STORED)
    assert both.columns == [*keys, *STORED]
    assert told(finish(both, keys, STORED)) == whole
    # Finer groups merge to coarser ones, and a part of the figures may be asked for.
    some = {name: STORED[name] for name in ("sum", "active")}
    assert told(finish(both, [], some)) == told(aggregate(rows, [], STORED).select(*some))
    active = aggregate(rows, ["g"], {"active": STORED["active"]})
    days = rows.groupBy("g").agg(F.expr("count(DISTINCT day(day))").alias("active"))
    assert told(active) == told(days)
    with pytest.raises(SchemaError, match="no such column of partials"):
        finish(one, ["nowhere"], STORED)
    with pytest.raises(AggregateError, match="column sum, Sum: combine failed"):
        finish(one.withColumn("sum", F.lit(1)), keys, STORED)


def test_sketches_are_bounded_and_spark_reads_them(rows: DataFrame) -> None:
    many = rows.sparkSession.range(0, 200_000, 1, 3).select(
        (F.col("id") % 2).alias("g"),
        F.col("id").cast("double").alias("x"),
        F.concat(F.lit("u"), F.col("id")).alias("s"),
        "id",
    )
    spec: Spec = {"h": (Hll(), "s"), "k": (Kll((0.25, 0.5)), "x"), "v": (Variance(), "x")}
    stored = partials(many, ["g"], spec).cache()
    read = stored.select(
        F.hll_sketch_estimate("h").alias("h"),
        F.expr("kll_sketch_get_quantile_double(k, 0.5)").alias("k"),
        F.expr("octet_length(h)").alias("h_bytes"),
        F.expr("octet_length(k)").alias("k_bytes"),
        F.expr("size(v.square_digits)").alias("v_digits"),
    ).collect()  # fmt: skip
    figures = finish(stored, ["g"], spec).collect()
    for row, figure in zip(read, figures, strict=True):
        assert row.h == figure.h
        assert row.k == pytest.approx(figure.k[1], abs=8)
        assert abs(row.h / 100_000 - 1) < 5 * 0.0163
        assert abs(figure.k[0] / 200_000 - 0.25) < 2 * 0.0133
        assert row.h_bytes <= 4136
        assert row.k_bytes <= 6144
        assert row.v_digits <= 4
    stored.unpersist()


def failing(function: str) -> Any:
    """Raises and quotes what it got, in one of its functions, where there is something to quote."""

    def fail(_: object, *arguments: Any) -> pa.Array:
        last = arguments[-1]
        if len(last):
            raise ValueError(f"{SECRET} {last.to_pylist()}")
        return getattr(Count(), function)(*arguments)

    return type("Failing", (Count,), {function: fail, "native": lambda *_: None})()


@pytest.mark.parametrize("function", ["map", "combine", "finish"])
def test_what_a_users_function_raises_is_coded_and_quotes_nothing(
    rows: DataFrame, function: str
) -> None:
    df = rows.withColumn("s", F.lit(SECRET))
    found = aggregate(df, ["g"], {"f": (failing(function), "s")})
    with pytest.raises(PySparkException) as raised:
        found.collect()
    error = from_text(str(raised.value))
    assert type(error) is AggregateError
    assert f"column f, Failing: {function} failed with ValueError" in str(error)
    assert SECRET not in str(raised.value)


def test_a_sum_that_overflows_is_an_error_wherever_its_rows_lie(spark: SparkSession) -> None:
    rows = [(1, 2**63 - 1), (1, 1), (2, 2**63 - 1), (2, 1), (2, -5)]
    df = spark.createDataFrame(rows, "k int, v bigint")
    for parts in (1, 5):
        there = df.where("k = 2").repartition(parts)
        assert told(aggregate(there, ["k"], {"v": (Sum(), "v")})) == [f"(2, {2**63 - 5})"]
        with pytest.raises(PySparkException) as raised:
            aggregate(df.repartition(parts), ["k"], {"v": (Sum(), "v")}).collect()
        assert type(from_text(str(raised.value))) is EncodingError
        assert str(2**63 - 1) not in str(raised.value)


REFUSED: list[tuple[Callable[[DataFrame], object], type[PrivpipeError], str]] = [
    (lambda df: aggregate(df, ["g"], {}), UsageError, "nothing to aggregate"),
    (lambda df: aggregate(df, "g", {"f": (Count(), ())}), UsageError, "a list of names"),
    (lambda df: aggregate(df, ["g"], {"G": (Count(), ())}), UsageError, "of one name"),
    (lambda df: aggregate(df, ["m"], {"f": (Count(), ())}), SchemaError, "no key to group by"),
    (lambda df: aggregate(df, ["c"], {"f": (Count(), ())}), SchemaError, "no key to group by"),
    (lambda df: aggregate(df, ["g"], {"f": (Max(), "c")}), SchemaError, "an order of its own"),
    (lambda df: aggregate(df, ["g"], {"f": (Count(), "ym")}), SchemaError, "no worker takes"),
    (lambda df: aggregate(df, ["g"], {"f": (Sum(), "s")}), SchemaError, "sum takes numbers"),
    (lambda df: aggregate(df, ["g"], {"f": (Sum(), ("i", "l"))}), AggregateError, "TypeError"),
    (lambda df: aggregate(df, ["nowhere"], {"f": (Count(), ())}), PrivpipeError, "PP-"),
]


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED, ids=[each[2] for each in REFUSED])
def test_a_spec_that_will_not_do(
    rows: DataFrame, call: Callable[[DataFrame], object], kind: type[PrivpipeError], text: str
) -> None:
    odd: dict[str, Column] = {
        "m": F.create_map("s", "i"),
        "c": F.expr("s COLLATE UTF8_LCASE"),
        "ym": F.expr("INTERVAL '1' MONTH"),
    }
    with pytest.raises(kind, match=text):
        call(rows.withColumns(odd))


def planted(rows: DataFrame, keys: list[str], spec: Spec) -> tuple[Plan, list[pa.RecordBatch]]:
    """A plan, and the rows as a worker gets them."""
    chosen, places = inputs(rows, keys, spec)
    return planned(chosen, keys, spec, places), chosen.toArrow().to_batches(max_chunksize=97)


@pytest.mark.parametrize("keys", [["g"], ["l"]])
def test_a_worker_holds_no_more_than_its_bounds(
    rows: DataFrame, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partials are let go where they grow, and the sorted merge holds a chunk and one group."""
    spec = {name: STORED[name] for name in ("sum", "distinct", "variance")}
    plan, batches = planted(rows.drop("t"), keys, spec)
    whole = list(_worker.map_side(plan)(iter(batches)))
    assert sum(batch.num_rows for batch in whole) == rows.select(*keys).distinct().count()
    for name, bound in (("CHUNK_ROWS", 200), ("FOLD_BYTES", 2000), ("HELD_BYTES", 3000)):
        monkeypatch.setattr(_worker, name, bound)
    pieces = list(_worker.map_side(plan)(iter(batches)))
    assert len(pieces) > 5
    assert max(batch.nbytes for batch in pieces) < 60_000
    figures = []
    for parts in (whole, pieces):
        # A piece is a slice of what was made with it, as Spark never hands one out.
        table = pa.Table.from_batches(parts).sort_by("0").combine_chunks()
        merged = list(
            _worker.merge_side(plan, finish=True)(iter(table.to_batches(max_chunksize=50)))
        )
        figures.append(pa.Table.from_batches(merged).to_pylist())
    assert figures[0] == figures[1]
    assert len(figures[0]) == sum(batch.num_rows for batch in whole)


@pytest.mark.parametrize("function", ["map", "finish"])
def test_types_are_those_of_no_rows(rows: DataFrame, function: str) -> None:
    def by_the_data(_: object, *arguments: Any) -> pa.Array:
        made = getattr(Count(), function)(*arguments)
        return made if len(arguments[-1]) else made.cast(pa.int32())

    planted_one = type("Planted", (Count,), {function: by_the_data, "native": lambda *_: None})()
    plan, batches = planted(rows, ["g"], {"f": (planted_one, "i")})
    merged = _worker.merge_side(plan, finish=True)(_worker.map_side(plan)(iter(batches)))
    told = f"column f: {function} made int64, where it made int32"
    with pytest.raises(AggregateError, match=told):
        list(merged)
