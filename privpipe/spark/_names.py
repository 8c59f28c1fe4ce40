"""Names of tables: a path or URI, or a name in Spark's catalog."""

from __future__ import annotations

import os
import re
from pathlib import Path

from delta import DeltaTable
from pyspark.sql import SparkSession

from privpipe.errors import UsageError

__all__ = ["absolute_target", "delta_table", "is_path", "transaction_id"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_SQL_PATH = re.compile(r"delta\.`([^`]+)`", re.IGNORECASE)
_FILES = (".avro", ".csv", ".json", ".orc", ".parquet")


def is_path(target: str) -> bool:
    """Whether `target` names files rather than a table of Spark's catalog.

    A path has a slash or a scheme, ends like a data file, or is there already; a name is anything
    else. Backticks are a name's, so `` db.`a/b` `` is one.
    """
    if target.startswith(("/", "./", "../")) or target in (".", "..") or _SCHEME.match(target):
        return True
    if "`" in target:
        return _SQL_PATH.fullmatch(target) is not None
    return "/" in target or target.lower().endswith(_FILES) or Path(target).exists()


def absolute_target(target: str, cwd: str | Path) -> str:
    """`target` in the one spelling that holds wherever it is read.

    A local path is absolute and without `file:`, `.` and `..` (symbolic links stay); a URI loses
    its last slash; a name of Spark's catalog stays as it is.
    """
    named = target.strip()
    if not named:
        raise UsageError("a place is empty", hint="give a path, or a table's name")
    if not is_path(named) and not _exists(named, cwd):
        return named
    inner = _SQL_PATH.fullmatch(named)
    place = inner.group(1) if inner else named
    if place.startswith("file:"):
        # Spark reads what follows `file:` as it stands, so no percent sign is decoded here.
        return os.path.normpath("/" + place.removeprefix("file:").lstrip("/"))
    if _SCHEME.match(place):
        return place.rstrip("/")
    return os.path.normpath(Path(cwd) / place)


def delta_table(spark: SparkSession, target: str) -> DeltaTable:
    """The Delta table at `target`, a path, a URI or a name. Raises what Delta raises."""
    if is_path(target):
        return DeltaTable.forPath(spark, target)
    return DeltaTable.forName(spark, target)


def transaction_id(run_uid: str) -> str:
    """The transaction by which Delta makes a second commit of the same run a no-op."""
    return f"privpipe:{run_uid}"


def _exists(name: str, cwd: str | Path) -> bool:
    return "`" not in name and (Path(cwd) / name).exists()
