"""Every type, protected, written and read back: exactly what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.errors import PolicyError, SchemaError
from privpipe.spark import Home
from tests.spark._project import make_home, policy_text

# One expression a type, the first row's values; the second row is all null.
TYPES = {
    "text": "'Ærø, 東京'",
    "blank": "''",
    "collated": "'Straße' collate UNICODE_CI",
    "bytes": "X'00ff10'",
    "flag": "true",
    "tiny": "cast(-128 as tinyint)",
    "small": "cast(-32768 as smallint)",
    "whole": "cast(-2147483648 as int)",
    "big": "cast(-9223372036854775808 as bigint)",
    "single": "cast('-0.0' as float)",
    "double_nan": "cast('NaN' as double)",
    "money": "cast(-12345678.91 as decimal(12,2))",
    "huge": "cast(-0.00000000000000000000000000000000000001 as decimal(38,38))",
    "day": "date'0001-01-01'",
    "moment": "timestamp'1969-12-31 23:59:59.999999'",
    "local": "timestamp_ntz'9999-12-31 23:59:59.999999'",
    "clock": "time'23:59:59.123456'",
    "clock3": "cast(time'23:59:59.123' as time(3))",
    "months": "interval '-1-2' year to month",
    "years": "interval '7' year",
    "seconds": "interval '-1 02:03:04.567891' day to second",
    "hours": "interval '5' hour",
    "json": 'parse_json(\'{"a": [1, null, 2.5], "b": {}}\')',
    "row": "named_struct('a', 1, 'b c', named_struct('d`e', array('x', null, '')))",
    "items": "array(1, null, 3)",
    "nothing": "cast(array() as array<string>)",
    "pairs": "map('k', array(cast(1.5 as decimal(5,2))), 'l', null)",
    "deep": "array(map(1, named_struct('m', interval '3' month, 't', time'01:00:00')), null)",
    "odd.name `x` ä": "'dotted'",
}
# What equality-preserving encryption takes without being asked twice.
EQUAL = [
    "text", "blank", "bytes", "flag", "tiny", "small", "whole", "big", "money", "huge", "day",
    "moment", "local", "clock", "clock3", "months", "years", "seconds", "hours",
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("round_trip"), spark)


def every_type(spark: SparkSession) -> DataFrame:
    columns = ", ".join(f"{value} as {quoted(name)}" for name, value in TYPES.items())
    spark.conf.set("spark.sql.timeType.enabled", "true")
    full = spark.sql(f"select 1 as id, {columns}")
    nulls = [F.lit(None).cast(f.dataType).alias(f.name) for f in full.schema.fields[1:]]
    return full.unionAll(full.select(F.lit(2).alias("id"), *nulls))


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def shown(df: DataFrame) -> list[str]:
    """Every value as Spark itself writes it, so that types Python has no form for compare too."""
    kinds = {f.name: f.dataType.simpleString() for f in df.schema.fields}
    values = [
        F.hex(quoted(n)) if kind == "binary" else F.to_json(F.struct(quoted(n)))
        for n, kind in kinds.items()
    ]
    return sorted(str(tuple(row)) for row in df.select(*values).collect())


@pytest.mark.parametrize("protection", ["encrypt", "encrypt_deterministic"])
def test_every_type_comes_back_exactly(home: Home, protection: str) -> None:
    df = every_type(home.spark)
    names = [n for n in df.columns[1:] if protection == "encrypt" or n in EQUAL]
    df = df.select("id", *(quoted(n) for n in names))
    rules = {"id": "keep"} | {f"'{quoted(n)}'": protection for n in names}
    policy = parse_policy(policy_text(f"types.{protection}", rules))
    target = f"{home.project.path.parent}/{protection}"

    run = home.protect(policy, df, target)
    assert (run.rows, run.state) == (2, "COMMITTED")
    stored = home.spark.read.format("delta").load(target)
    assert {f.dataType.simpleString() for f in stored.schema.fields[1:]} == {"binary"}
    back = home.reveal(target, [quoted(n) for n in names], "test")
    assert [f.dataType for f in back.schema.fields] == [f.dataType for f in df.schema.fields]
    assert shown(back) == shown(df)
    assert home.verify(target).ok


def test_leaves_of_nested_columns(home: Home) -> None:
    df = home.spark.sql(
        """select 1 as id,
          named_struct('number', '4111', 'cvc', 123, 'Since', interval '2' month) as card,
          array(named_struct('note', 'flu', 'at', date'2026-01-01', 'x.y', 'z'), null) as visits,
          map('a', array('p', null), 'b', null) as attrs
        union all select 2, null, null, null
        union all
        select 3, named_struct('number', null, 'cvc', null, 'Since', null), array(), map()"""
    )
    rules = {
        "id": "keep",
        "card.number": "encrypt",
        "card.cvc": "drop",
        "card.since": "encrypt_deterministic",
        "visits[].note": "encrypt",
        "visits[].at": "keep",
        "'visits[].`x.y`'": "encrypt",
        "'attrs{}[]'": "encrypt",
    }
    policy = parse_policy(policy_text("nested.t", rules))
    target = f"{home.project.path.parent}/nested"
    home.protect(policy, df, target)
    stored = home.spark.read.format("delta").load(target)
    assert stored.schema["card"].dataType.simpleString() == "struct<number:binary,Since:binary>"
    assert stored.schema["attrs"].dataType.simpleString() == "map<string,array<binary>>"
    back = home.reveal(target, ["card", "visits", "attrs{}[]"], "test")
    expected = df.withColumn("card", F.col("card").dropFields("cvc"))
    assert shown(back) == shown(expected)
    assert back.schema["card"].dataType == expected.schema["card"].dataType
    # One leaf alone: the others stay shut.
    part = home.reveal(target, ["visits[].note"], "test")
    shut = "array<struct<note:string,at:date,x.y:binary>>"
    assert part.schema["visits"].dataType.simpleString() == shut
    assert home.verify(target).values == 5


def test_types_that_cannot_be_protected_or_stored_say_why(home: Home) -> None:
    spark = home.spark
    void = spark.sql("select null as v")
    with pytest.raises(PolicyError, match=r":4 columns\.v"):
        home.plan(parse_policy(policy_text("t", {"v": "encrypt"})), void)
    kept = spark.sql("select interval '3' month as m, 1 as id")
    with pytest.raises(SchemaError, match=r"no Delta table can hold.*m .interval month"):
        home.plan(parse_policy(policy_text("t", {"m": "keep", "id": "encrypt"})), kept)
    floats = spark.sql("select 1.0D as d")
    with pytest.raises(PolicyError, match="float"):
        home.plan(parse_policy(policy_text("t", {"d": "encrypt_deterministic"})), floats)


def test_no_statistics_of_what_is_protected(home: Home) -> None:
    df = home.spark.sql("select id, 'canary-value' as secret, 'shown' as open from range(10)")
    target = f"{home.project.path.parent}/stats"
    rules = {"id": "keep", "secret": "encrypt_deterministic", "open": "keep"}
    home.protect(parse_policy(policy_text("stats.t", rules)), df, target)
    log = "".join(path.read_text() for path in Path(target, "_delta_log").glob("*.json"))
    assert '\\"maxValues\\":{\\"id\\"' in log
    assert '\\"open\\":\\"shown\\"' in log
    assert "canary-value" not in log
    assert '\\"secret\\":' not in log.partition('\\"maxValues\\"')[2]
    detail = home.spark.sql(f"describe detail delta.`{target}`").first()
    assert detail is not None
    assert detail["properties"]["privpipe.table"] == "stats.t"
    assert detail["properties"]["privpipe.policy_hash"]
    field = home.spark.read.format("delta").load(target).schema["secret"]
    assert field.metadata["privpipe.context"] == "pp1:c:stats.t/secret:string"
    labels = ("scheme", "key_id", "type", "context", "settings")
    assert set(field.metadata) == {f"privpipe.{label}" for label in labels}


def test_a_table_with_no_rows(home: Home) -> None:
    df = home.spark.sql("select 'x' as a where false")
    target = f"{home.project.path.parent}/empty"
    run = home.protect(parse_policy(policy_text("empty.t", {"a": "encrypt"})), df, target)
    assert run.rows == 0
    assert home.reveal(target, ["a"], "test").collect() == []
    assert home.verify(target).ok
