"""Year-month intervals travel as months: any depth, any sign, null and type exact."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col
from pyspark.sql.types import BinaryType, DataType, IntegerType, StringType, StructType

from privpipe.spark._intervals import from_months, to_months

# A column, and the months that it travels as.
CASES = {
    "interval '178956970-7' year to month": "2147483647",
    "interval '-178956970-8' year to month": "-2147483648",
    "interval '-178956970' year": "-2147483640",
    "interval '-2147483648' month": "-2147483648",
    "interval '0' month": "0",
    "cast(null as interval year)": None,
    "array(interval '-1-2' year to month, null)": "[-14, null]",
    "cast(null as array<interval month>)": None,
    "array(cast(array() as array<interval year>))": "[[]]",
    "named_struct('a b', interval '3' year, 'x.y`z', array(interval '-7' month))": "{36, [-7]}",
    "if(true, null, named_struct('a', interval '1' year, 'b', 1))": None,
    "named_struct('o', if(true, null, named_struct('i', interval '1' year)))": "{null}",
    "map(interval '1' month, array(null, interval '2' year))": "{1 -> [null, 24]}",
    "map(named_struct('k', interval '1' year), 'v')": "{{12} -> v}",
    # Spark casts no struct whole that has a variant in a field that is never null.
    "named_struct('i', interval '1' year, 'v', parse_json('[1]'))": "{12, [1]}",
    "array(null, named_struct('i', interval '-1' month, 'v', parse_json('{}')))": (
        "[null, {-1, {}}]"
    ),
    "map(interval '1' year, named_struct('i', interval '5' month, 'v', parse_json('1')))": (
        "{12 -> {5, 1}}"
    ),
    "array(if(true, null, named_struct('i', interval '1' year, 'v', parse_json('1'))))": "[null]",
}


@pytest.fixture(scope="module")
def cases(spark: SparkSession) -> DataFrame:
    return spark.sql(
        "select " + ", ".join(f"{text} as `{i}`" for i, text in enumerate(CASES))
    ).repartition(1)  # a relation of one row would be folded before anything runs


def shown(df: DataFrame) -> list[object]:
    row = df.selectExpr(*(f"cast(`{name}` as string)" for name in df.columns)).head()
    assert row is not None
    return list(row)


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_there_and_back(spark: SparkSession, cases: DataFrame, ansi: str) -> None:
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    try:
        sent = {f.name: to_months(col(f.name), f.dataType) for f in cases.schema}
        months = cases.select(*(column.alias(name) for name, (column, _) in sent.items()))
        assert [f.dataType for f in months.schema] == [kind for _, kind in sent.values()]
        assert shown(months) == list(CASES.values())
        back = months.select(
            *(from_months(col(f.name), f.dataType).alias(f.name) for f in cases.schema)
        )
        assert [f.dataType for f in back.schema] == [f.dataType for f in cases.schema]
        assert shown(back) == shown(cases)
    finally:
        spark.conf.set("spark.sql.ansi.enabled", str(before))


def test_what_holds_none_is_left_alone(spark: SparkSession) -> None:
    column, kind = col("c"), StructType().add("a", StringType())
    assert to_months(column, kind) == (column, kind)
    assert from_months(column, kind) is column


def test_leaves_that_became_ciphertext_stay_so(spark: SparkSession) -> None:
    made = spark.sql(
        "select named_struct('number', '4711', 'valid', interval '1-6' year to month) c"
    )
    kind = made.schema["c"].dataType
    months, moved = to_months(col("c"), kind)
    assert isinstance(moved, StructType)
    assert moved["valid"].dataType == IntegerType()
    sealed = made.select(months.withField("number", col("c.number").cast("binary")).alias("c"))
    assert isinstance(kind, StructType)
    target: DataType = StructType(
        [
            StructType().add("number", BinaryType(), nullable=False).fields[0],
            kind["valid"],
        ]
    )
    back = sealed.select(from_months(col("c"), target).alias("c"))
    assert back.schema["c"].dataType == target
    assert back.selectExpr(
        "cast(c.number as string)", "c.valid = interval '1-6' year to month"
    ).head() == (
        "4711",
        True,
    )
