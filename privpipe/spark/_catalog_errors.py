"""What Spark and Delta say about the catalog's tables, told as ours."""

from __future__ import annotations

from privpipe.errors import CatalogAccess, EngineError, PrivpipeError
from privpipe.spark._errors import condition_of, is_conflict, said_by_us

__all__ = ["is_absent", "may_be_under_way", "refused", "was_outrun"]

_ABSENT = {
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_PATH_DOES_NOT_EXIST",
    "DELTA_TABLE_NOT_FOUND",
    "PATH_NOT_FOUND",
    "SCHEMA_NOT_FOUND",
    "TABLE_OR_VIEW_NOT_FOUND",
}
# What a process meets whose table was made by another in between.
_MADE_MEANWHILE = {
    "DELTA_PATH_EXISTS",
    "DELTA_TABLE_ALREADY_EXISTS",
    "SCHEMA_ALREADY_EXISTS",
    "TABLE_OR_VIEW_ALREADY_EXISTS",
}
# What one meets, beside the above, who makes a table between another's making of its folder and of
# its first commit: measured, with four threads on a busy machine. Other files there give the same,
# and last.
_UNDER_WAY = {"DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"}

_ELSEWHERE = "or name another catalog in the project file"
_FORBIDDEN = ("this process may not write there", f"give it write access, {_ELSEWHERE}")
_OTHER_TABLE = ("another table lies there", f"move it away, {_ELSEWHERE}")
# A sign in Spark's text, what it means and what mends it. The first one found counts.
_CAUSES = (
    ("ParentNotDirectory", ("a file stands where its folder must be", f"move it, {_ELSEWHERE}")),
    ("Permission denied", _FORBIDDEN),
    ("Operation not permitted", _FORBIDDEN),
    ("Read-only file system", _FORBIDDEN),
    ("AccessDenied", _FORBIDDEN),
    ("AccessControlException", _FORBIDDEN),
    (
        "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION",
        (
            "files are there, of no table that Spark knows",
            "Spark's in-memory catalog forgets the tables of a schema with the session: use a "
            "metastore (spark.sql.catalogImplementation: hive) or a folder; move other files away",
        ),
    ),
    ("DELTA_CANNOT_CREATE_LOG_PATH", _FORBIDDEN),
    ("DELTA_MISSING_DELTA_TABLE", _OTHER_TABLE),
    ("UNRESOLVED_COLUMN", _OTHER_TABLE),
    (
        "CATALOG_NOT_FOUND",
        (
            "Spark has no catalog of that name",
            "set it up by spark.sql.catalog.NAME in the project file, or write schema:NAME",
        ),
    ),
    (
        "No FileSystem for scheme",
        (
            "Spark has no file system for this scheme",
            "add its jar by spark.jars.packages in the project file, or name a folder",
        ),
    ),
)


def is_absent(error: BaseException) -> bool:
    """Is the table not there (yet)?"""
    return condition_of(error) in _ABSENT


def was_outrun(error: BaseException) -> bool:
    """Did another process commit, or make the table, in between? Then it is tried again."""
    return is_conflict(error) or condition_of(error) in _MADE_MEANWHILE


def may_be_under_way(error: BaseException) -> bool:
    """While a table was made: is another process perhaps just making it?"""
    return condition_of(error) in _UNDER_WAY | _ABSENT


def refused(error: BaseException, place: str, doing: str) -> PrivpipeError:
    """The error for a table of the catalog: `doing` (reading, writing) it failed."""
    text = str(error)
    for sign, (cause, hint) in _CAUSES:
        if sign in text:
            return CatalogAccess(f"{doing} the catalog failed: {cause}", where=place, hint=hint)
    said = said_by_us(error, f"{doing} the catalog")
    return EngineError(said.message, where=place, hint=said.hint)
