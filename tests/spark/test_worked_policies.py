"""The worked policies of `conf/policies`, each run on rows such as it is written for."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession

from privpipe import load_policy
from privpipe.spark import Home
from tests.spark._project import make_home

POLICIES = Path(__file__).resolve().parent.parent.parent / "conf" / "policies"
ROWS = 60
CODES = ("A09", "E11.9", "I10", "J45.9")
UUID8 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("worked"), spark)


def protected(home: Home, name: str, df: DataFrame) -> tuple[str, dict[Any, Row]]:
    """Where the table lies, and its rows by their first column."""
    target = f"{home.project.path.parent}/{name}"
    home.protect(load_policy(POLICIES / f"{name}.yaml"), df, target)
    return target, by_key(home.spark.read.format("delta").load(target))


def by_key(df: DataFrame) -> dict[Any, Row]:
    rows = df.collect()
    found = {row[0]: row for row in rows}
    assert len(found) == len(rows)
    return found


def checked(number: str) -> str:
    """`number` with its Luhn check digit behind it."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        double = int(digit) * (2 if place % 2 == 0 else 1)
        total += double - 9 * (double > 9)
    return number + str(-total % 10)


def spaced(number: str) -> str:
    return " ".join(number[i : i + 4] for i in range(0, len(number), 4))


def payments(random: Random) -> list[dict[str, Any]]:
    return [
        {
            "payment_id": i,
            "merchant": f"shop {i % 7}",
            "country": random.choice(("DE", "FR")),
            "paid_at": f"2026-03-{1 + i % 28:02} 12:00:00",
            # Each card pays twice, and one is written as no card number is.
            "card_number": f"400000{i // 2:06}7899" if i else "4000 0000 0000 7899",
            "loyalty_card": spaced(checked(f"600{random.randrange(10**12):012}")),
            "cardholder": random.choice(("Neumann", "Blake", "Meyer")),
            "ip": f"203.0.113.{i}" if i % 2 else f"2001:db8:1:{i:x}::1",
            "amount": float(i * 25),
        }
        for i in range(ROWS)
    ]


def test_payment_cards(home: Home) -> None:
    rows = payments(Random(7))
    df = home.spark.createDataFrame([Row(**row) for row in rows])
    target, stored = protected(home, "payment_cards", df)
    aside = home.reveal(f"{target}_quarantine", ["card_number"], "test").collect()
    assert [row.card_number for row in aside] == [rows[0]["card_number"]]
    assert set(stored) == set(range(1, ROWS))

    tokens: dict[tuple[str, str], str] = {}
    for row in rows[1:]:
        got = stored[row["payment_id"]]
        card = got.card_number
        assert re.fullmatch(r"400000\d{6}7899", card)
        assert tokens.setdefault((row["card_number"], row["country"]), card) == card
        assert re.fullmatch(r"(\d{4} ){3}\d{4}", got.loyalty_card)
        plain = got.loyalty_card.replace(" ", "")
        assert checked(plain[:-1]) == plain
        assert isinstance(got.cardholder, bytearray | bytes)
        assert got.ip in {"203.0.113.0/24", "2001:db8:1::/48"}
    assert len(set(tokens.values())) == len(tokens)
    assert sum(stored[row["payment_id"]].card_number != row["card_number"] for row in rows[1:]) > 50
    assert {row.amount for row in stored.values()} == {
        "[10, 50)",
        "[50, 200)",
        "[200, 1000)",
        "[1000, inf)",
    }

    back = by_key(home.reveal(target, ["card_number", "loyalty_card", "cardholder"], "test"))
    for row in rows[1:]:
        got = back[row["payment_id"]]
        assert [got[name] for name in ("card_number", "loyalty_card", "cardholder")] == [
            row[name] for name in ("card_number", "loyalty_card", "cardholder")
        ]
    report = home.verify(target)
    assert report.ok
    assert report.values == ROWS - 1


SCHEMA = (
    "patient_id string, born date, admitted date, "
    "contact struct<name:string,phone:string,insurer:string>, "
    "visits array<struct<day:date,diagnosis:string,note:string>>, "
    "measures map<string,double>, ward string"
)


def patients(random: Random) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for i in range(ROWS):
        admitted = date(2025, 1, 1) + timedelta(days=random.randrange(300))
        visits = [
            (admitted + timedelta(days=7 * n), random.choice(CODES), f"note {i}.{n}")
            for n in range(random.randrange(4))
        ]
        contact = (f"patient {i}", f"+49 30 {5550000 + i}", "public") if i % 9 else None
        born = date(1930 + i, 5, 17)
        found.append((f"p{i:03}", born, admitted, contact, visits, {"weight": 60.5 + i}, "B2"))
    return found


def test_health_visits(home: Home) -> None:
    rows = patients(Random(11))
    target, stored = protected(home, "health_visits", home.spark.createDataFrame(rows, SCHEMA))
    assert len(stored) == ROWS
    assert all(UUID8.fullmatch(key) for key in stored)
    names = home.spark.read.format("delta").load(target).columns
    assert "ward" not in names

    # Only the year of birth says whose row it is: here everyone has one of their own.
    by_year = {row.born.year: row for row in stored.values()}
    moved = set()
    for _, born, admitted, contact, visits, _, _ in rows:
        got = by_year[born.year]
        days = (got.admitted - admitted).days
        moved.add(days)
        assert abs(days) <= 60
        assert [visit.day - got.admitted for visit in got.visits] == [
            day - admitted for day, _, _ in visits
        ]
        assert all(visit.diagnosis.split()[0] in {"I", "IV", "IX", "X"} for visit in got.visits)
        if contact is None:
            assert got.contact is None
        else:
            assert got.contact.name is None
            assert got.contact.phone == "+** ** *****" + contact[1][-2:]
    assert len(moved) > 20

    back = home.reveal(target, ["visits[].note", "measures{}"], "test").collect()
    opened = {row.born.year: row for row in back}
    for _, born, _, _, visits, measures, _ in rows:
        assert [visit.note for visit in opened[born.year].visits] == [note for *_, note in visits]
        assert opened[born.year].measures == measures
    assert home.verify(target).values == ROWS + sum(len(visits) for *_, visits, _, _ in rows)


AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def test_web_logs(home: Home) -> None:
    rows = [
        {
            "at": f"2026-03-01 00:00:{i:02}",
            "status": 200,
            "method": "GET",
            "ip": f"198.51.{i % 3}.{i}",
            "user_id": i % 5,
            "user_agent": AGENT,
            "url": f"/account?name=blake&token={i}",
            "session": f"{i:032x}",
        }
        for i in range(ROWS)
    ]
    df = home.spark.createDataFrame([Row(**row) for row in rows])
    target, stored = protected(home, "web_logs", df)
    users: dict[str, set[int]] = {}
    for row in rows:
        got = stored[row["at"]]
        assert got.ip == f"198.51.{int(str(row['at'])[-2:]) % 3}.0/24"
        assert got.user_agent == "Mozilla/5.0"
        assert got.url is None
        assert got.session == "*" * 28 + str(row["session"])[-4:]
        users.setdefault(got.user_id, set()).add(int(str(row["user_id"])))
    assert len(users) == 5
    assert all(len(each) == 1 for each in users.values())
    # Nothing here comes back, and nothing is claimed of it.
    assert home.verify(target).values == 0
