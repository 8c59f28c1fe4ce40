"""What every catalog can do, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from privpipe.catalog._records import BudgetRecord, ColumnRecord, KeysetRecord, RunRecord

__all__ = ["Catalog"]


class Catalog(Protocol):
    """A store of keysets, columns, runs and budgets. A catalog that is not there reads as empty.

    Every write is atomic and may be repeated. Whatever is unique stays so under any number of
    concurrent writers, and the winner is read back after the commit. All methods raise
    CatalogAccess where the store cannot be read or written, and writes raise TryAgain where other
    writers were faster every time.
    """

    location: str

    def keysets(self) -> tuple[KeysetRecord, ...]:
        """All keysets, by scope, primitive and version."""
        ...

    def add_keysets(self, records: Iterable[KeysetRecord]) -> tuple[KeysetRecord, ...]:
        """Adds those of which no (scope, primitive, version) is there yet, in one commit.

        Returns the ones that are there now, in the order of `records`: another's, where it was
        first. So what is returned is what may encrypt.
        """
        ...

    def runs(self) -> tuple[RunRecord, ...]:
        """All runs, by start."""
        ...

    def run(self, run_id: str) -> RunRecord | None:
        """The run of this id, or None."""
        ...

    def begin_run(self, record: RunRecord) -> RunRecord:
        """Adds a run unless its run_id is there; returns the one that is there now."""
        ...

    def update_run(self, record: RunRecord, *, held_by: str | None) -> RunRecord:
        """Compare and set: the run as `record` has it, if it is the same run and not COMMITTED yet.

        The same run is one with this run_id and run_uid and, unless `held_by` is None, that
        owner. Set are state, owner, times, version, rows and error; what a run was asked to do
        never changes. Returns the run as it now is, so that a caller who lost sees the winner.
        Raises CatalogError where there is no such run.
        """
        ...

    def add_columns(self, records: Iterable[ColumnRecord]) -> None:
        """Sets the facts of these (run_uid, path); an earlier attempt's are replaced.

        They are written before the data commit and count once their run is COMMITTED.
        """
        ...

    def columns(self, target: str | None = None) -> tuple[ColumnRecord, ...]:
        """All column facts (of one target), those of runs that never committed among them."""
        ...

    def budget_events(self) -> tuple[BudgetRecord, ...]:
        """All events of the privacy budgets, by seq."""
        ...

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        """Adds an event unless its seq is taken; returns the one that is there now.

        Another's `uid` says that the caller decided upon less than there is. Raises CatalogError
        where events are lost that the store knows to have been there.
        """
        ...
