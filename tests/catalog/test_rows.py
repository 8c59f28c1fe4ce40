"""Records become rows and come back; a malformed row is named without its values."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.catalog import (
    TABLES,
    BudgetRecord,
    ColumnRecord,
    KeysetRecord,
    Record,
    RunRecord,
    from_row,
    to_row,
)
from privpipe.errors import CatalogError
from tests.catalog._facts import NOW, column, event, keyset, run

KINDS: dict[str, Any] = {
    "keysets": KeysetRecord,
    "columns": ColumnRecord,
    "runs": RunRecord,
    "budgets": BudgetRecord,
}


def row_of(record: Record) -> dict[str, Any]:
    table = next(table for table in TABLES.values() if table.record is type(record))
    return dict(zip((each.name for each in table.columns), to_row(record), strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_a_table_has_its_records_fields_in_order(name: str) -> None:
    table = TABLES[name]
    assert table.record is KINDS[name]
    assert [each.name for each in table.columns] == [each.name for each in fields(KINDS[name])]
    assert set(table.key) <= {each.name for each in table.columns if not each.nullable}
    assert all(
        each.comment and each.kind in ("string", "bigint", "timestamp") for each in table.columns
    )


def test_nullable_is_what_may_be_none() -> None:
    for name, table in TABLES.items():
        optional = {each.name for each in fields(KINDS[name]) if "None" in str(each.type)}
        assert {each.name for each in table.columns if each.nullable} == optional


def instants() -> st.SearchStrategy[datetime]:
    zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    micros = st.integers(-(10**16), 10**17)
    return st.builds(
        lambda at, zone: (NOW + timedelta(microseconds=at)).astimezone(zone), micros, zones
    )


@given(
    text=st.text(),
    number=st.integers(0, 2**62),
    at=instants(),
)
def test_there_and_back(text: str, number: int, at: datetime) -> None:
    of = run(text, rows=number, finished_at=at)
    records = (
        of,
        keyset(text, key_id=number, created_at=at),
        column(of, text, recorded_at=at),
        event(number, note=text, recorded_at=at),
    )
    for record in records:
        assert from_row(type(record), row_of(record)) == record  # type: ignore[type-var]


def test_times_come_back_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    back = from_row(KeysetRecord, row_of(keyset("s", created_at=elsewhere)))
    assert back.created_at == NOW
    assert back.created_at.tzinfo is UTC


def test_a_column_of_a_later_version_is_passed_over() -> None:
    assert from_row(KeysetRecord, {**row_of(keyset("s")), "rotated_at": 5}) == keyset("s")


def test_an_event_of_a_later_version_is_not_passed_over() -> None:
    """It may have spent something."""
    with pytest.raises(CatalogError, match="an unknown event") as caught:
        from_row(BudgetRecord, {**row_of(event(1)), "event": "lend-1234"})
    assert caught.value.where == "budgets.event"
    assert "1234" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "where"),
    [({"target": None}, "runs.target"), ({"state": "DONE-with-1234"}, "runs.state")],
)
def test_a_malformed_row_is_named_without_its_values(changes: dict[str, Any], where: str) -> None:
    with pytest.raises(CatalogError) as caught:
        from_row(RunRecord, {**row_of(run("secret-run")), **changes})
    assert caught.value.where == where
    assert "1234" not in str(caught.value)
    assert "secret-run" not in str(caught.value)


def test_records_print_no_keyset_and_no_policy() -> None:
    assert "AA==" not in repr(keyset("s"))
    assert '{"version": 1}' not in repr(run("r"))
