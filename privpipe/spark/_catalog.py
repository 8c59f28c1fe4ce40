"""The catalog on Delta: in a folder, or in a schema of Spark's own catalog.

Every write is one MERGE on the columns that must be unique. Two appends would both succeed; of two
MERGEs the second one's commit conflicts with the first, is repeated, and then finds the row there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from privpipe.catalog import (
    CHANGING,
    TABLES,
    BudgetRecord,
    Catalog,
    ColumnRecord,
    KeysetRecord,
    RunRecord,
    no_such_run,
)
from privpipe.errors import CatalogError, ConfigError, InternalError
from privpipe.spark._catalog_tables import CatalogTable
from privpipe.spark._names import absolute_target

__all__ = ["delta_catalog"]

_LEDGER = "privpipe-budgets"
_SCHEMA = re.compile(r"\w+(\.\w+)*")


def delta_catalog(spark: SparkSession, location: str) -> Catalog:
    """The catalog in the folder or URI `location`, or in a schema of Spark's (`schema:NAME`).

    Nothing is made before the first write. Raises ConfigError where `schema:` names none.
    """
    schema = _schema_of(location) if location.startswith("schema:") else None
    base = absolute_target(location if "/" in location else f"./{location}", Path.cwd())
    folder = base if schema is None and _is_local(spark, base) else None
    tables = {
        name: CatalogTable(
            spark=spark,
            table=table,
            place=f"{base}/{name}" if schema is None else f"{schema}.`{name}`",
            schema=schema,
            folder=folder,
        )
        for name, table in TABLES.items()
    }
    return _DeltaCatalog(location, tables)


def _is_local(spark: SparkSession, base: str) -> bool:
    """Whether Spark too takes `base` for a folder of this machine."""
    try:
        hadoop = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 (Hadoop's settings have no other door)
    except (AttributeError, PySparkException):
        return False  # Spark Connect: its driver is somewhere else.
    return base.startswith("/") and str(hadoop.get("fs.defaultFS")).startswith("file:")


def _schema_of(location: str) -> str:
    """The schema's name, quoted, that `schema:NAME` gives."""
    name = location.removeprefix("schema:").strip()
    if not _SCHEMA.fullmatch(name):
        raise ConfigError(
            "this names no schema",
            where=f"catalog: {location}",
            hint="write schema:NAME or schema:CATALOG.NAME, of letters, digits and underscores",
        )
    return ".".join(f"`{part}`" for part in name.split("."))


class _DeltaCatalog:
    def __init__(self, location: str, tables: dict[str, CatalogTable]) -> None:
        self.location = location
        self._keysets = tables["keysets"]
        self._columns = tables["columns"]
        self._runs = tables["runs"]
        self._budgets = tables["budgets"]

    def __repr__(self) -> str:
        return f"delta_catalog({self.location!r})"

    def keysets(self) -> tuple[KeysetRecord, ...]:
        found = self._keysets.read(KeysetRecord)
        return tuple(sorted(found, key=_keyset_key))

    def add_keysets(self, records: Iterable[KeysetRecord]) -> tuple[KeysetRecord, ...]:
        wanted = list(records)
        there = {_keyset_key(each): each for each in self.keysets()} if wanted else {}
        # The first of two equal names counts: a MERGE inserts both of two equal source rows.
        missing = {_keyset_key(each): each for each in reversed(wanted)}
        missing = {key: each for key, each in missing.items() if key not in there}
        if missing:
            self._keysets.insert(missing.values())
            there = {_keyset_key(each): each for each in self.keysets()}
        try:
            return tuple(there[_keyset_key(each)] for each in wanted)
        except KeyError as error:
            raise InternalError(
                "a keyset that was just stored is not there", where=str(error)
            ) from None

    def runs(self) -> tuple[RunRecord, ...]:
        found = self._runs.read(RunRecord)
        return tuple(sorted(found, key=lambda each: (each.started_at, each.run_id)))

    def run(self, run_id: str) -> RunRecord | None:
        found = self._runs.read(RunRecord, {"run_id": [run_id]})
        return found[0] if found else None

    def begin_run(self, record: RunRecord) -> RunRecord:
        self._runs.insert([record])
        return self._now(record)

    def update_run(self, record: RunRecord, *, held_by: str | None) -> RunRecord:
        only = (
            (F.col("run_id") == record.run_id)
            & (F.col("run_uid") == record.run_uid)
            & (F.col("state") != "COMMITTED")
        )
        if held_by is not None:
            only &= F.col("owner") == held_by
        self._runs.update_run(only, record, CHANGING, held_by)
        return self._now(record)

    def add_columns(self, records: Iterable[ColumnRecord]) -> None:
        latest = {(each.run_uid, each.path): each for each in records}
        uids = {each.run_uid for each in latest.values()}
        earlier = self._columns.read(ColumnRecord, {"run_uid": uids}) if uids else []
        if earlier:
            self._columns.upsert(latest.values())
        elif latest:
            self._columns.insert(latest.values())

    def columns(self, target: str | None = None) -> tuple[ColumnRecord, ...]:
        only = {} if target is None else {"target": [target]}
        found = self._columns.read(ColumnRecord, only)
        return tuple(sorted(found, key=lambda each: (each.run_uid, each.path)))

    def budget_events(self) -> tuple[BudgetRecord, ...]:
        return tuple(sorted(self._budgets.read(BudgetRecord), key=lambda each: each.seq))

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        self._budgets.ensure()
        replace(self._budgets, notes=(record.seq, _LEDGER)).insert([record])
        now = self._budgets.read(BudgetRecord, {"seq": [record.seq]})
        if not now:
            # An event of this number was committed once, and a RESTORE has left it behind.
            raise CatalogError(
                f"the privacy budgets have lost event {record.seq}: the table was put back",
                where=self._budgets.place,
                hint="RESTORE it to the last version of before that; what was spent stays spent",
            )
        return now[0]

    def _now(self, record: RunRecord) -> RunRecord:
        now = self.run(record.run_id)
        if now is None:
            raise no_such_run(record.run_id)
        return now


def _keyset_key(record: KeysetRecord) -> tuple[str, str, int]:
    return record.scope, record.primitive, record.version
