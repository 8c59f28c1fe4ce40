"""`open_k2_to`: a source of k2 fields, opened into a new target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pyspark.sql import DataFrame, SparkSession

from privpipe.keys import open_keyset_file
from privpipe.policy import parse_path
from privpipe.spark._errors import translated
from privpipe.spark._k2 import KeyFile, open_k2
from privpipe.spark._names import absolute_target
from privpipe.spark._opened import key_file
from privpipe.spark._output import refuse_lone_null, refuse_taken, write_clear
from privpipe.spark._own_session import session_or_own
from privpipe.spark._source import read_source, refuse_malformed
from privpipe.spark._staged import staged
from privpipe.spark._target import refuse_forgotten_name, refuse_no_place, refuse_same_place

__all__ = ["open_k2_to"]


def open_k2_to(
    source: str | Path,
    target: str | Path,
    columns: Sequence[str],
    keys: Mapping[str, KeyFile],
    types: Mapping[str, str] | None = None,
    on_error: Literal["fail", "null"] = "fail",
    *,
    spark: SparkSession | None = None,
) -> int:
    """Writes `source` with its k2 fields opened, as `open_k2` does, to a new `target`; the rows.

    `.csv` and `.parquet` by the target's suffix, Delta otherwise. Nothing is left at the target
    where a value fails. Without `spark`, a session is built for it.
    """
    for file in keys.values():
        # Here, before the source is read: a field of no key would be told of first.
        open_keyset_file(key_file(file))
    read_from, place = (absolute_target(str(each), Path.cwd()) for each in (source, target))
    with session_or_own(spark) as session:
        if spark is None:
            refuse_forgotten_name(session, place)
        refuse_no_place(session, place)
        refuse_taken(session, place)
        refuse_same_place(session, read_from, place)
        df = read_source(session, read_from)
        opened = open_k2(df, columns, keys, types, on_error)
        refuse_malformed(session, read_from)
        return _written(opened, place, columns, wanted=_rows(df))


def _rows(df: DataFrame) -> int:
    with translated("counting the source's rows"):
        return df.count()


def _written(opened: DataFrame, place: str, columns: Sequence[str], *, wanted: int) -> int:
    refuse_lone_null(opened, place)
    names = {str(parse_path(text)[0]).lower() for text in columns}
    with staged(place) as beside:
        return write_clear(opened, beside, names, wanted=wanted)
