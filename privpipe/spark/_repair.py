"""Settles runs that died, each from its target's own history.

The commit that a run makes in its target bears the run's uid, so the history knows better than
the catalog whether the run was done. It overrides ABANDONED: a run that was taken for dead and
committed after all becomes COMMITTED at the next repair.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from privpipe.catalog import Catalog, RunRecord, lease_is_over
from privpipe.errors import EngineError
from privpipe.spark._errors import said_by_us
from privpipe.spark._files import literal_path
from privpipe.spark._names import delta_table, is_path, transaction_id

__all__ = ["Commit", "Settled", "find_commit", "repair", "settle"]

_RECENT = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What `repair` found of one run: its state before and now, and why."""

    run_id: str
    target: str
    was: str
    state: str
    table_version: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a table's history says of a run's commit: the version that it made, its rows, when it
    was, and which versions it had read. Without the history, whose transactions alone still know
    the run, it is there, and no more is known."""

    version: int | None
    rows: int | None
    at: datetime
    read: tuple[int | None, ...] | None = None

    def settles(self, run: RunRecord) -> RunRecord:
        """The run as it then is. Where two of its attempts read different versions, the commit
        tells which one's rows are there."""
        return replace(
            run,
            state="COMMITTED",
            table_version=self.version,
            rows=self.rows,
            finished_at=self.at,
            error_code=None,
            reads=_reads_in(run.reads, self.read),
        )


def _reads_in(reads: str | None, versions: Sequence[int | None] | None) -> str | None:
    """What a run reads, in these versions: those of its places, in order."""
    places = [] if reads is None else sorted(json.loads(reads))
    if versions is None or not places or len(places) != len(versions):
        return reads
    return json.dumps(dict(zip(places, versions, strict=True)), sort_keys=True)


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


def find_commit(spark: SparkSession, target: str, run_uid: str) -> Commit | None:
    """The commit that run made in `target`; None where there is none.

    Raises EngineError where the target is there and its history cannot be read.
    """
    try:
        if not _is_there(spark, target):
            return None
        # Nearly always among the latest; a whole history may be thousands of files.
        return (
            _search(spark, target, run_uid, _RECENT)
            or _search(spark, target, run_uid, None)
            or _transaction(spark, target, run_uid)
        )
    except (PySparkException, Py4JError) as error:
        raise _unreadable(error, target) from None


def _search(spark: SparkSession, target: str, run_uid: str, limit: int | None) -> Commit | None:
    rows = (
        delta_table(spark, target)
        .history(limit)
        .where(F.col("userMetadata").isNotNull())
        .select(
            "version", "userMetadata", "operationMetrics", F.unix_micros("timestamp").alias("at")
        )
        .orderBy("version")
        .collect()
    )
    for row in rows:
        signature = _signature(row["userMetadata"])
        if signature.get("run_uid") == run_uid:
            written = (row["operationMetrics"] or {}).get("numOutputRows")
            return Commit(
                version=row["version"],
                rows=None if written is None else int(written),
                at=_EPOCH + timedelta(microseconds=row["at"]),
                read=_versions_in(signature),
            )
    return None


def _transaction(spark: SparkSession, target: str, run_uid: str) -> Commit | None:
    """The run as the log's transactions know it, which outlive the history in checkpoints."""
    first = delta_table(spark, target).history().agg(F.min("version").alias("version")).first()
    if first is not None and first["version"] == 0:
        return None  # the history is whole
    location = delta_table(spark, target).detail().select("location").first()
    if location is None:
        return None
    log = f"{literal_path(location['location'])}/_delta_log"
    reader = spark.read.schema("txn struct<appId: string>")
    found = reader.json(f"{log}/*.json")
    with suppress(PySparkException):  # there need be no checkpoint
        found = found.unionByName(reader.parquet(f"{log}/*.checkpoint*.parquet"))
    if found.where(F.col("txn.appId") == transaction_id(run_uid)).isEmpty():
        return None
    return Commit(version=None, rows=None, at=datetime.now(UTC))


def _signature(metadata: str) -> Mapping[str, object]:
    """What a commit's metadata says; other writers may put there what they like."""
    try:
        parsed = json.loads(metadata)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _versions_in(signature: Mapping[str, object]) -> tuple[int | None, ...] | None:
    said = signature.get("versions")
    if not isinstance(said, list):
        return None
    return tuple(each if isinstance(each, int) else None for each in said)


def _is_there(spark: SparkSession, target: str) -> bool:
    """False only where the target is surely absent; whatever else is wrong is raised."""
    if is_path(target):
        return DeltaTable.isDeltaTable(spark, target)
    return spark.catalog.tableExists(target)


def _unreadable(error: BaseException, target: str) -> EngineError:
    said = said_by_us(error, "reading the target's history")
    return EngineError(said.message, where=target, hint=said.hint)
