"""Records as rows of the catalog's tables, and back.

A time is a row's integer of microseconds since 1970 in UTC; the stores turn it into their own
timestamp. So no store's and no session's time zone can shift it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from privpipe.catalog._records import (
    EVENTS,
    STATES,
    BudgetRecord,
    ColumnRecord,
    KeysetRecord,
    Record,
    RunRecord,
)
from privpipe.catalog._tables import TABLES, Column, Table
from privpipe.errors import CatalogError

__all__ = ["from_row", "to_row"]

R = TypeVar("R", KeysetRecord, ColumnRecord, RunRecord, BudgetRecord)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_row(record: Record) -> tuple[str | int | None, ...]:
    """The record's fields, in the order of its table's columns."""
    values = (getattr(record, each.name) for each in fields(record))
    return tuple(
        (value - _EPOCH) // _MICROSECOND if isinstance(value, datetime) else value
        for value in values
    )


def from_row(kind: type[R], row: Mapping[str, Any]) -> R:
    """The record that `row` (column to value, times as microseconds) holds.

    Columns that this version does not know are passed over. Raises CatalogError where one holds
    nothing that must hold a value; the message names table and column, never the value.
    """
    table = next(table for table in TABLES.values() if table.record is kind)
    values = {column.name: _value(table, column, row) for column in table.columns}
    if kind is RunRecord and values["state"] not in STATES:
        raise _malformed(table, "state", "an unknown state")
    if kind is BudgetRecord and values["event"] not in EVENTS:
        raise _malformed(table, "event", "an unknown event")
    return kind(**values)


def _value(table: Table, column: Column, row: Mapping[str, Any]) -> Any:
    value = row.get(column.name)
    if value is None and not column.nullable:
        raise _malformed(table, column.name, "nothing where a value must be")
    if value is not None and column.kind == "timestamp":
        return _EPOCH + value * _MICROSECOND
    return value


def _malformed(table: Table, column: str, what: str) -> CatalogError:
    return CatalogError(
        f"a row of the catalog holds {what}",
        where=f"{table.name}.{column}",
        hint="it was changed by hand or by another version: restore an older version of that table",
    )
