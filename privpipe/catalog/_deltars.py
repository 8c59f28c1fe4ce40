"""A catalog folder read through delta-rs: no JVM, so a look at it takes well under a second."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from privpipe.catalog._deltars_kept import keep_rows, kept_rows
from privpipe.catalog._records import BudgetRecord, ColumnRecord, KeysetRecord, RunRecord
from privpipe.catalog._rows import from_row
from privpipe.catalog._store import Catalog
from privpipe.catalog._tables import TABLES
from privpipe.errors import CatalogAccess

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_misread", "open_folder", "read_rows", "uri_of"]

_MISREAD = re.compile(r"%[0-9A-Fa-f]{2}|[\x00-\x1f\x7f\\]")
R = TypeVar("R", KeysetRecord, ColumnRecord, RunRecord, BudgetRecord)


def open_folder(path: str | Path) -> Catalog:
    """The catalog in the folder or URI `path`, to look at only: its writes raise CatalogAccess.

    A folder or table that is not there reads as empty. Raises CatalogAccess for `schema:NAME`.
    """
    location = str(path)
    if location.startswith("schema:"):
        raise CatalogAccess(
            "a catalog in a schema of Spark's own catalog is read through Spark",
            where=location,
            hint="open it with Spark: privpipe.spark.open_home(...).catalog",
        )
    return _FolderCatalog(location)


class _FolderCatalog:
    def __init__(self, location: str) -> None:
        self.location = location

    def keysets(self) -> tuple[KeysetRecord, ...]:
        found = self._all(KeysetRecord, "keysets")
        return tuple(sorted(found, key=lambda each: (each.scope, each.primitive, each.version)))

    def runs(self) -> tuple[RunRecord, ...]:
        found = self._all(RunRecord, "runs")
        return tuple(sorted(found, key=lambda each: (each.started_at, each.run_id)))

    def run(self, run_id: str) -> RunRecord | None:
        return next((each for each in self._all(RunRecord, "runs") if each.run_id == run_id), None)

    def columns(self, target: str | None = None) -> tuple[ColumnRecord, ...]:
        found = [
            each for each in self._all(ColumnRecord, "columns") if target in (None, each.target)
        ]
        return tuple(sorted(found, key=lambda each: (each.run_uid, each.path)))

    def add_keysets(self, records: Iterable[KeysetRecord]) -> tuple[KeysetRecord, ...]:
        raise self._read_only("keysets", records)

    def begin_run(self, record: RunRecord) -> RunRecord:
        raise self._read_only("runs", record)

    def update_run(self, record: RunRecord, *, held_by: str | None) -> RunRecord:
        raise self._read_only("runs", record, held_by)

    def add_columns(self, records: Iterable[ColumnRecord]) -> None:
        raise self._read_only("columns", records)

    def budget_events(self) -> tuple[BudgetRecord, ...]:
        return tuple(sorted(self._all(BudgetRecord, "budgets"), key=lambda each: each.seq))

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        raise self._read_only("budgets", record)

    def _read_only(self, table: str, *_: object) -> CatalogAccess:
        return CatalogAccess(
            f"this catalog was opened to look at only, so {table} cannot be written",
            where=self.location,
            hint="open it with Spark: privpipe.spark.open_home(...).catalog",
        )

    def _all(self, kind: type[R], name: str) -> list[R]:
        return [from_row(kind, row) for row in read_rows(self.location, name)]


def uri_of(location: str, name: str) -> str:
    """Where the table lies; Spark reads what follows `file:` as it stands, and so does this."""
    if location.startswith("file:"):
        return f"/{location.removeprefix('file:').strip('/')}/{name}"
    if "://" in location:
        return f"{location.rstrip('/')}/{name}"
    return str(Path(location).absolute() / name)


def read_rows(location: str, name: str) -> Sequence[Mapping[str, Any]]:
    """The rows of one of the catalog's tables, times in microseconds; none where it is not there.

    Raises CatalogAccess where delta-rs cannot read it.
    """
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder
    from deltalake.exceptions import DeltaError

    uri = uri_of(location, name)
    if Path(uri).parent.is_file():
        raise _unreadable(location, "a file stands where its folder must be")
    try:
        if uri.startswith("/"):
            _may_enter(Path(uri))
        kept = kept_rows(uri)
        if kept is not None:
            return kept
        with _spelled(uri) as place:
            if not DeltaTable.is_deltatable(place):
                return []
            # Not `to_pyarrow_table`, nor `pa.table`: both import pandas, and take twice the time.
            query = f"SELECT * FROM {name}"  # noqa: S608 (a name in TABLES)
            table = DeltaTable(place)
            stream = QueryBuilder().register(name, table).execute(query)
            data = pa.RecordBatchReader.from_stream(stream).read_all()
    except (DeltaError, pa.ArrowException, OSError) as error:
        raise _unreadable(location, f"{name} does not open ({type(error).__name__})") from None
    # An earlier version's table lacks what this one may leave empty.
    needed = {column.name for column in TABLES[name].columns if not column.nullable}
    if not needed <= set(data.column_names):
        raise _unreadable(location, f"its {name} is another table")
    rows = _with_integer_times(data, name)
    keep_rows(uri, table.version(), rows)
    return rows


def is_misread(uri: str) -> bool:
    """Whether delta-rs would find another folder than the one at `uri`, or none."""
    return uri.startswith("/") and bool(_MISREAD.search(os.path.realpath(uri)))


@contextmanager
def _spelled(uri: str) -> Iterator[str]:
    """The table at `uri` where delta-rs finds it, which decodes percent signs in a path (and would
    read another folder), refuses control characters, and follows links to what they stand for. Of
    such a table it reads a copy; a catalog holds nothing in clear."""
    if not is_misread(uri):
        yield uri
        return
    with TemporaryDirectory(prefix="privpipe-") as folder:
        place, log = Path(folder) / "table", "_delta_log"
        if (Path(uri) / log).is_dir():
            # The log first: what it names is there, whatever is committed meanwhile. What a writer
            # is about to rename has a dot before its name, and may be gone when it is copied.
            copytree(Path(uri) / log, place / log, ignore=ignore_patterns(".*"))
            copytree(uri, place, ignore=ignore_patterns(log, ".*"), dirs_exist_ok=True)
        yield str(place)


def _may_enter(table: Path) -> None:
    """Raises OSError for a folder that may not be looked into: it would pass for one not there."""
    for folder in (table.parent, table, table / "_delta_log"):
        with suppress(FileNotFoundError), os.scandir(folder):
            pass


def _unreadable(location: str, why: str) -> CatalogAccess:
    return CatalogAccess(
        f"the catalog cannot be read: {why}",
        where=location,
        hint="check the folder that the project file names, and who may read it",
    )


def _with_integer_times(data: pa.Table, name: str) -> Sequence[Mapping[str, Any]]:
    import pyarrow as pa

    for column in TABLES[name].columns:
        if column.kind == "timestamp" and column.name in data.column_names:
            micros = data.column(column.name).cast(pa.timestamp("us", "UTC")).cast(pa.int64())
            data = data.set_column(data.column_names.index(column.name), column.name, micros)
    rows: list[dict[str, Any]] = data.to_pylist()
    return rows
