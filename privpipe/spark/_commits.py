"""The commit that a run made in its target, found by the run's uid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from privpipe.catalog import RunRecord
from privpipe.errors import EngineError
from privpipe.spark._errors import said_by_us
from privpipe.spark._files import literal_path
from privpipe.spark._names import delta_table, is_path, transaction_id
from privpipe.spark._newest import newest_commit

__all__ = ["Commit", "find_commit"]

_RECENT = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def find_commit(spark: SparkSession, target: str, run_uid: str) -> Commit | None:
    """The commit that run made in `target`; None where there is none.

    Raises EngineError where the target is there and its history cannot be read.
    """
    try:
        if not _is_there(spark, target):
            return None
        # Nearly always the last, or among the latest; a whole history may be thousands of files.
        return (
            _last(spark, target, run_uid)
            or _search(spark, target, run_uid, _RECENT)
            or _search(spark, target, run_uid, None)
            or _transaction(spark, target, run_uid)
        )
    except (PySparkException, Py4JError) as error:
        raise _unreadable(error, target) from None


def _last(spark: SparkSession, target: str, run_uid: str) -> Commit | None:
    found = newest_commit(spark, target) if is_path(target) else None
    if found is None:
        return None
    version, said = found
    micros = 1000 * (said.get("inCommitTimestamp") or said["timestamp"])
    return _told(run_uid, version, said.get("userMetadata"), said.get("operationMetrics"), micros)


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
        found = _told(
            run_uid, row["version"], row["userMetadata"], row["operationMetrics"], row["at"]
        )
        if found is not None:
            return found
    return None


def _told(
    run_uid: str,
    version: int,
    metadata: str | None,
    metrics: Mapping[str, str] | None,
    micros: int,
) -> Commit | None:
    """What one commit says of itself, if it is the run's."""
    signature = _signature(metadata or "")
    if signature.get("run_uid") != run_uid:
        return None
    written = (metrics or {}).get("numOutputRows")
    return Commit(
        version=version,
        rows=None if written is None else int(written),
        at=_EPOCH + timedelta(microseconds=micros),
        read=_versions_in(signature),
    )


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
