"""A catalog folder written through delta-rs: a commit in some hundredths of a second.

What is decided stands on one version of the table, and is committed as the next one or not at all.
delta-rs links a commit's file under its name, which fails where one is there. Spark's writer on a
local disk looks and then renames, so the two must not meet: who writes is decided by the folder and
the table in it alone, alike in every process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from privpipe.catalog._deltars import is_misread, uri_of
from privpipe.catalog._records import Record, RunRecord
from privpipe.catalog._rows import to_row
from privpipe.catalog._tables import TABLES, Table
from privpipe.errors import CatalogAccess, EngineError, PrivpipeError

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
    from deltalake.table import TableMerger

__all__ = ["Outrun", "is_written_here", "merge_rows", "update_run"]

_FEATURES = {"appendOnly", "invariants"}  # the features of every table that Spark makes
_CHECKPOINT = 10  # commits, as with Spark
_MANY = 50  # files, as with Spark's autoCompact

_FORBIDDEN = (
    "this process may not write there",
    "give it write access, or name another catalog in the project file",
)
_FULL = ("the disk is full", "free some space and run it again")
_SIGNS: tuple[tuple[str, type[PrivpipeError], tuple[str, str]], ...] = (
    ("Permission denied", CatalogAccess, _FORBIDDEN),
    ("Operation not permitted", CatalogAccess, _FORBIDDEN),
    ("Read-only file system", CatalogAccess, _FORBIDDEN),
    ("No space left on device", EngineError, _FULL),
    ("quota exceeded", EngineError, _FULL),
)


class Outrun(Exception):
    """Another writer's commit came between: what was decided must be decided anew."""


def is_written_here(location: str, name: str) -> bool:
    """Whether the table is there, and of a kind that every process writes through delta-rs."""
    return _open(location, TABLES[name]) is not None


def merge_rows(
    location: str,
    name: str,
    records: Iterable[Record],
    *,
    replace: bool,
    notes: tuple[int, str] | None = None,
) -> bool:
    """Adds the records whose key is not there; `replace`s the others, or leaves them. With `notes`,
    a number and an application, it does nothing where as high a number is noted.

    False where it is Spark's to write. Raises Outrun, and CatalogAccess or EngineError.
    """
    spec = TABLES[name]
    same = " AND ".join(f"t.{key} = s.{key}" for key in spec.key)
    values = {f"`{each.name}`": f"s.`{each.name}`" for each in spec.columns}

    def clauses(merge: TableMerger) -> TableMerger:
        merge = merge.when_matched_update(values) if replace else merge
        return merge.when_not_matched_insert(values)

    return _merge(location, spec, _source(spec, records), same, clauses, notes)


def update_run(
    location: str, record: RunRecord, changing: Iterable[str], *, held_by: str | None
) -> bool:
    """Sets the `changing` columns of a run that is not COMMITTED, where `held_by` holds it.

    False where it is Spark's to write. Raises Outrun, and CatalogAccess or EngineError.
    """
    import pyarrow as pa

    spec = TABLES["runs"]
    source = _source(spec, [record]).append_column("held_by", pa.array([held_by], pa.string()))
    same = "t.run_id = s.run_id AND t.run_uid = s.run_uid AND t.state <> 'COMMITTED'"
    if held_by is not None:
        same += " AND t.owner = s.held_by"
    values = {f"`{name}`": f"s.`{name}`" for name in changing}
    return _merge(location, spec, source, same, lambda merge: merge.when_matched_update(values))


def _merge(
    location: str,
    spec: Table,
    source: pa.Table,
    same: str,
    clauses: Callable[[TableMerger], TableMerger],
    notes: tuple[int, str] | None = None,
) -> bool:
    table = _open(location, spec)
    if table is None:
        return False
    read = table.version()
    try:
        if notes is not None and (table.transaction_version(notes[1]) or 0) >= notes[0]:
            return True
        # The predicate stands in the log: it names columns, and the values come as data. Streamed,
        # so that delta-rs does not put the source's least and greatest key into it.
        merge = table.merge(
            source,
            same,
            "s",
            "t",
            streamed_exec=True,
            commit_properties=_once(notes),
            post_commithook_properties=_nothing_more(),
        )
        clauses(merge).execute()
    except _faults() as error:
        if _was_outrun(error, location, spec, read):
            raise Outrun from None
        raise _failed(error, uri_of(location, spec.name)) from None
    if table.version() > read:
        # The write stands, so that no fault of what follows is a fault of it.
        with suppress(*_faults()):
            _tidy(table)
    return True


def _was_outrun(error: Exception, location: str, spec: Table, read: int) -> bool:
    from deltalake.exceptions import CommitFailedError

    now = _open(location, spec) if isinstance(error, CommitFailedError) else None
    return now is not None and now.version() > read


def _open(location: str, spec: Table) -> DeltaTable | None:
    """The table; None where it is not there, or Spark's to write (or to say what is wrong)."""
    from deltalake import DeltaTable

    uri = uri_of(location, spec.name)
    if not uri.startswith("/") or is_misread(uri):
        return None
    try:
        if not DeltaTable.is_deltatable(uri):
            return None
        table = DeltaTable(uri)
        return table if _is_ours(table, spec) and _knows_links(os.path.realpath(uri)) else None
    except _faults():
        return None


def _faults() -> tuple[type[Exception], ...]:
    """What delta-rs raises."""
    from deltalake.exceptions import DeltaError

    return DeltaError, OSError, ValueError, RuntimeError


def _is_ours(table: DeltaTable, spec: Table) -> bool:
    """Whether the table has all columns, and no feature beyond those that it was made with."""
    if not {column.name for column in spec.columns} <= {
        each.name for each in table.schema().fields
    }:
        return False
    if table.metadata().configuration.get("delta.appendOnly") == "true":
        return False
    protocol = table.protocol()
    if protocol.min_reader_version != 1:
        return False
    # From version 7 on, each feature is named.
    return protocol.min_writer_version <= 2 or (
        protocol.min_writer_version == 7 and set(protocol.writer_features or ()) <= _FEATURES
    )


@lru_cache(maxsize=64)
def _knows_links(table: str) -> bool:
    """Whether the file system knows hard links, without which delta-rs commits nothing. True where
    nothing can be written at all: a write says why."""
    with suppress(OSError), TemporaryDirectory(prefix=".privpipe-", dir=table) as folder:
        one = Path(folder) / "one"
        one.touch()
        try:
            os.link(one, Path(folder) / "two")
        except OSError:
            return False
    return True


def _once(notes: tuple[int, str] | None = None) -> CommitProperties:
    """A commit that lost its version is not put behind the winner's, whatever the two hold."""
    from deltalake import CommitProperties, Transaction

    if notes is None:
        return CommitProperties(max_commit_retries=0)
    number, application = notes
    # In milliseconds. Where it is not said, Delta takes the transaction for expired: forgotten.
    noted = Transaction(application, number, last_updated=time.time_ns() // 10**6)
    return CommitProperties(max_commit_retries=0, app_transactions=[noted])


def _nothing_more() -> PostCommitHookProperties:
    from deltalake import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


def _tidy(table: DeltaTable) -> None:
    """Checkpoints every tenth version, and makes one file of many. It removes no file of data; of
    the log's what is older than Delta keeps it, and before a checkpoint."""
    if table.version() % _CHECKPOINT == 0:
        table.create_checkpoint()
        if table.metadata().configuration.get("delta.enableExpiredLogCleanup") != "false":
            table.cleanup_metadata()
    if len(table.file_uris()) > _MANY:
        table.optimize.compact(
            commit_properties=_once(), post_commithook_properties=_nothing_more()
        )


def _failed(error: Exception, place: str) -> PrivpipeError:
    """The error, of whose text nothing but a sign is kept."""
    text = str(error)
    for sign, kind, (cause, hint) in _SIGNS:
        if sign in text:
            return kind(f"writing the catalog failed: {cause}", where=place, hint=hint)
    return EngineError(
        f"writing the catalog failed in delta-rs with {type(error).__name__}",
        where=place,
        hint="run it again; `privpipe doctor` checks the project",
    )


def _source(spec: Table, records: Iterable[Record]) -> pa.Table:
    import pyarrow as pa

    kinds = {"string": pa.string(), "bigint": pa.int64(), "timestamp": pa.timestamp("us", "UTC")}
    columns = zip(*(to_row(record) for record in records), strict=True)
    arrays = [
        pa.array(values, pa.int64() if each.kind == "timestamp" else kinds[each.kind]).cast(
            kinds[each.kind]
        )
        for each, values in zip(spec.columns, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=[each.name for each in spec.columns])
