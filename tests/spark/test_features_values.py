"""No value of a row raises: every type's extremes through the pass, with a stated fate each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.dp import Bounds, FixedPoint
from privpipe.errors import PrivpipeError, SpecError
from privpipe.features import GROUP, Measure
from privpipe.spark._leaves import quoted
from privpipe.spark.features import _sums, group_sums
from privpipe.spark.features._groups import find_groups
from tests.features._specs import parse_groups

NAN, INF = float("nan"), float("inf")
NUMBERS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "tiny": (pa.int8(), [-128, 127, None, 0]),
    "small": (pa.int16(), [-(1 << 15), (1 << 15) - 1, None, 3]),
    "whole": (pa.int32(), [-(1 << 31), (1 << 31) - 1, None, -3]),
    "big": (pa.int64(), [-(1 << 63), (1 << 63) - 1, None, 1]),
    "single": (pa.float32(), [NAN, INF, -INF, -0.0, 3.4e38, 1.4e-45, 2.25, None]),
    "double": (pa.float64(), [NAN, INF, -INF, -0.0, 1e308, -1e308, 5e-324, 2.75, None]),
    "wide": (pa.decimal128(38, 0), [Decimal(10**38 - 1), Decimal(1 - 10**38), None, Decimal(7)]),
    "fine": (pa.decimal128(38, 38), [Decimal(1).scaleb(-38), Decimal("-0.75"), None]),
    "flag": (pa.bool_(), [True, False, None]),
}
OTHERS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string(), ["", "a", "\0", "'; --", "\U0010ffff", "ß" * 5000, None]),
    "raw": (pa.binary(), [b"", b"\0\xff", None]),
    "day": (pa.date32(), [date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 10), None]),
    "moment": (pa.timestamp("us"), [-62135596800000000, 253402300799999999, 0, None]),
}
ROWS = 36
FIXED = FixedPoint.of(low=-10, high=10, step="0.5")
EDGES = tuple(map(Fraction, (-5, 0, 5)))
DISTINCT = [Measure(kind="distinct", column=name) for name in (*NUMBERS, *OTHERS)]
SUMMED = [
    measure
    for name in NUMBERS
    for measure in (
        Measure(kind="total", column=name, fixed=FIXED),
        Measure(kind="squares", column=name, fixed=FIXED),
        Measure(kind="bins", column=name, edges=EDGES),
    )
]
SPEC = parse_groups("""\
version: 1
features: x.values
source: x
unit: raw
groups: {text: select, day: select, wide: select, big: select, flag: select}
bounds: {groups: 3, rows: 4}
aggregates: {n: count}
privacy: {budget: x, epsilon: 1, delta: 1e-6}
""")


SPEC_OF_CODES = """\
version: 1
features: x.codes
source: x
unit: row
groups: {{code: {}}}
aggregates: {{n: count}}
privacy: {{budget: x, epsilon: 1}}
"""


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    """Rows in which all values of every type come about as often."""
    every = {**NUMBERS, **OTHERS}
    columns = {
        name: pa.array([values[row % len(values)] for row in range(ROWS)], kind)
        for name, (kind, values) in every.items()
    }
    return spark.createDataFrame(pa.table(columns))


def fate(value: Any) -> int | None:
    """Of a value in half steps, as the page on features states it."""
    if value is None or value != value:  # noqa: PLR0124  # NaN
        return None
    return round(Fraction(min(max(value, -10), 10)) * 2)


def is_right(df: DataFrame, *, unit: str | None) -> bool:
    """Whether the pass takes every row, and sums up what its values are to become."""
    try:
        groups = find_groups(df, SPEC)
        measures = [*SUMMED, *DISTINCT]
        sums = group_sums(
            groups.placed(df), measures, Bounds(groups=10**6, rows=10**6), unit=unit,
            groups=groups.names, rows=ROWS, salt="salt",
        )  # fmt: skip
    except PrivpipeError:
        return False
    wanted: list[int] = []
    kept = [row for row in range(ROWS) if unit is None or OTHERS["text"][1][row % 7] is not None]
    for _, values in NUMBERS.values():
        units = [fate(values[row % len(values)]) for row in kept]
        real = [each for each in units if each is not None]
        left = sum(1 for each in real if each < 0)
        wanted += [sum(real), sum(2 * (2 * each) ** 2 - 40**2 for each in real)]
        wanted += [left, len(real) - left]
    found = sums.sums.sum(axis=0).tolist()
    return bool(found == wanted and len(sums.pairs) == len(DISTINCT))


@pytest.mark.parametrize("unit", [None, "text"])
def test_every_value_has_its_fate(table: DataFrame, unit: str | None) -> None:
    rows = table if unit is None else table.where(F.col(unit).isNotNull())
    assert is_right(rows, unit=unit)


PLANTED: dict[str, Callable[..., Any]] = {
    "a narrower type": lambda name, _: F.col(quoted(name)).cast("int"),
    "doubles for all": lambda name, _: F.col(quoted(name)).cast("double") + F.lit(0.25),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_cast_that_raises_or_bends_is_found(
    table: DataFrame, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(_sums, "value_column", PLANTED[name])
    assert not is_right(table, unit=None)


def test_groups_of_every_kind_are_found(table: DataFrame) -> None:
    """Null, the ends of each type and text that is no name are groups like any other."""
    groups = find_groups(table, SPEC)
    names = [group.column for group in SPEC.groups]
    assert len(groups) == table.select(*names).distinct().count()
    assert groups.placed(table).count() == ROWS, "each row in one of them"
    assert len(np.unique(groups.names)) == len(groups)


def test_listed_text_is_found_in_a_column_that_is_filled_with_blanks(
    spark: SparkSession, tmp_path: Path
) -> None:
    """As SQL finds it there: a group of it was noise around 0."""
    spark.sql(f"CREATE TABLE delta.`{tmp_path}/c` (code char(4), more string) USING delta")
    spark.sql(f"INSERT INTO delta.`{tmp_path}/c` VALUES ('ab', 'x'), ('ab', 'y'), ('c', 'x')")
    df = spark.read.format("delta").load(f"{tmp_path}/c")
    listed = SPEC_OF_CODES.format("[c, ab, d]")
    placed = find_groups(df, parse_groups(listed)).placed(df)
    assert sorted(row[GROUP] for row in placed.collect()) == [0, 1, 1]
    for values, said in (("[abcde]", "no char"), ("[ab, 'ab ']", "same char")):
        with pytest.raises(SpecError, match=said):
            find_groups(df, parse_groups(SPEC_OF_CODES.format(values)))
