"""`docs/catalog.md` names every column of the catalog, and its SQL is the current view."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from privpipe.catalog import LEASE, TABLES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "catalog.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (may be)? ?\| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_told(name: str) -> None:
    section = PAGE.split(f"### `{name}`\n", 1)[1].split("\n#", 1)[0]
    told = [(column, kind, bool(null), text) for column, kind, null, text in ROW.findall(section)]
    assert told == [
        (each.name, each.kind, each.nullable, each.comment) for each in TABLES[name].columns
    ]
    unique = ", ".join(f"`{key}`" for key in TABLES[name].key)
    assert f"One row: {TABLES[name].comment}. Unique by {unique}." in section


def test_the_lease_is_as_told() -> None:
    assert "a lease of ten minutes" in PAGE
    assert LEASE.total_seconds() == 600
