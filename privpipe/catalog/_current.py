"""The current view: which run last made a target, and what it did to its columns."""

from __future__ import annotations

from collections.abc import Iterable

from privpipe.catalog._records import ColumnRecord, RunRecord
from privpipe.catalog._store import Catalog

__all__ = ["columns_of", "current_columns", "current_run"]


def current_run(runs: Iterable[RunRecord], target: str) -> RunRecord | None:
    """The COMMITTED run that last made `target`, or None.

    A run that was over before another began is past. Of the rest, which ran at the same time, the
    one with the highest table version stands. (The version alone would not do: a table that was
    dropped and made anew counts from 0 again.)
    """
    done = [run for run in runs if run.target == target and run.state == "COMMITTED"]
    if not done:
        return None
    newest = max(run.started_at for run in done)
    last = [run for run in done if run.finished_at is None or run.finished_at >= newest]
    return max(
        last or done,
        key=lambda run: (-1 if run.table_version is None else run.table_version, run.started_at),
    )


def current_columns(catalog: Catalog, target: str) -> tuple[ColumnRecord, ...]:
    """The protected columns of `target` as its last COMMITTED run left them, by path."""
    run = current_run(catalog.runs(), target)
    return () if run is None else columns_of(catalog, run)


def columns_of(catalog: Catalog, run: RunRecord) -> tuple[ColumnRecord, ...]:
    """The protected columns that this run wrote, by path."""
    facts = (fact for fact in catalog.columns(run.target) if fact.run_uid == run.run_uid)
    return tuple(sorted(facts, key=lambda fact: fact.path))
