"""Which places a release reads, in the one name that each has: so that the same data are charged to
one budget, by whatever name, path or DataFrame somebody comes to them.

What names no files cannot be seen: rows that the session made, other databases, and copies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from privpipe.catalog.ledger import same_data
from privpipe.errors import BudgetError
from privpipe.spark._errors import translated
from privpipe.spark._names import is_path
from privpipe.spark._workspace import Workspace

__all__ = ["one_name", "places_read"]

# A data file as Spark names it: one of a table's, which is the folder that it lies in.
_PART = re.compile(r"part-\d{5}-")


def places_read(
    work: Workspace, df: DataFrame, source: str | None = None, version: int | None = None
) -> dict[str, int | None]:
    """The places that `df` reads, as the catalog keeps places, for a `Reservation`'s `sources`.

    `source` is what the user named, and `version` its Delta version, which `df` is of. Files that
    lie elsewhere are told too: those of a view, or of a table that was joined.

    Raises: BudgetError where nothing is named and `df` reads no file.
    """
    found: dict[str, int | None] = {}
    known = []
    if source is not None:
        kept = work.keep(source)
        found[kept] = version
        known = [kept, one_name(work)(kept)]
    with translated("looking up what the release reads"):
        files = df.inputFiles()
    for place in sorted({work.keep(_table_of(_as_it_is(file))) for file in files}):
        if not any(same_data(place, each) for each in known):
            found[place] = None
    if not found:
        raise BudgetError(
            "this DataFrame reads no files, so nobody can say whose data it holds",
            hint="release from a table or a file, by path or name",
        )
    return found


def one_name(work: Workspace) -> Callable[[str], str]:
    """The one name of a place: for a table of Spark's catalog, where its files lie. For the
    ledger's `reserve`, as `same`."""

    @cache
    def name_of(kept: str) -> str:
        if is_path(kept):
            return kept
        location = _location(work, kept)
        return kept if location is None else work.keep(location)

    return name_of


def _location(work: Workspace, name: str) -> str | None:
    try:
        detail = DeltaTable.forName(work.spark, name).detail().select("location").first()
        if detail is not None:
            return _as_it_is(str(detail["location"]))
    except (PySparkException, Py4JError):
        pass  # A table of another format, perhaps, or none that is there now.
    try:
        files = {_table_of(_as_it_is(file)) for file in work.spark.table(name).inputFiles()}
    except (PySparkException, Py4JError):
        return None
    return files.pop() if len(files) == 1 else None


def _as_it_is(place: str) -> str:
    """A place as it is spelled on its disk: Delta tells it so, others with percent escapes."""
    is_local = place.startswith("file:")
    if is_local and Path("/" + place.removeprefix("file:").lstrip("/")).exists():
        return place
    return unquote(place)


def _table_of(file: str) -> str:
    """The folder of the table that a data file is of, or the file itself where it is one alone."""
    folder, _, name = file.rpartition("/")
    if not _PART.match(name):
        return file
    while "=" in folder.rpartition("/")[2]:
        folder = folder.rpartition("/")[0]
    return folder
