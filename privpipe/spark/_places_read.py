"""Which places a run reads, in the one name that each has: so that the same data are charged to
one budget, by whatever name, path or DataFrame somebody comes to them.

What names no files cannot be seen: rows that the session made, other databases, and copies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from privpipe.catalog import DATAFRAME
from privpipe.catalog.ledger import same_data
from privpipe.errors import BudgetError, PrivpipeError
from privpipe.spark._errors import translated
from privpipe.spark._files_read import as_it_is, tables_read
from privpipe.spark._names import is_path
from privpipe.spark._workspace import Workspace

__all__ = ["one_name", "places_read", "places_told"]


def places_read(
    work: Workspace, df: DataFrame, source: str | None = None, version: int | None = None
) -> dict[str, int | None]:
    """The places that `df` reads, as the catalog keeps places, for a `Reservation`'s `sources`.

    `source` is what the user named, and `version` its Delta version, which `df` is of. A table's
    name may be given to another, so where its files lie is told beside it. Files that lie elsewhere
    are told too: those of a view, or of a table that was joined.

    Raises: BudgetError where nothing is named and `df` reads no file.
    """
    found: dict[str, int | None] = {}
    if source is not None:
        kept = work.keep(source)
        found = dict.fromkeys((kept, one_name(work)(kept)), version)
    known = tuple(found)
    with translated("looking up what the release reads"):
        tables = tables_read(df)
    for place in sorted({work.keep(table) for table in tables}):
        if not any(same_data(place, each) for each in known):
            found[place] = None
    if not found:
        raise BudgetError(
            "this DataFrame reads no files, so nobody can say whose data it holds",
            hint="release from a table or a file, by path or name",
        )
    return found


def places_told(work: Workspace, df: DataFrame, source: str) -> dict[str, int | None]:
    """The same for a run that charges nothing, which no question about its source may stop.

    `source` as the catalog keeps it. Empty where nothing can be said of it beyond that: the lineage
    then knows the source's own name, and of a DataFrame nothing. The catalog's own tables, as the
    vaults are, hold no row of anybody's source.
    """
    try:
        found = places_read(work, df, None if source == DATAFRAME else work.find(source))
        own = f"{work.keep(work.catalog.location)}/"
        return {place: at for place, at in found.items() if not f"{place}/".startswith(own)}
    except (PrivpipeError, PySparkException, Py4JError, OSError, ValueError):
        return {}


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
            return as_it_is(str(detail["location"]))
    except (PySparkException, Py4JError):
        pass  # A table of another format, perhaps, or none that is there now.
    try:
        tables = tables_read(work.spark.table(name))
    except (PySparkException, Py4JError):
        return None
    return tables.pop() if len(tables) == 1 else None
