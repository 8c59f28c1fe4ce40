"""Subjects' values as text: the same bytes as in a column, or refused with no value said."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from privpipe.arrow import encode
from privpipe.errors import InvalidValue, UsageError
from privpipe.spark._vault_texts import read_texts

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("family", "text", "value"),
    [
        ("text", " Ada ", pa.array([" Ada "])),
        ("bytes", "00fF", pa.array([b"\x00\xff"])),
        ("integer", "-4711", pa.array([-4711], pa.int16())),
        ("decimal.2", "1.5", pa.array([Decimal("1.50")], pa.decimal128(12, 2))),
        ("date", "2026-01-31", pa.array([datetime.date(2026, 1, 31)])),
        (
            "timestamp",
            "2026-01-31T01:00:00.5+01:00",
            pa.array([datetime.datetime(2026, 1, 31, 0, 0, 0, 500_000, UTC)]),
        ),
        ("timestamp_ntz", "2026-01-31 01:00:00", pa.array([datetime.datetime(2026, 1, 31, 1)])),  # noqa: DTZ001
        ("boolean", "true", pa.array([True])),
    ],
)
def test_the_bytes_of_a_column(family: str, text: str, value: pa.Array) -> None:
    assert encode(read_texts([text], family)).to_pylist() == encode(value).to_pylist()


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("bytes", "0g"),
        ("integer", "1.0"),
        ("integer", "1 "),
        ("integer", "9" * 30),
        ("decimal.2", "1.505"),
        ("date", "31.1.2026"),
        ("timestamp", "2026-01-31 01:00:00"),
        ("boolean", "perhaps"),
    ],
)
def test_what_is_none_is_refused_by_its_number(family: str, text: str) -> None:
    good = {"bytes": "00", "date": "2026-01-31", "timestamp": "2026-01-31T00:00:00Z"}
    with pytest.raises(InvalidValue, match="value 2 is none of the family") as caught:
        read_texts([good.get(family, "1"), text, text], family)
    assert text not in str(caught.value).replace("value 2", "")
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_families_without_a_text() -> None:
    for family in ("interval_dt", "time", "double"):
        with pytest.raises(UsageError, match="not read from text"):
            read_texts(["1"], family)
