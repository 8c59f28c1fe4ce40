"""What Spark and Delta say about the catalog's tables, told as ours."""

from __future__ import annotations

from privpipe.errors import CatalogAccess, EngineError, PrivpipeError
from privpipe.spark._errors import condition_of, is_conflict, said_by_us

__all__ = ["is_absent", "refused", "was_outrun"]

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
    "DELTA_TABLE_ALREADY_EXISTS",
    "SCHEMA_ALREADY_EXISTS",
    "TABLE_OR_VIEW_ALREADY_EXISTS",
}


def is_absent(error: BaseException) -> bool:
    """Is the table not there (yet)?"""
    return condition_of(error) in _ABSENT


def was_outrun(error: BaseException) -> bool:
    """Did another process commit, or make the table, in between? Then it is tried again."""
    return is_conflict(error) or condition_of(error) in _MADE_MEANWHILE


def refused(error: BaseException, place: str, what: str) -> PrivpipeError:
    """The error for a table of the catalog that cannot be `what` (read, written, made)."""
    said = said_by_us(error, "x")
    return CatalogAccess(f"the catalog cannot be {what}", where=place, hint=said.hint)
