"""Rows of the catalog's tables as they were read last, for as long as no commit has come since.

A release looks at the catalog some twenty times and changes it five; to open a table again is
nearly all of what a look takes. A commit's file is never written again, so that rows of a version
are right while its file is the one that it was and the next one is not there. A folder that was put
back from a copy has other files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["keep_rows", "kept_rows"]

_MOST_TABLES = 64
_MOST_ROWS = 10_000  # of a table: they stay in memory

Row: TypeAlias = Mapping[str, Any]
File: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    version: int
    commit: File
    rows: tuple[Row, ...]


_kept: OrderedDict[str, _Read] = OrderedDict()


def kept_rows(uri: str) -> list[Row] | None:
    """The rows of the table in the folder `uri`, where they were read and still are all of it."""
    found = _kept.get(uri)
    if found is None:
        return None
    later = _file(_commit(uri, found.version + 1)) is not None
    if later or _file(_commit(uri, found.version)) != found.commit:
        _kept.pop(uri, None)
        return None
    return list(found.rows)


def keep_rows(uri: str, version: int, rows: Sequence[Row]) -> None:
    """Keeps what was read of that version."""
    commit = _file(_commit(uri, version))
    if commit is None or len(rows) > _MOST_ROWS:
        return
    _kept[uri] = _Read(version=version, commit=commit, rows=tuple(rows))
    while len(_kept) > _MOST_TABLES:
        _kept.popitem(last=False)


def _commit(uri: str, version: int) -> Path:
    return Path(uri, "_delta_log", f"{version:020}.json")


def _file(path: Path) -> File | None:
    """What tells a file from another that stood there; None where none is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
