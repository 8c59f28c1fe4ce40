"""An expression at any depth: the rest of the column stays as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructType

from privpipe.arrow import Path, Step
from privpipe.errors import SchemaError
from privpipe.spark._map_leaf import map_expression

E, V = Step.ELEMENT, Step.VALUES
INNER = StructType().add("x.y`z", "string").add("n", "integer", nullable=False)
KIND = (
    StructType()
    .add("a b", "string")
    .add("in", INNER, nullable=True, metadata={"comment": "kept"})
    .add("list", ArrayType(ArrayType(INNER)))
    .add("map", MapType(StringType(), ArrayType(StringType())))
    .add("last", "integer")
    .add("set", StructType().add("t", StringType(), True, {"comment": "c"}), False)
)
VALUES: list[Any] = [
    None,
    (None, None, None, None, 1, (None,)),
    ("s", (None, 1), [], {}, 2, ("t",)),
    (
        "",
        ("v", 2),
        [None, [], [None, ("w", 3), (None, 4)]],
        {"k": None, "l": ["p", None]},
        None,
        ("",),
    ),
]


def upper(leaf: Column, kind: DataType) -> Column:
    assert kind == StringType()
    return F.concat(leaf, F.lit("!"))


def walked(value: Any, kind: DataType, path: Path) -> Any:
    """The twin: `!` behind the text at the path."""
    if value is None:
        return None
    if not path:
        return f"{value}!"
    step, below = path[0], path[1:]
    if isinstance(kind, ArrayType):
        return [walked(item, kind.elementType, below) for item in value]
    if isinstance(kind, MapType):
        return {k: walked(item, kind.valueType, below) for k, item in value.items()}
    assert isinstance(kind, StructType)
    return tuple(
        walked(item, f.dataType, below) if f.name == step else item
        for item, f in zip(value, kind.fields, strict=True)
    )


PATHS: list[Path] = [
    ("a b",),
    ("in", "x.y`z"),
    ("list", E, E, "x.y`z"),
    ("map", V, E),
    ("set", "t"),
]


def test_one_leaf_is_changed_and_nothing_else(spark: SparkSession) -> None:
    rows = [(i, value) for i, value in enumerate(VALUES)]
    df = spark.createDataFrame(rows, StructType().add("i", "integer").add("c", KIND)).repartition(2)
    made = df.select(
        "i",
        *(map_expression(F.col("c"), KIND, p, upper).alias(str(i)) for i, p in enumerate(PATHS)),
    )
    found = sorted(made.collect(), key=lambda row: int(row["i"]))
    for i, path in enumerate(PATHS):
        assert [row[str(i)] for row in found] == [walked(v, KIND, path) for v in VALUES]
        assert json.loads(made.schema[str(i)].dataType.json()) == json.loads(KIND.json())


def test_leaves_may_change_their_type_one_after_the_other(spark: SparkSession) -> None:
    df = spark.createDataFrame([(VALUES[3],)], StructType().add("c", KIND))
    once = map_expression(F.col("c"), KIND, ("IN", "n"), lambda _, kind: F.lit(None).cast(kind))
    kind = df.select(once.alias("c")).schema["c"].dataType
    twice = map_expression(once, kind, ("list",), lambda leaf, _: F.size(leaf))
    row = df.select(twice.alias("c")).head()
    assert row is not None
    assert row["c"] == ("", ("v", None), 3, {"k": None, "l": ["p", None]}, None, ("",))


def test_a_whole_column_is_a_leaf_too(spark: SparkSession) -> None:
    df = spark.createDataFrame([("a",), (None,)], "c string").coalesce(1)
    made = df.select(map_expression(F.col("c"), StringType(), (), upper))
    assert [row[0] for row in made.collect()] == ["a!", None]


@pytest.mark.parametrize("path", [("nobody",), ("in", E), ("list", V), ("map", E)])
def test_a_leaf_that_is_not_there(spark: SparkSession, path: Path) -> None:
    with pytest.raises(SchemaError):
        map_expression(F.col("c"), KIND, path, upper)
