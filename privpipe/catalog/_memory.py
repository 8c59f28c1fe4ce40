"""A catalog in this process's memory: for tests, and for tables that need no record."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from privpipe.catalog._records import (
    CHANGING,
    BudgetRecord,
    ColumnRecord,
    KeysetRecord,
    RunRecord,
)
from privpipe.catalog._store import Catalog
from privpipe.errors import CatalogError

__all__ = ["memory_catalog", "no_such_run"]


def memory_catalog() -> Catalog:
    """An empty catalog that lives as long as this object. Safe for threads."""
    return _MemoryCatalog()


def no_such_run(run_id: str) -> CatalogError:
    """The error for an update of a run that was never begun."""
    return CatalogError("no such run is in the catalog", where=f"run {run_id}")


class _MemoryCatalog:
    location = "memory:"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keysets: dict[tuple[str, str, int], KeysetRecord] = {}
        self._columns: dict[tuple[str, str], ColumnRecord] = {}
        self._runs: dict[str, RunRecord] = {}
        self._events: dict[int, BudgetRecord] = {}

    def keysets(self) -> tuple[KeysetRecord, ...]:
        with self._lock:
            return tuple(self._keysets[key] for key in sorted(self._keysets))

    def add_keysets(self, records: Iterable[KeysetRecord]) -> tuple[KeysetRecord, ...]:
        with self._lock:
            return tuple(
                self._keysets.setdefault((each.scope, each.primitive, each.version), each)
                for each in records
            )

    def runs(self) -> tuple[RunRecord, ...]:
        with self._lock:
            return tuple(sorted(self._runs.values(), key=lambda run: (run.started_at, run.run_id)))

    def run(self, run_id: str) -> RunRecord | None:
        with self._lock:
            return self._runs.get(run_id)

    def begin_run(self, record: RunRecord) -> RunRecord:
        with self._lock:
            return self._runs.setdefault(record.run_id, record)

    def update_run(self, record: RunRecord, *, held_by: str | None) -> RunRecord:
        with self._lock:
            now = self._runs.get(record.run_id)
            if now is None:
                raise no_such_run(record.run_id)
            ours = now.run_uid == record.run_uid and held_by in (None, now.owner)
            if ours and now.state != "COMMITTED":
                changes: dict[str, Any] = {name: getattr(record, name) for name in CHANGING}
                self._runs[record.run_id] = replace(now, **changes)
            return self._runs[record.run_id]

    def add_columns(self, records: Iterable[ColumnRecord]) -> None:
        with self._lock:
            self._columns.update({(each.run_uid, each.path): each for each in records})

    def columns(self, target: str | None = None) -> tuple[ColumnRecord, ...]:
        with self._lock:
            found = [self._columns[key] for key in sorted(self._columns)]
        return tuple(each for each in found if target in (None, each.target))

    def budget_events(self) -> tuple[BudgetRecord, ...]:
        with self._lock:
            return tuple(self._events[seq] for seq in sorted(self._events))

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        with self._lock:
            return self._events.setdefault(record.seq, record)
