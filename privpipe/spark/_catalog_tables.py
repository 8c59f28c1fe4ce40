"""One table of the Delta catalog: made when first written, read, and merged into."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import sleep
from types import MappingProxyType
from typing import Any, TypeVar

from delta import DeltaTable
from delta.tables import DeltaMergeBuilder
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, StringType, StructField, StructType, TimestampType

from privpipe.catalog import (
    BudgetRecord,
    ColumnRecord,
    KeysetRecord,
    Outrun,
    Record,
    RunRecord,
    Table,
    from_row,
    is_written_here,
    merge_rows,
    read_rows,
    to_row,
    update_run,
)
from privpipe.errors import CatalogAccess, TryAgain
from privpipe.spark._catalog_errors import is_absent, may_be_under_way, refused, was_outrun
from privpipe.spark._noted import KEPT_FOR_GOOD, table_that_notes
from privpipe.spark._target import is_bare_log
from privpipe.spark._transaction import refuse_transaction

__all__ = ["CatalogTable"]

_TYPES: Mapping[str, DataType] = {
    "string": StringType(),
    "bigint": LongType(),
    "timestamp": TimestampType(),
}

R = TypeVar("R", KeysetRecord, ColumnRecord, RunRecord, BudgetRecord)

_ALL: Mapping[str, Collection[str | int]] = MappingProxyType({})

_ATTEMPTS = 10
_PATIENCE = 6  # attempts, some seconds in all, for another process to finish making the table
_GIVEN_UP = 3  # attempts, a second in all, after which a log without a commit is a dead process's


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogTable:
    """A table of the catalog at `place`: a path, or a quoted name in the schema `schema`. Where the
    catalog is a `folder` of this machine's, it is read and written without Spark, some ten times as
    fast, once Spark has made the table.

    Records travel as a small DataFrame, never as SQL text, so that no wrapped keyset and no
    policy stands in a plan. With `notes`, a number and an application, a commit notes the number.
    """

    spark: SparkSession
    table: Table
    place: str
    schema: str | None
    folder: str | None = None
    notes: tuple[int, str] | None = None

    def read(self, kind: type[R], only: Mapping[str, Collection[str | int]] = _ALL) -> list[R]:
        """All records, or those that have one of the given values in each column that `only` names;
        none where the table is not there."""
        return [from_row(kind, row) for row in self._rows(only)]

    def _rows(self, only: Mapping[str, Collection[str | int]]) -> Sequence[Mapping[str, Any]]:
        if self.folder is not None:
            try:
                rows = read_rows(self.folder, self.table.name)
            except CatalogAccess:
                pass  # Spark may read it still, or else says what is wrong.
            else:
                return [row for row in rows if all(row[name] in only[name] for name in only)]
        return self._rows_by_spark(only)

    def _rows_by_spark(
        self, only: Mapping[str, Collection[str | int]]
    ) -> Sequence[Mapping[str, Any]]:
        try:
            frame = self._open().toDF()
            there = set(frame.columns)
            for name, values in only.items():
                frame = frame.where(F.col(name).isin(list(values)))
            times = [
                F.unix_micros(column.name).alias(column.name)
                if column.kind == "timestamp"
                else F.col(column.name)
                for column in self.table.columns
                # An earlier version's table lacks what this one may leave empty.
                if column.name in there or not column.nullable
            ]
            rows: list[dict[str, Any]] = frame.select(*times).toArrow().to_pylist()
        except (PySparkException, Py4JError) as error:
            if is_absent(error):
                return []
            raise refused(error, self.place, "reading") from None
        return rows

    def ensure(self) -> None:
        """Makes the table unless it is there."""
        self._write(lambda _: None, lambda folder: is_written_here(folder, self.table.name))

    def insert(self, records: Iterable[Record]) -> None:
        """Adds those whose key is not there. `records` holds no key twice."""
        values = self._values()

        def insert(merge: DeltaMergeBuilder) -> DeltaMergeBuilder:
            return merge.whenNotMatchedInsert(values=values)

        self._merge(list(records), insert, replace=False)

    def upsert(self, records: Iterable[Record]) -> None:
        """Adds or replaces, by key. `records` holds no key twice."""
        values = self._values()

        def upsert(merge: DeltaMergeBuilder) -> DeltaMergeBuilder:
            return merge.whenMatchedUpdate(set=values).whenNotMatchedInsert(values=values)

        self._merge(list(records), upsert, replace=True)

    def update_run(
        self, only: Column, record: RunRecord, changing: Sequence[str], held_by: str | None
    ) -> None:
        """Sets the `changing` columns of the run for which `only` holds, that is, of one that is
        not COMMITTED and held by `held_by`. For Spark they become literals: short ones."""
        self._write(
            lambda table: self._update(table, only, record, changing),
            lambda folder: update_run(folder, record, changing, held_by=held_by),
        )

    def _update(
        self, table: DeltaTable, only: Column, record: RunRecord, changing: Sequence[str]
    ) -> None:
        columns: dict[str, str | Column] = {
            column.name: F.lit(getattr(record, column.name)).cast(column.kind)
            for column in self.table.columns
            if column.name in changing
        }
        if not columns.keys() <= set(table.toDF().columns):
            # An update gives a table no columns, and a merge does, whatever it finds to add.
            self._merge_into(
                table, [], lambda merge: merge.whenNotMatchedInsert(values=self._values())
            )
            table = self._open()
        table.update(condition=only, set=columns)

    def _merge(
        self,
        records: Sequence[Record],
        clauses: Callable[[DeltaMergeBuilder], DeltaMergeBuilder],
        *,
        replace: bool,
    ) -> None:
        def merge_here(folder: str) -> bool:
            return merge_rows(folder, self.table.name, records, replace=replace, notes=self.notes)

        self._write(lambda table: self._merge_into(table, records, clauses), merge_here)

    def _merge_into(
        self,
        table: DeltaTable,
        records: Sequence[Record],
        clauses: Callable[[DeltaMergeBuilder], DeltaMergeBuilder],
    ) -> None:
        same = " AND ".join(f"t.{name} = s.{name}" for name in self.table.key)
        source = self._source(records)
        merging = table.alias("t").merge(source.alias("s"), same)
        if not set(source.columns) <= set(table.toDF().columns):
            # Made by an earlier version: it gets the columns that have come since.
            merging = merging.withSchemaEvolution()
        clauses(merging).execute()

    def _write(
        self, step: Callable[[DeltaTable], object], here: Callable[[str], bool] | None = None
    ) -> None:
        """Takes the step, again whenever another writer's commit came between: `here`, in a folder,
        without Spark; or `step`, where that says False."""
        for attempt in range(_ATTEMPTS):
            pause = 1.0
            try:
                if here is None or self.folder is None or not here(self.folder):
                    self._take_by_spark(step, decided=here is None)
            except Outrun:
                pause = 0.2  # its commits are that much shorter
            except (PySparkException, Py4JError) as error:
                if is_absent(error):
                    if attempt >= _GIVEN_UP and self._is_begun_only():
                        self._create_over_log()
                    else:
                        self._create(last=attempt >= _PATIENCE)
                elif not was_outrun(error):
                    raise refused(error, self.place, "writing") from None
            else:
                return
            # Jitter parts those who collided; the cap keeps a crowd from waiting for minutes.
            sleep(pause * random.uniform(0.05, 0.2) * min(2**attempt, 32))  # noqa: S311
        raise TryAgain(
            f"other jobs wrote the catalog's {self.table.name} first, {_ATTEMPTS} times",
            where=self.place,
            hint="run it again with the same --run-id",
        )

    def _take_by_spark(self, step: Callable[[DeltaTable], object], *, decided: bool) -> None:
        refuse_transaction(self.spark)
        table = self._open()
        # Another process may have made the table since it was looked for.
        if not decided and self.folder and is_written_here(self.folder, self.table.name):
            raise Outrun
        step(table)

    def _open(self) -> DeltaTable:
        if self.notes is not None:
            named = self.schema is not None
            # Spark Connect has no such door: there, a RESTORE is not noticed.
            with suppress(AttributeError):
                return table_that_notes(self.spark, self.place, *self.notes, named=named)
        if self.schema is None:
            return DeltaTable.forPath(self.spark, self.place)
        return DeltaTable.forName(self.spark, self.place)

    def _create(self, *, last: bool) -> None:
        """Makes the table unless it is there by now, made by another process perhaps.

        A folder with something in it and no table yet may be one that another process is just
        filling, so that counts as an error the `last` time only.
        """
        try:
            builder = DeltaTable.createIfNotExists(self.spark)
            if self.schema is None:
                builder = builder.location(self.place)
            else:
                self.spark.sql(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
                builder = builder.tableName(self.place)
            for column in self.table.columns:
                builder = builder.addColumn(
                    column.name, column.kind, nullable=column.nullable, comment=column.comment
                )
            for name, value in self._properties().items():
                builder = builder.property(name, value)
            builder.comment(self.table.comment).execute()
        except (PySparkException, Py4JError) as error:
            if not (was_outrun(error) or (may_be_under_way(error) and not last)):
                raise refused(error, self.place, "writing") from None

    def _is_begun_only(self) -> bool:
        return self.schema is None and is_bare_log(self.spark, self.place)

    def _create_over_log(self) -> None:
        """Makes the table where one who was about to has died, or met a full disk.

        Delta takes the folder for a table then, and creates none. A write asks the log alone; it
        leaves every column nullable, which no reader here minds.
        """
        fields = [
            StructField(each.name, _TYPES[each.kind], metadata={"comment": each.comment})
            for each in self.table.columns
        ]
        empty = self.spark.createDataFrame([], StructType(fields))
        try:
            empty.write.format("delta").mode("error").options(**self._properties()).save(self.place)
        except (PySparkException, Py4JError) as error:
            if not was_outrun(error):
                raise refused(error, self.place, "writing") from None

    def _properties(self) -> dict[str, str]:
        return {
            "delta.enableDeletionVectors": "false",  # a reader without Spark may not know them
            "delta.autoOptimize.autoCompact": "true",  # every run adds a small file or two
            "delta.dataSkippingStatsColumns": ",".join(self.table.key),
            **KEPT_FOR_GOOD,
        }

    def _source(self, records: Iterable[Record]) -> DataFrame:
        columns = self.table.columns
        schema = StructType(
            [
                StructField(each.name, StringType() if each.kind == "string" else LongType())
                for each in columns
            ]
        )
        rows: Sequence[tuple[str | int | None, ...]] = [to_row(record) for record in records]
        return (
            self.spark.createDataFrame(rows, schema)
            .coalesce(1)
            .select(
                *(
                    F.timestamp_micros(each.name).alias(each.name)
                    if each.kind == "timestamp"
                    else F.col(each.name)
                    for each in columns
                )
            )
        )

    def _values(self) -> dict[str, str | Column]:
        return {f"`{each.name}`": f"s.`{each.name}`" for each in self.table.columns}
