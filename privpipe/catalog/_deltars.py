"""A catalog folder read through delta-rs: no JVM, so a look at it takes well under a second."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlparse

from privpipe.catalog._records import ColumnRecord, KeysetRecord, RunRecord
from privpipe.catalog._rows import from_row
from privpipe.catalog._store import Catalog
from privpipe.catalog._tables import TABLES
from privpipe.errors import CatalogAccess

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["open_folder"]

R = TypeVar("R", KeysetRecord, ColumnRecord, RunRecord)


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

    def _read_only(self, table: str, *_: object) -> CatalogAccess:
        return CatalogAccess(
            f"this catalog was opened to look at only, so {table} cannot be written",
            where=self.location,
            hint="open it with Spark: privpipe.spark.open_home(...).catalog",
        )

    def _all(self, kind: type[R], name: str) -> list[R]:
        rows = _read(_uri(self.location, name), name, self.location)
        return [from_row(kind, row) for row in rows]


def _uri(location: str, name: str) -> str:
    url = urlparse(location)
    if url.scheme in ("", "file"):
        return str(Path(unquote(url.path) if url.scheme else location).absolute() / name)
    return f"{location.rstrip('/')}/{name}"


def _read(uri: str, name: str, location: str) -> list[dict[str, Any]]:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        if not DeltaTable.is_deltatable(uri):
            return []
        data = DeltaTable(uri).to_pyarrow_table()
    except (DeltaError, OSError) as error:
        raise CatalogAccess(
            f"the catalog's table {name} cannot be read ({type(error).__name__})",
            where=location,
            hint="check that the folder is there and may be read; with Spark: `privpipe doctor`",
        ) from None
    return _with_integer_times(data, name)


def _with_integer_times(data: pa.Table, name: str) -> list[dict[str, Any]]:
    import pyarrow as pa

    times = {column.name for column in TABLES[name].columns if column.kind == "timestamp"}
    for position, column in enumerate(data.column_names):
        if column in times:
            micros = data.column(position).cast(pa.timestamp("us", "UTC")).cast(pa.int64())
            data = data.set_column(position, column, micros)
    rows: list[dict[str, Any]] = data.to_pylist()
    return rows
