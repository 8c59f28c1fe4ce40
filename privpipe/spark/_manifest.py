"""What a Delta table's log says of its files, read without a job: on a disk of this machine, by
delta-rs. A count by Spark is a job of a tenth of a second, and so is a listing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.sql import SparkSession

from privpipe.catalog import is_misread
from privpipe.spark._target import local_path

__all__ = ["Manifest", "manifest_of"]

# A clone names files of the table that it was cloned from, by their whole paths.
_ELSEWHERE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:|(.*/)?\.\.(/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of one version: the rows in all of them, where that is said of each and none of
    them is deleted; and whether all lie in the table's own folder."""

    rows: int | None
    own: bool


def manifest_of(spark: SparkSession, place: str, version: int) -> Manifest | None:
    """The files of the table at `place` in that version; None where its log is not read here."""
    path = local_path(spark, place)
    if path is None or not path.is_absolute() or is_misread(str(path)):
        return None
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

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
        own=not any(map(_ELSEWHERE.match, paths)),
    )
