"""Each lossy protection against a twin in plain Python."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    VariantType,
)

from privpipe.errors import InternalError, InvalidValue, PolicyError, SchemaError, from_text
from privpipe.kernels._reference_lossy import masked
from privpipe.policy import Bucket, Generalize, Mask, Replace, Type, constant, returns
from privpipe.policy._settings import Ends, Network
from privpipe.spark._lossy import EXPRESSIONS
from privpipe.spark._types import policy_type

D = Decimal


def changed(
    spark: SparkSession,
    kind: DataType,
    values: Sequence[Any],
    cases: Sequence[tuple[str, Any]],
    shown: Callable[[Column], Column] = lambda column: column,
) -> list[list[Any]]:
    """What each protection and its settings make of the values, in their order."""
    rows = [(i, value) for i, value in enumerate(values)]
    df = spark.createDataFrame(rows, StructType().add("i", "integer").add("c", kind)).repartition(2)
    columns = [
        EXPRESSIONS[word](F.col("c"), kind, how).alias(str(i))
        for i, (word, how) in enumerate(cases)
    ]
    made = df.select("i", *columns)
    for i, (word, how) in enumerate(cases):
        assert made.schema[str(i)].dataType.simpleString() == returns(word, policy_type(kind), how)
    kept = made.select("i", *(shown(F.col(f"`{i}`")) for i in range(len(cases))))
    rows = [tuple(row) for row in kept.collect()]
    return [[row[i + 1] for row in sorted(rows, key=lambda row: row[0])] for i in range(len(cases))]


TEXTS = [
    *("", "a", "ab", "abc", "abcd", "abcdefgh", "078-05-1120", "4111 1111 1111 1111"),
    *(
        "Žluťoučký kůň",
        "😀😁😂🤣",
        "a😀-b",
        "x\ny\r\n",
        "नमस्ते!",
        "Cafe\u0301, 3½",
        "𝔘𝔫𝔦-7",
        "\\$[]^-&&~",
    ),
    *("\U0001e030", "a\x00b", "\ue000\u0378"),
    None,
]
MASKS = [
    Mask(),
    Mask(show=Ends(last=4)),
    Mask(show=Ends(first=1)),
    Mask(show=Ends(first=1, last=2), char="$"),
    Mask(show=Ends(first=2), char="\\"),
    Mask(char="\0"),
    Mask(show=Ends(last=1), char="🙈"),
]


@pytest.mark.parametrize("kind", [StringType(), StringType("UNICODE_CI")], ids=str)
def test_mask(spark: SparkSession, kind: DataType) -> None:
    found = changed(spark, kind, TEXTS, [("mask", how) for how in MASKS])
    assert found == [
        [
            None if text is None else masked(text, how.show.first, how.show.last, "", how.char)
            for text in TEXTS
        ]
        for how in MASKS
    ]


def test_a_mask_shows_nothing_of_a_value_no_longer_than_what_it_shows(spark: SparkSession) -> None:
    (found,) = changed(spark, StringType(), TEXTS, [("mask", Mask(show=Ends(first=5, last=6)))])
    short = [made for made, text in zip(found, TEXTS, strict=True) if text and len(text) <= 11]
    assert len(short) > 10
    assert set("".join(short)) == {"*"}


def test_prefix(spark: SparkSession) -> None:
    cases = [("generalize", Generalize(prefix=n)) for n in (1, 3, 100)]
    found = changed(spark, StringType(), TEXTS, cases)
    assert found == [[None if t is None else t[:n] for t in TEXTS] for n in (1, 3, 100)]


def test_bytes_that_are_no_utf8_show_nothing_of_what_lies_behind_them(spark: SparkSession) -> None:
    # Spark takes a first byte at its word, and reads on into the next column's value.
    texts = "cast(array(X'61f0', X'616161f0', X'c1fff58061') as array<string>)"
    df = spark.sql(f"select explode({texts}) as value, 'SECRET' as other").repartition(1)
    value, kind = F.col("value"), StringType()
    made = [
        EXPRESSIONS["mask"](value, kind, Mask(show=Ends(last=1))),
        EXPRESSIONS["mask"](value, kind, Mask(show=Ends(first=1))),
        EXPRESSIONS["mask"](value, kind, Mask()),
        EXPRESSIONS["generalize"](value, kind, Generalize(prefix=4)),
    ]
    found = df.select(*(each.alias(str(i)) for i, each in enumerate(made)), "other").collect()
    assert {tuple(row)[:-1] for row in found} == {
        ("***\ufffd", "a***", "****", "aaa\ufffd"),
        ("****a", "\ufffd****", "*****", "\ufffd" * 4),
        ("*\ufffd", "a*", "**", "a\ufffd"),
    }


def test_redact_nulls_every_type(spark: SparkSession) -> None:
    whole = StructType().add("a b", "integer", nullable=False)
    values: dict[str, tuple[DataType, Any]] = {
        "text": (StringType(), "a"),
        "struct": (whole, (1,)),
        "array": (ArrayType(whole, False), [(1,)]),
        "map": (MapType(StringType(), whole), {"a": (1,)}),
        "decimal": (DecimalType(38, 10), D(1)),
    }
    kind = StructType()
    for name, (each, _) in values.items():
        kind.add(name, each, nullable=False)
    df = spark.createDataFrame([tuple(value for _, value in values.values())], kind)
    made = df.select(*(EXPRESSIONS["redact"](F.col(f.name), f.dataType, None) for f in kind.fields))
    assert [f.dataType for f in made.schema] == [f.dataType for f in kind]
    assert all(field.nullable for field in made.schema)
    assert made.head() == (None,) * len(values)
    void = df.select(EXPRESSIONS["redact"](F.lit(1), VariantType(), None))
    assert void.head() == (None,)


NOON = datetime(2000, 1, 1, 12)  # noqa: DTZ001
CONSTANTS: list[tuple[DataType, Any, Any, str]] = [
    (StringType(), "a", "x\\$'", "x\\$'"),
    (BooleanType(), True, False, "false"),
    (ByteType(), 1, -128, "-128"),
    (LongType(), 1, -(2**63), str(-(2**63))),
    (FloatType(), 1.5, 0.1, "0.1"),
    (DoubleType(), 1.5, 0.1, "0.1"),
    (DecimalType(38, 10), D(1), "9" * 28 + "." + "9" * 10, "9" * 28 + "." + "9" * 10),
    (DecimalType(4, 2), D(1), 3.5, "3.50"),
    (DateType(), date(2000, 1, 1), "0001-01-01", "0001-01-01"),
    (TimestampNTZType(), NOON, "1500-02-28 02:30:00.000001", "1500-02-28 02:30:00.000001"),
    (TimestampType(), NOON.replace(tzinfo=UTC), "1970-01-01T01:00+01:00", "1970-01-01 01:00:00"),
]


def test_replace_by_a_constant(spark: SparkSession) -> None:
    for kind, value, by, text in CONSTANTS:
        (found,) = changed(
            spark, kind, [value, None], [("replace", Replace(value=by))], lambda c: c.cast("string")
        )
        assert found == [text, None], kind


REFUSED = [
    ("int", "7"), ("int", 3.5), ("int", 3.0), ("int", True), ("tinyint", 128), ("tinyint", -129),
    ("bigint", 2**63), ("boolean", 1), ("boolean", "true"), ("string", 1), ("string", True),
    ("varchar(2)", "abc"), ("double", 2**53 + 1), ("double", 10**400), ("double", math.nan),
    ("double", "1"), ("float", 2**24 + 1), ("float", 1e39), ("float", 1e-60), ("float", math.inf),
    ("decimal(4,2)", 100), ("decimal(4,2)", 0.125), ("decimal(4,2)", "1e1"), ("decimal(4,2)", True),
    ("decimal(4,2)", math.nan), ("date", "2001-02-29"), ("date", 20010101), ("date", "20010101"),
    ("timestamp", "2001-01-01"), ("timestamp_ntz", "2001-01-01T00:00Z"), ("timestamp", "today"),
    ("timestamp_ntz", "2001-01-01 00:00:00.0000001"), ("timestamp", "0001-01-01 00:00+10:00"),
    ("binary", "a"), ("array<int>", 1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), REFUSED)
def test_a_constant_that_does_not_fit_is_refused(text: str, value: Any) -> None:
    with pytest.raises(SchemaError, match="does not fit"):
        constant(value, Type(text=text, kind=text.partition("(")[0]))


def plain(number: Fraction) -> str:
    digits = D(number.numerator * 10**12 // number.denominator)
    text = format(Context(prec=99).scaleb(digits, -12), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def by_width(value: Any, width: float, start: float) -> str | None:
    if value is None or not math.isfinite(value):
        return None if value is None else str(float(value))
    step, first = Fraction(str(width)), Fraction(str(start))
    low = (Fraction(str(value)) - first) // step * step + first
    return f"[{plain(low)}, {plain(low + step)})"


def by_bounds(value: Any, bounds: Sequence[float]) -> str | None:
    if value is None or not math.isfinite(value):
        return None if value is None else str(float(value))
    edges = [plain(Fraction(str(bound))) for bound in bounds]
    count = sum(Fraction(str(value)) >= Fraction(str(bound)) for bound in bounds)
    if count == 0:
        return f"(-inf, {edges[0]})"
    return f"[{edges[count - 1]}, {edges[count] if count < len(edges) else 'inf'})"


WIDTHS = [
    (10, 0),
    (1, 0),
    (7, 3),
    (0.1, 0),
    (2.5, -0.75),
    (0.000003, 1),
    (1000, -12345.5),
    (10.0, 5),
]
BOUNDS: list[tuple[float, ...]] = [(18, 65), (0,), (-0.1, 0.3, 1000000)]
FLOATS = [
    *(0.0, -0.0, 0.1, 0.3, 0.7, -0.1, -1e-30, 1e-30, 9.99, 10.0, 17.999, 18.0, 65.0, 64.99999),
    *(1e15, -1e15, 123456.7, math.nan, math.inf, -math.inf, None),
]
WHOLE = [0, 1, -1, 2, 3, 9, 10, -10, -11, 17, 18, 64, 65, 99, 127, -128, None]
DECIMALS = [
    *("0", "0.1", "0.3", "-0.1", "-0.0000000001", "0.0000000001", "17.9999999999", "18", "1000000"),
    *("9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999"),
]


def single(value: float | None) -> float | None:
    """A float as Spark's text names it: the shortest decimal is the one that was written."""
    return value if value is None else float(struct.unpack("<f", struct.pack("<f", value))[0])


NUMBERS: list[tuple[DataType, list[Any]]] = [
    (ByteType(), WHOLE),
    (ShortType(), [*WHOLE, -(2**15), 2**15 - 1]),
    (IntegerType(), [*WHOLE, -(2**31), 2**31 - 1]),
    (LongType(), [*WHOLE, -(2**63), 2**63 - 1]),
    (DoubleType(), [*FLOATS, 0.1 + 0.2, 1e25, -1e25, 123456789.12345678]),
    (DecimalType(38, 10), [*map(D, DECIMALS), None]),
    (DecimalType(5, 2), [D("999.99"), D("-999.99"), D("0.01"), None]),
    (DecimalType(38, 38), [D("0." + "9" * 38), D("-0." + "9" * 38), D("-1E-38"), None]),
    (DecimalType(30, 0), [D("9" * 30), D("-" + "9" * 30), D(18), None]),
]


@pytest.mark.parametrize("kind", [kind for kind, _ in NUMBERS], ids=str)
@pytest.mark.parametrize("ansi", ["true", "false"])
def test_buckets(spark: SparkSession, kind: DataType, ansi: str) -> None:
    values = next(values for each, values in NUMBERS if each == kind)
    cases = [("bucket", Bucket(width=width, start=start)) for width, start in WIDTHS]
    cases += [("bucket", Bucket(bounds=bounds)) for bounds in BOUNDS]
    before = spark.conf.get("spark.sql.ansi.enabled")
    spark.conf.set("spark.sql.ansi.enabled", ansi)
    try:
        found = changed(spark, kind, values, cases)
    finally:
        spark.conf.set("spark.sql.ansi.enabled", str(before))
    assert found[: len(WIDTHS)] == [[by_width(v, *how) for v in values] for how in WIDTHS]
    assert found[len(WIDTHS) :] == [[by_bounds(v, bounds) for v in values] for bounds in BOUNDS]


def test_buckets_of_floats_are_those_of_the_numbers_one_sees(spark: SparkSession) -> None:
    cases = [("bucket", Bucket(width=0.1)), ("generalize", Generalize(bounds=(-0.1, 0.3, 18)))]
    found = changed(spark, FloatType(), FLOATS, cases)
    seen = [v if v is None or not math.isfinite(v) else float(f"{v:.7g}") for v in FLOATS]
    # 1e15 has a neighbour in a float that is written otherwise.
    seen = [9.9999999e14 * math.copysign(1, v) if v and abs(v) == 1e15 else v for v in seen]
    assert found == [
        [by_width(v, 0.1, 0) for v in seen],
        [by_bounds(v, (-0.1, 0.3, 18)) for v in seen],
    ]


def test_numbers_beyond_what_can_be_counted(spark: SparkSession) -> None:
    huge = [1e300, -1e300]
    (found,) = changed(spark, DoubleType(), huge, [("bucket", Bucket(bounds=(0, 5)))])
    assert found == ["[5, inf)", "(-inf, 0)"]
    wide = [D("9" * 38), D("-" + "9" * 38)]
    (found,) = changed(spark, DecimalType(38, 0), wide, [("bucket", Bucket(bounds=(0, 0.5)))])
    assert found == ["[0.5, inf)", "(-inf, 0)"]
    for kind, value in [(DoubleType(), 1e300), (DecimalType(38, 0), wide[1])]:
        with pytest.raises(PySparkException) as caught:
            changed(spark, kind, [value], [("bucket", Bucket(width=10))])
        assert isinstance(from_text(str(caught.value)), InvalidValue)
        assert "e300" not in str(caught.value).lower()
        assert "99999" not in str(caught.value)


DAYS = [date(2024, m, d) for m, d in ((1, 1), (2, 29), (3, 31), (4, 1), (6, 30), (12, 31))]
DAYS += [date(1, 1, 2), date(9999, 12, 31), date(1582, 10, 15), date(1900, 2, 28)]


def first_day(day: date, unit: str) -> date:
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[unit]
    return day.replace(month=month, day=1)


UNITS = ("month", "quarter", "year")


def test_first_days(spark: SparkSession) -> None:
    cases: list[tuple[str, Any]] = [("generalize", Generalize(to=unit)) for unit in UNITS]  # type: ignore[arg-type]
    found = changed(spark, DateType(), [*DAYS, None], cases)
    assert found == [[*(first_day(day, unit) for day in DAYS), None] for unit in UNITS]
    moments = [datetime(d.year, d.month, d.day, 23, 59, 59, 999999) for d in DAYS]  # noqa: DTZ001
    found = changed(
        spark, TimestampNTZType(), [*moments, None], cases, lambda column: column.cast("string")
    )
    assert found == [[*(f"{first_day(d, unit)} 00:00:00" for d in DAYS), None] for unit in UNITS]
    late = [datetime(2024, 6, 30, 22, 30, tzinfo=UTC)]  # already July in the session's zone
    found = changed(spark, TimestampType(), late, cases, lambda column: column.cast("string"))
    assert found == [["2024-07-01 00:00:00"], ["2024-07-01 00:00:00"], ["2024-01-01 00:00:00"]]


def age(day: date | None, on: date, width: int | None, top: int | None) -> int | str | None:
    if day is None:
        return None
    years = on.year - day.year - ((on.month, on.day) < (day.month, day.day))
    if top is not None and years >= top:
        return f"{top}+" if width else top
    if width is None:
        return years
    low = years // width * width
    return f"[{low}, {min(low + width, top or 9999)})"


AGES = [(None, None), (None, 90), (5, None), (20, 90), (10, 90)]


@pytest.mark.parametrize("on", [date(2023, 2, 28), date(2023, 3, 1), date(2024, 2, 29)], ids=str)
def test_ages(spark: SparkSession, on: date) -> None:
    born = [date(y, m, d) for y in (1904, 1933, 1934, 2000, 2020) for m, d in ((2, 28), (3, 1))]
    born += [
        date(2000, 2, 29),
        date(1932, 2, 29),
        date(2022, 12, 31),
        date(1, 1, 1),
        date(2023, 2, 28),
    ]
    cases = [
        ("generalize", Generalize(to="age", on=str(on), width=width, top=top))
        for width, top in AGES
    ]
    expected = [[age(day, on, *how) for day in [*born, None]] for how in AGES]
    assert changed(spark, DateType(), [*born, None], cases) == expected
    moments = [datetime(d.year, d.month, d.day, 23, 59) for d in born]  # noqa: DTZ001
    assert changed(spark, TimestampNTZType(), [*moments, None], cases) == expected


def test_nobody_is_born_after_the_day_on_which_ages_are_counted(spark: SparkSession) -> None:
    for width in (None, 5):
        how = Generalize(to="age", on="2024-01-01", width=width, top=90)
        with pytest.raises(PySparkException) as caught:
            changed(spark, DateType(), [date(2024, 1, 2)], [("generalize", how)])
        assert isinstance(from_text(str(caught.value)), InvalidValue)
        assert "2024-01-02" not in str(caught.value)


def test_round(spark: SparkSession) -> None:
    values = [52.520008, -13.404954, 0.05, -0.05, 0.35, 2.5, -2.5, 0.0, 1e20]

    def half_up(value: float, decimals: int) -> float:
        return float(D(str(value)).quantize(D(1).scaleb(-decimals), ROUND_HALF_UP))

    cases = [("generalize", Generalize(round=n)) for n in (0, 1, 3)]
    special = [math.inf, -math.inf, None]
    found = changed(spark, DoubleType(), [*values, *special], cases)
    assert found == [[*(half_up(v, n) for v in values), *special] for n in (0, 1, 3)]
    found = changed(spark, FloatType(), [*values[:-1], *special], cases)
    assert found == [[*(single(half_up(v, n)) for v in values[:-1]), *special] for n in (0, 1, 3)]
    money = [D("1.25"), D("-1.25"), D("99.94"), D("0.04"), None]
    found = changed(spark, DecimalType(4, 2), money, cases[1:])
    assert found == [[D("1.3"), D("-1.3"), D("99.9"), D(0), None], money]


def test_a_decimal_that_outgrows_its_type(spark: SparkSession) -> None:
    with pytest.raises(PySparkException) as caught:
        changed(spark, DecimalType(4, 2), [D("99.96")], [("generalize", Generalize(round=1))])
    assert isinstance(from_text(str(caught.value)), InvalidValue)
    assert "99.96" not in str(caught.value)


@pytest.mark.parametrize(
    ("word", "how", "error"),
    [
        ("bucket", Bucket(), PolicyError),
        ("bucket", Bucket(width=1e-7), PolicyError),
        ("generalize", Generalize(to="age"), PolicyError),
        ("generalize", Generalize(network=Network()), InternalError),
        ("replace", Replace(dictionary=("a",)), PolicyError),
    ],
)
def test_settings_that_are_not_for_here(
    spark: SparkSession, word: str, how: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        EXPRESSIONS[word](F.col("c"), IntegerType(), how)
