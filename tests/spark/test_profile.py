"""A profile tells forms and counts of a source, and no value."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import UsageError
from privpipe.policy import Profile
from privpipe.spark import profile
from privpipe.spark._profile import _leaves, _measured

ROWS = 40
SCHEMA = (
    "id bigint, few string, card string, mail string, ip string, zip string, phone string, "
    "born date, day string, code string, price double, raw binary, "
    "`a.b` struct<ssn: string, seen: array<string>>, gone string"
)
# The published test numbers of four card makers: their check digits are right.
CARDS = ("4111 1111 1111 1111", "5555 5555 5555 4444", "3566 0020 2036 0505", "6011111111111117")


def row(at: int) -> tuple[object, ...]:
    return (
        at,
        "Kowalczyk" if at < 30 else f"other{at % 4}",
        CARDS[at % 4],
        None if at % 10 == 0 else f"user{at}@example.org",
        f"10.0.{at}.1",
        f"0213{at % 5}",
        f"+49 170 55501{at:02}",
        datetime.date(1980, 1, 1 + at % 4),
        f"2020-01-{at % 28 + 1:02}",
        f"{at:x}".rjust(6, "a"),
        at / 4,
        bytes([at % 3]),
        None if at == 0 else (f"123-45-67{at:02}", ["x"]),
        None,
    )


def test_a_profile_of_everything(spark: SparkSession, tmp_path: Path) -> None:
    source = str(tmp_path / "people.parquet")
    df = spark.createDataFrame([row(at) for at in range(ROWS)], SCHEMA).coalesce(1)
    df.write.parquet(source)
    found = {one.path: one for one in profile(source, spark=spark)}
    assert list(found) == [
        *("id", "few", "card", "mail", "ip", "zip", "phone", "born", "day", "code", "price", "raw"),
        *("`a.b`.ssn", "`a.b`.seen", "gone"),
    ]
    assert {path: one.looks for path, one in found.items() if one.looks} == {
        "card": "card",
        "mail": "email",
        "ip": "ip",
        "zip": "zip",
        "phone": "phone",
        "day": "date",
        "`a.b`.ssn": "ssn",
    }
    assert found["few"] == Profile(
        path="few",
        kind="string",
        type="string",
        rows=ROWS,
        nulls=0,
        distinct=5,
        top=30,
        min_length=6,
        max_length=9,
        letters=6,
        charset="alphanumeric",
    )
    card, ssn = found["card"], found["`a.b`.ssn"]
    assert (card.charset, card.separators, card.letters) == ("digits", " ", 16)
    assert (ssn.nulls, ssn.separators, ssn.letters, ssn.unique) == (1, "-", 9, True)
    assert (found["code"].charset, found["mail"].nulls) == ("hex", 4)
    assert (found["born"].distinct, found["born"].top, found["born"].charset) == (4, 10, None)
    assert (found["raw"].distinct, found["id"].distinct) == (3, ROWS)
    assert found["`a.b`.seen"] == Profile(
        path="`a.b`.seen", kind="array", type="array<string>", rows=ROWS, nulls=1
    )
    assert (found["gone"].values, found["gone"].looks) == (0, None)

    # What leaves the executors, and what stands in the plan.
    measured = _measured(spark.read.parquet(source), list(_leaves(df.schema, ())))
    kinds = {kind for _, kind in measured.dtypes}
    assert kinds == {"int", "bigint"}
    plan = str(measured._jdf.queryExecution())
    assert not [word for word in ("Kowalczyk", "4111", "user7") if word in plan + repr(found)]

    few = profile(source, sample=7, columns=["few", "`a.b`"], spark=spark)
    assert [(one.path, one.rows) for one in few] == [
        ("few", 7),
        ("`a.b`.ssn", 7),
        ("`a.b`.seen", 7),
    ]
    with pytest.raises(UsageError, match="no column nowhere"):
        profile(df, columns=["nowhere"])
    with pytest.raises(UsageError, match="at least one row"):
        profile(df, sample=0)
    (empty,) = profile(df.limit(0), columns=["few"])
    assert (empty.rows, empty.distinct) == (0, None)
