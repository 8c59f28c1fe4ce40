"""Settles runs that died, each from its target's own history.

The commit that a run makes in its target bears the run's uid, so the history knows better than
the catalog whether the run was done. It overrides ABANDONED: a run that was taken for dead and
committed after all becomes COMMITTED at the next repair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from privpipe.catalog import Catalog, RunRecord, lease_is_over
from privpipe.errors import EngineError
from privpipe.spark._commits import find_commit

__all__ = ["Settled", "repair", "settle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What `repair` found of one run: its state before and now, and why."""

    run_id: str
    target: str
    was: str
    state: str
    table_version: int | None
    reason: str


def _as_it_stands(target: str) -> str:
    return target


def repair(
    spark: SparkSession, catalog: Catalog, *, find: Callable[[str], str] = _as_it_stands
) -> tuple[Settled, ...]:
    """Settles every PENDING run that nobody holds any more, and looks again at ABANDONED ones.

    Such a run is COMMITTED if its target's history has its commit, and ABANDONED if it has not.
    Where the history cannot be read the run is left as it is, with the reason. `find` leads from
    a target, as the catalog keeps it, to the place that it means now.

    Returns what was settled or left; ABANDONED runs that stay so are not told again. Any number of
    repairs may run at once. Raises CatalogAccess.
    """
    now = datetime.now(UTC)
    found = []
    for run in catalog.runs():
        over = run.state == "PENDING" and lease_is_over(run, now)
        if over or run.state == "ABANDONED":
            outcome = _settled(spark, catalog, run, find)
            if over or outcome.state != run.state:
                found.append(outcome)
    return tuple(found)


def settle(
    spark: SparkSession,
    catalog: Catalog,
    run: RunRecord,
    *,
    find: Callable[[str], str] = _as_it_stands,
) -> RunRecord:
    """The row of `run` as its target's history has it: COMMITTED if its commit is there.

    Without one, a PENDING run that nobody holds becomes ABANDONED and any other stays as it is.
    Raises EngineError where the history cannot be read.
    """
    if run.state == "COMMITTED":
        return run
    commit = find_commit(spark, find(run.target), run.run_uid)
    if commit is not None:
        return catalog.update_run(commit.settles(run), held_by=run.owner)
    # A history takes its time to read, and meanwhile the run's owner may have been heard of.
    latest, now = catalog.run(run.run_id) or run, datetime.now(UTC)
    if latest.state == "PENDING" and lease_is_over(latest, now):
        gone = replace(latest, state="ABANDONED", finished_at=now)
        return catalog.update_run(gone, held_by=latest.owner)
    return latest


def _settled(
    spark: SparkSession, catalog: Catalog, run: RunRecord, find: Callable[[str], str]
) -> Settled:
    try:
        after = settle(spark, catalog, run, find=find)
        reason = _reason(after)
    except EngineError as error:
        after, reason = run, f"left as it is: {error.message}"
    return Settled(
        run_id=run.run_id,
        target=run.target,
        was=run.state,
        state=after.state,
        table_version=after.table_version,
        reason=reason,
    )


def _reason(after: RunRecord) -> str:
    if after.state == "COMMITTED" and after.table_version is None:
        return "its transaction is in the table's log, whose history was cut"
    if after.state == "COMMITTED":
        return f"its commit is version {after.table_version} of the table"
    if after.state == "PENDING":
        return "another job holds it now"
    return "its table's history has no commit of it"
