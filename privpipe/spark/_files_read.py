"""Where the rows of a DataFrame lie: the folders and files that its plan reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from privpipe.catalog import manifest_of
from privpipe.catalog.ledger import same_data
from privpipe.spark._past import read_version
from privpipe.spark._target import local_path

__all__ = ["as_it_is", "tables_read"]

# A data file as Spark names it: one of a table's, which is the folder that it lies in.
_PART = re.compile(r"part-\d{5}-")
# Files that lie alone in a folder; of more than these, the folder is told.
_MOST_ALONE = 100
# Leaves of a plan that read none, and what finds the files of a relation, by their classes' names.
_NO_FILES = frozenset({"LocalRelation", "LogicalRDD", "OneRowRelation", "Range"})
_LISTED, _OF_DELTA = "InMemoryFileIndex", "TahoeLogFileIndex"


def tables_read(df: DataFrame) -> set[str]:
    """The folders of the tables that `df` reads, and the files that are each a table alone. None
    bears a value that a partition's folder is named by.

    Two doors, since neither tells all. The plan's relations name the folders that were asked for,
    with no listing, and of what Spark has cached too, which its own `inputFiles` passes over; that
    in turn knows the files of a shallow clone, and of tables in Hive's formats, and is a job: it is
    asked where a relation's files may lie elsewhere. Neither knows of what table changes are read.

    Raises what Spark raises.
    """
    leaves = tuple(_leaves(df))
    found = {_table_of(_above_partitions(root)) for leaf in leaves for root in _roots(leaf)}
    if not all(_in_its_roots(df.sparkSession, leaf) for leaf in leaves):
        changed = (file for leaf in leaves for file in _files_changed(df.sparkSession, leaf))
        files = {_table_of(as_it_is(file)) for file in (*df.inputFiles(), *changed)}
        found |= {file for file in files if not any(same_data(file, root) for root in found)}
    alone = Counter(_folder(place) for place in found)
    crowded = {folder for folder, number in alone.items() if number > _MOST_ALONE}
    return {_folder(place) if _folder(place) in crowded else place for place in found}


def as_it_is(place: str) -> str:
    """A place as it is spelled on its disk: Delta tells it so, others with percent escapes."""
    is_local = place.startswith("file:")
    if is_local and Path("/" + place.removeprefix("file:").lstrip("/")).exists():
        return place
    return unquote(place)


def _leaves(df: DataFrame) -> Iterator[Any]:
    plan = df._jdf.queryExecution().analyzed()  # noqa: SLF001 (plans have no other door from here)
    for part in (plan, *_each(plan.subqueriesAll())):
        yield from _each(part.collectLeaves())


def _roots(leaf: Any) -> Iterator[str]:
    """The folders and files that were asked for, as they are spelled on their disk."""
    try:
        roots = leaf.relation().location().rootPaths()
    except Py4JError:  # it reads no files, or not as a relation of files
        changes = _changes(leaf)
        yield from () if changes is None else (changes[0],)
        return
    yield from (str(root.toString()) for root in _each(roots))


def _changes(leaf: Any) -> tuple[str, set[int]] | None:
    """The table whose change feed it reads, and its versions before the first change, behind that
    one, and now; None where it reads none."""
    try:
        relation = leaf.relation()
        log, first = relation.deltaLog(), int(relation.startingVersion().get())
        versions = {max(first - 1, 0), first, int(relation.snapshotForBatchSchema().version())}
        return str(log.dataPath().toString()), versions
    except Py4JError:
        return None


def _files_changed(spark: SparkSession, leaf: Any) -> Iterator[str]:
    """The files of the table whose change feed it reads, of which a clone has some elsewhere."""
    place, versions = _changes(leaf) or ("", set[int]())
    for version in versions:
        with suppress(PySparkException, Py4JError):  # of which the log says nothing any more
            yield from read_version(spark, place, version).inputFiles()


def _in_its_roots(spark: SparkSession, leaf: Any) -> bool:
    """Whether all files that it reads are known to lie there."""
    if leaf.getClass().getSimpleName() in _NO_FILES:
        return True
    try:
        location = leaf.relation().location()
        if location.getClass().getSimpleName() != _OF_DELTA:
            return bool(location.getClass().getSimpleName() == _LISTED)
        path = local_path(spark, str(location.path().toString()))
        found = None if path is None else manifest_of(path, location.getSnapshot().version())
    except Py4JError:
        return False
    return found is not None and found.own


def _each(found: Any) -> Iterator[Any]:
    return (found.apply(at) for at in range(found.size()))


def _table_of(file: str) -> str:
    """The folder of the table that a data file is of, or the file itself where it is one alone."""
    folder = _folder(file)
    if not _PART.match(file[len(folder) + 1 :]) and "=" not in folder.rpartition("/")[2]:
        return file
    return _above_partitions(folder)


def _above_partitions(folder: str) -> str:
    while "=" in folder.rpartition("/")[2]:
        folder = _folder(folder)
    return folder


def _folder(place: str) -> str:
    return place.rpartition("/")[0]
