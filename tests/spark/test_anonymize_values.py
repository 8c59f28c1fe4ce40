"""Tables of values of every type, seeded: each class of what is written holds what was asked of it,
each figure is plain Python's, and no column is lost, whatever it is called."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypedDict

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.errors import AnonymityError
from privpipe.policy import Generalize
from privpipe.spark.risk import Anonymized, RiskReport, generalize_to_k, measure_risk, suppress
from tests.spark._risk import (
    Row,
    attack,
    classes_of,
    distribution,
    diversity,
    equal_distance,
    ordered_distance,
)

NAN = math.nextafter(math.inf, 0)  # stands for NaN, which is above all numbers and its own equal
KINDS = {
    "i": "int", "l": "bigint", "d": "double", "w": "decimal(30,10)", "t": "date", "s": "string",
    "b": "boolean", "z": "timestamp",
}  # fmt: skip
OLD = ("id", "a", "b", "c", "d", "e")


class Asked(TypedDict):
    """Of every class."""

    k: int
    sensitive: list[str]
    diversity: int
    closeness: float


def pools(draw: random.Random, wide: int) -> dict[str, Callable[[], Any]]:
    """Values of each type: extremes, and what labels are written with."""

    def some() -> int:
        return draw.randrange(-wide, wide + 1)

    october = datetime(2024, 10, 26, 22, tzinfo=UTC)  # then 02:00 comes twice in the session's zone
    return {
        "i": some,
        "l": lambda: draw.choice([-(2**63), 2**63 - 1, some()]),
        "d": lambda: draw.choice([math.nan, -0.0, 0.0, -math.inf, 1e300, float(some())]),
        "w": lambda: Decimal(some()) / 8 + 10**18,
        "t": lambda: date(2024, 2, 28) + timedelta(days=abs(some())),
        "s": lambda: draw.choice(["", "null", " or null", "{a, b}", "[1, 2]", "é", f"x{some()}"]),
        "b": lambda: draw.random() < 0.5,
        "z": lambda: october + timedelta(minutes=30 * abs(some())),
    }


def told(df: DataFrame) -> list[dict[str, Any]]:
    def plain(value: Any) -> Any:
        if isinstance(value, float):
            return NAN if math.isnan(value) else value + 0.0
        return value

    if dict(df.dtypes).get("z") == "timestamp":
        df = df.withColumn("z", F.unix_micros("z"))
    return [{name: plain(v) for name, v in row.asDict().items()} for row in df.collect()]


def agrees(report: RiskReport, rows: Sequence[Row], quasi: Sequence[str]) -> None:
    classes = classes_of(rows, quasi)
    sizes = {key: len(own) for key, own in classes.items()}
    assert (report.rows, report.classes, report.k) == (
        len(rows), len(sizes), min(sizes.values()),
    )  # fmt: skip
    known = attack(classes, sizes, 0.2)
    assert report.prosecutor.rows_above == known["rows_above"]
    assert report.prosecutor.average == pytest.approx(known["average"])
    for one in report.sensitive:
        ordered = KINDS[one.column] not in {"string", "boolean"}
        for name, value in diversity(classes, one.column, 2, ordered=ordered).items():
            found = getattr(one, name)
            assert found == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value)


def suppressed(df: DataFrame, rows: list[dict[str, Any]], quasi: Sequence[str], k: int) -> None:
    sizes = Counter(tuple(row[name] for name in quasi) for row in rows)
    few = {row["id"] for row in rows if sizes[tuple(row[name] for name in quasi)] < k}
    by_id = {row["id"]: row for row in rows}
    for how in ("rows", "cells"):
        try:
            made = suppress(df, quasi, k, how=how)
        except AnonymityError:
            alone = 0 < len(few) < k and sizes[(None,) * len(quasi)] < k
            assert len(few) == len(rows) or (how == "cells" and alone)
            continue
        assert made.suppressed == len(few)
        found = {row["id"]: row for row in told(made.df)}
        nulled = {key: {**by_id[key], **dict.fromkeys(quasi)} for key in few}
        kept = {key: row for key, row in by_id.items() if key not in few}
        assert found == (kept if how == "rows" else {**kept, **nulled})


def holds(
    made: Anonymized,
    rows: list[dict[str, Any]],
    quasi: Sequence[str],
    asked: Asked,
) -> None:
    found = told(made.df)
    by_id = {row["id"]: row for row in rows}
    assert sorted(row["id"] for row in found) == sorted(by_id)
    for row in found:
        kept = {name: value for name, value in by_id[row["id"]].items() if name not in quasi}
        assert {name: row[name] for name in kept} == kept
    for own in classes_of(found, quasi).values():
        assert len(own) >= asked["k"]
        for name in asked["sensitive"]:
            mine, whole = distribution(own, name), distribution(rows, name)
            equal = KINDS[name] in {"string", "boolean"}
            distance = (equal_distance if equal else ordered_distance)(mine, whole)
            assert len(mine) >= asked["diversity"]
            assert distance <= asked["closeness"] + 1e-9
    agrees(made.report, found, quasi)


@pytest.mark.parametrize("seed", [1, 3])
def test_tables_of_every_type(spark: SparkSession, seed: int) -> None:
    draw = random.Random(seed)
    made = pools(draw, (1, 3, 12, 30)[seed])
    names = draw.sample(list(made), 5)
    quasi, sensitive = names[:3], names[3:]
    drawn = [
        (at, *(None if draw.random() < 0.1 * seed else made[name]() for name in names))
        for at in range((7, 60, 150, 150)[seed])
    ]
    schema = "id int, " + ", ".join(f"{name} {KINDS[name]}" for name in names)
    df = spark.createDataFrame(drawn, schema).repartition(1 + 2 * (seed % 2))
    rows = told(df)
    agrees(measure_risk(df, quasi, sensitive=sensitive), rows, quasi)
    suppressed(df, rows, quasi[: 1 + seed % 2], 3)
    asked: Asked = {
        "k": 3,
        "sensitive": sensitive,
        "diversity": max(1, min(2, seed)),
        "closeness": (1.0, 0.5)[seed % 2],
    }
    holds(generalize_to_k(df, quasi, **asked), rows, quasi, asked)


NAMES = (
    ("id", "g0", "V0", "privpipe_class_size", "q0_0", "privpipe_q0"),
    ("privpipe_there", "n", "`q`", "n, step 1", "a.b c", "_privpipe_n"),
)


def test_columns_of_any_name(spark: SparkSession) -> None:
    """What columns are called changes nothing: not what is lost, nor what else is written."""
    rows = [(at, at % 7, f"t{at % 5}", at % 3, at % 4, at % 2) for at in range(60)]
    plain = spark.createDataFrame(rows, OLD)
    ladder = [Generalize(width=2), Generalize(width=4)]

    def every(df: DataFrame, a: str, d: str) -> list[list[tuple[Any, ...]]]:
        made = [
            suppress(df, [a, d], 3),
            suppress(df, [a, d], 3, how="cells"),
            generalize_to_k(df, [a, d], 5),
            generalize_to_k(df, [a, d], 5, ladders={a: ladder}, limit=0.2),
        ]
        assert all(each.df.columns == df.columns for each in made)
        return [sorted(map(tuple, each.df.collect()), key=repr) for each in made]

    wanted = every(plain, "a", "d")
    assert 0 < len(wanted[0]) < 60
    for names in NAMES:
        d = f"`{names[4]}`" if "." in names[4] else names[4]
        assert every(plain.toDF(*names), names[1], d) == wanted
