"""Every Spark type that can hold data goes through an Arrow UDF and comes back exactly."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import CalendarIntervalType, DataType, StringType, StructType

from privpipe.errors import SchemaError
from privpipe.policy._types import KINDS
from privpipe.spark._intervals import from_months, to_months
from privpipe.spark._types import (
    arrow_type,
    delta_refuses,
    policy_type,
    spark_type,
    table_schema,
)

WKB = "X'0101000000000000000000F03F0000000000000040'"

# Two values of each type, the second as far out as it goes.
VALUES: dict[str, tuple[str, str]] = {
    "string": ("''", "'Grüße, 世界 🦀'"),
    "string collate UNICODE_CI": ("'a' collate UNICODE_CI", "'A' collate UNICODE_CI"),
    "binary": ("X''", "X'00ff80'"),
    "boolean": ("true", "false"),
    "tinyint": ("127y", "-128y"),
    "smallint": ("32767s", "-32768s"),
    "int": ("2147483647", "-2147483648"),
    "bigint": ("9223372036854775807L", "-9223372036854775808L"),
    "float": ("cast('-0.0' as float)", "cast('nan' as float)"),
    "double": ("cast('-inf' as double)", "4.9e-324D"),
    "decimal(1,0)": ("cast(9 as decimal(1,0))", "cast(-9 as decimal(1,0))"),
    "decimal(12,2)": ("cast(1234567890.12 as decimal(12,2))", "cast(0 as decimal(12,2))"),
    "decimal(38,0)": (f"cast('{'9' * 38}' as decimal(38,0))", "cast(-1 as decimal(38,0))"),
    "decimal(38,38)": (f"cast('0.{'9' * 38}' as decimal(38,38))", "cast(0 as decimal(38,38))"),
    "date": ("date'0001-01-01'", "date'9999-12-31'"),
    # In Berlin the first stands in the hour that is there twice, the second is local mean time.
    "timestamp": ("timestamp'2024-10-27T00:30:00Z'", "timestamp'1850-01-01T00:00:00.000001Z'"),
    "timestamp_ntz": (
        "timestamp_ntz'2024-03-31 02:30:00.123456'",
        "timestamp_ntz'0001-01-01 00:00:00'",
    ),
    **{
        f"time({p})": (
            f"cast(time'23:59:59.999999' as time({p}))",
            f"cast(time'00:00' as time({p}))",
        )
        for p in range(7)
    },
    "interval year": ("interval '178956970' year", "interval '-178956970' year"),
    "interval month": ("interval '2147483647' month", "interval '-2147483648' month"),
    "interval year to month": (
        "interval '178956970-7' year to month",
        "interval '-178956970-8' year to month",
    ),
    "interval day": ("interval '106751991' day", "interval '-106751991' day"),
    "interval day to hour": ("interval '1 02' day to hour", "interval '-1 02' day to hour"),
    "interval day to minute": ("interval '1 02:03' day to minute", "interval '0' day"),
    "interval day to second": (
        "interval '106751991 04:00:54.775807' day to second",
        "interval '-106751991 04:00:54.775808' day to second",
    ),
    "interval hour": ("interval '3' hour", "interval '-3' hour"),
    "interval hour to minute": (
        "interval '3:04' hour to minute",
        "interval '-3:04' hour to minute",
    ),
    "interval hour to second": ("interval '3:04:05.6' hour to second", "interval '0' hour"),
    "interval minute": ("interval '5' minute", "interval '-5' minute"),
    "interval minute to second": ("interval '5:06.7' minute to second", "interval '0' minute"),
    "interval second": ("interval '7.000001' second", "interval '-7' second"),
    "variant": ("""parse_json('{"a":[1,"x",null,1.5]}')""", "parse_json('null')"),
    "geometry(0)": (f"st_geomfromwkb({WKB})", f"st_geomfromwkb({WKB})"),
    "geography(4326)": (f"st_geogfromwkb({WKB})", f"st_geogfromwkb({WKB})"),
}

NESTINGS = {
    "flat": "if(id = 0, {a}, if(id = 1, {b}, null))",
    "struct": "if(id = 2, null, named_struct('f', {a}, 'g.h', if(id = 0, {b}, null)))",
    "array": "if(id = 2, null, if(id = 1, array(), array({a}, null, {b})))",
    "deep": "array(named_struct('m', if(id = 2, null, map(id, array({a}, if(id=0, {b}, null))))))",
}
# Spark allows no map keys of these.
NO_KEYS = ("variant", "geometry", "geography", "string collate")


@pytest.fixture(scope="module")
def every_type(spark: SparkSession) -> DataFrame:
    """One column a type and nesting, three rows, nulls in each."""
    spark.conf.set("spark.sql.timeType.enabled", "true")
    columns = []
    for kind, (a, b) in VALUES.items():
        # A shorter literal may have a shorter type of its own: the column's type decides.
        first, second = (
            f"cast({x} as {kind})" if kind.startswith("interval") else x for x in (a, b)
        )
        for nesting, shape in NESTINGS.items():
            columns.append(f"{shape.format(a=first, b=second)} as `{kind} {nesting}`")
        if not kind.startswith(NO_KEYS):
            columns.append(f"map({first}, named_struct('v', {second})) as `{kind} key`")
    return spark.range(0, 3, 1, 1).selectExpr(*columns)


Udf: Any = arrow_udf  # its overloads know no function whose arguments are not spelled out


def carried(df: DataFrame, body: Any) -> DataFrame:
    """`df` with every column sent through `body` in a worker, as protect and reveal do."""
    columns = []
    for field in df.schema.fields:
        sent, kind = to_months(col(f"`{field.name}`"), field.dataType)
        back = Udf(body(arrow_type(kind)), kind)(sent)
        columns.append(from_months(back, field.dataType).alias(field.name))
    return df.select(*columns)


def rows(df: DataFrame) -> list[tuple[object, ...]]:
    """What the columns hold, told by Spark: Python has no value for some of them."""

    def shown(name: str, kind: DataType) -> str:
        held = kind.simpleString()
        if "geometry" in held or "geography" in held:
            return f"hash(to_json(struct(transform(array(1), x -> 1))), size(array(`{name}`)))"
        return f"cast(`{name}` as string)"

    return [
        tuple(r) for r in df.selectExpr(*(shown(f.name, f.dataType) for f in df.schema)).collect()
    ]


def identity(kind: pa.DataType) -> Any:
    def body(column: pa.Array) -> pa.Array:
        # The zone is the session's on the way in, and any on the way out.
        if str(column.type).replace("tz=Europe/Berlin", "tz=UTC") != str(kind):
            raise TypeError(f"{column.type} is not {kind}")
        return column.cast(kind) if pa.types.is_timestamp(kind) else column

    return body


def test_every_type_goes_through_a_worker_unchanged(every_type: DataFrame) -> None:
    back = carried(every_type, identity)
    assert [f.dataType for f in back.schema] == [f.dataType for f in every_type.schema]
    assert rows(back) == rows(every_type)


def test_spatial_values_come_back(spark: SparkSession) -> None:
    df = spark.range(1).selectExpr(
        f"st_geomfromwkb({WKB}) as geom",
        f"st_geogfromwkb({WKB}) as geog",
        f"array(named_struct('g', st_geomfromwkb({WKB}))) as nested",
    )
    back = carried(df, lambda kind: lambda column: pa.array(column.to_pylist(), kind))
    told = ["st_asbinary(geom)", "st_srid(geom)", "st_asbinary(geog)", "st_asbinary(nested[0].g)"]
    assert back.schema.simpleString() == df.schema.simpleString()
    assert back.selectExpr(*told).collect() == df.selectExpr(*told).collect()


def test_char_and_varchar_come_back_where_the_session_keeps_them(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.preserveCharVarcharTypeInfo", "true")
    try:
        df = spark.range(1).selectExpr(
            "cast('ab' as char(5)) as c", "named_struct('v', cast('ab' as varchar(5))) as s"
        )
        back = carried(df, identity)
        assert [f.dataType for f in back.schema] == [f.dataType for f in df.schema]
        assert back.collect() == df.collect()
    finally:
        spark.conf.unset("spark.sql.preserveCharVarcharTypeInfo")


def test_types_survive_json_and_name_themselves(every_type: DataFrame) -> None:
    for field in every_type.schema:
        assert spark_type(field.dataType.json()) == field.dataType
        told = policy_type(field.dataType)
        assert told.text == field.dataType.simpleString()
        assert told.kind in KINDS


def test_table_schema_keeps_order_names_and_nullability(spark: SparkSession) -> None:
    df = spark.sql(
        "select 1 as `a.b`, array(named_struct('x', interval '1' year)) as v, map('k', null) as m"
    )
    schema = table_schema(df.schema)
    number, visits, attributes = schema.fields
    assert (number.name, number.type.text, number.nullable) == ("a.b", "int", False)
    assert visits.type.element is not None
    assert visits.type.element.fields[0].type.kind == "interval_ym"
    assert attributes.type.value is not None
    assert attributes.type.value.kind == "void"


def test_delta_takes_what_is_said(
    spark: SparkSession, every_type: DataFrame, tmp_path: Any
) -> None:
    structs = [field for field in every_type.schema if field.name.endswith(" struct")]
    taken = [field.name for field in structs if delta_refuses(field.dataType) is None]
    assert 0 < len(taken) < len(structs)
    together = every_type.select(*(f"`{name}`" for name in taken))
    together.toDF(*(f"c{at}" for at in range(len(taken)))).write.format("delta").save(
        str(tmp_path / "taken")
    )
    for field in structs:
        if field.name in taken:
            continue
        assert delta_refuses(field.dataType) == field.name.removesuffix(" struct")
        df = every_type.select(f"`{field.name}`").toDF("c")
        with pytest.raises(PySparkException):
            df.write.format("delta").save(str(tmp_path / field.name.replace(" ", "_")))


def test_what_has_no_arrow_form_is_refused() -> None:
    with pytest.raises(SchemaError, match="interval has no Arrow form"):
        arrow_type(StructType().add("c", CalendarIntervalType()))


@pytest.mark.parametrize("text", ["", "{}", '"nonsense"', '{"type":"struct"}', "["])
def test_a_recorded_type_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SchemaError, match="PP-DAT-03"):
        spark_type(text)


def test_a_plain_string_stays_in_delta() -> None:
    assert delta_refuses(StringType()) is None
