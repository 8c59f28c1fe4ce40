"""What a Delta table's log says of its files, read without Spark: for a count or a listing Spark
runs a job, of a tenth of a second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from privpipe.catalog._deltars import is_misread

__all__ = ["Manifest", "manifest_of"]

# A clone names files of the table that it was cloned from, by their whole paths.
_ELSEWHERE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:|(.*/)?\.\.(/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of one version: the rows in all of them, where that is said of each and none of
    them is deleted; and whether all lie in the table's own folder."""

    rows: int | None
    own: bool


def manifest_of(path: Path, version: int) -> Manifest | None:
    """The files of the table in a folder of this machine, in that version; None where its log
    cannot be read here."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    if not path.is_absolute() or is_misread(str(path)):
        return None
    try:
        table = DeltaTable(str(path), version=version)
        files = table.get_add_actions()
        features = table.protocol().reader_features or ()
        paths = files.column("path").to_pylist()
        counts = files.column("num_records").to_pylist()
    except (DeltaError, OSError, KeyError, ValueError):
        return None
    known = "deletionVectors" not in features and None not in counts
    return Manifest(
        rows=sum(counts) if known else None,
        # A path in a log is that of a URI: `%2F` is a slash in it.
        own=not any(_ELSEWHERE.match(unquote(path)) for path in paths),
    )
