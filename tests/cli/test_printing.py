"""What is printed: cells, tables, JSON values."""

from __future__ import annotations

import datetime
import io
import json
from decimal import Decimal

import pytest
from pyspark.sql import Row
from rich.console import Console

from privpipe.cli._cells import cell
from privpipe.cli._output import plain, printable, table
from privpipe.cli._reveal import split_columns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ("", ""),
        ("a\nb", "a\\nb"),
        (b"", "0x"),
        (b"\x01\x02", "0x0102"),
        (b"\x01" * 44, "0x0101010101010101… (44 bytes)"),
        (bytearray(b"\x01"), "0x01"),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (Decimal("1.50"), "1.50"),
        (Row(number=b"\x01", bank="b"), "{number: 0x01, bank: b}"),
        ([1, None], "[1, null]"),
        ({"k": b"\x01"}, "{k: 0x01}"),
        (True, "True"),
    ],
)
def test_cells(value: object, text: str) -> None:
    assert cell(value) == text


def test_json_values() -> None:
    value = {
        "bytes": b"\x00\xff",
        "when": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "nan": float("nan"),
        "infinite": float("-inf"),
        "double": 0.1,
        "decimal": Decimal("12.340"),
        "row": Row(a=1, b=[Row(c=None)]),
        "map": {1: "a"},
        "flag": True,
        "span": datetime.timedelta(seconds=1),
    }
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "bytes": "00ff",
        "when": "2024-01-02T03:04:05+00:00",
        "nan": "nan",
        "infinite": "-inf",
        "double": 0.1,
        "decimal": "12.340",
        "row": {"a": 1, "b": [{"c": None}]},
        "map": [{"key": 1, "value": "a"}],
        "flag": True,
        "span": "0:00:01",
    }


def test_a_value_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\u202e\n") == "a\\x1b[2Jb\\x07\\u202e\n"


def test_a_table_in_a_pipe_is_neither_cut_nor_drawn() -> None:
    stream = io.StringIO()
    long = "x" * 500
    table(Console(file=stream, width=100_000), ["a", "[bold]b"], [(long, ":smile:"), ("1", "")])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert long in lines[1]
    assert ":smile:" in lines[1]
    assert "[bold]b" in lines[0]
    assert all(line == line.rstrip() for line in lines)


def drawn(width: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    table(console, ["run", "state", "cost"], [("a" * 60, "published", "0.25"), ("b", "", "1")])
    return stream.getvalue().splitlines()


def test_where_not_all_fits_what_is_short_stays_whole() -> None:
    assert "published   0.25" in "".join(drawn(50))
    for width in range(20, 90):
        text = "".join(drawn(width))
        # Nothing is cut off, however narrow.
        assert (text.count("a"), text.count("5")) == (60 + 1, 1), width


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a", ["a"]),
        (" a , b.c,visits[].note ", ["a", "b.c", "visits[].note"]),
        ("`a,b`,c", ["`a,b`", "c"]),
        ("a,,b,", ["a", "b"]),
    ],
)
def test_columns_are_split_outside_of_backticks(text: str, columns: list[str]) -> None:
    assert split_columns(text) == columns
