"""`open_k2`: fields that Kryptonite for Kafka encrypted, opened with its own keysets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, StringType

from privpipe.errors import KeysetNotFound, SchemaError, UsageError
from privpipe.kernels import parse_k2, read_avro
from privpipe.keys import open_keyset_file
from privpipe.spark._intervals import carried_type
from privpipe.spark._opened import Opening, Pick, by_group, key_file, open_leaves, opened_values
from privpipe.spark._schema import parse_wanted
from privpipe.spark._types import arrow_type

__all__ = ["open_k2"]

_JSON = "json"

KeyFile = str | os.PathLike[str]


def open_k2(
    df: DataFrame,
    columns: Sequence[str],
    keys: Mapping[str, KeyFile],
    types: Mapping[str, str] | None = None,
    on_error: Literal["fail", "null"] = "fail",
) -> DataFrame:
    """`df` with the k2 fields in `columns` (paths: `name`, `visits[].note`) opened, lazily.

    `keys` gives the file of each of Kryptonite's keysets by its identifier, which every field
    names: Tink's cleartext JSON, as it stands in Kryptonite's configuration under `material`, mode
    0600, at the same path on every executor. `types` gives a column's type in Spark's DDL, string
    unless given; `json` gives each value as JSON text, where they have no one type. All opened
    columns may be null, as what was encrypted may be.

    A value that is no k2 field, or does not authenticate, raises InvalidValue or DecryptionError
    when it is read; with `on_error="null"` it is null. A keyset that is not given (KeysetNotFound)
    and a value of another type than was asked for (EncodingError) are errors in either case.
    """
    if not keys:
        raise UsageError("no keyset is given", hint="keys={'keyA': 'secrets/keyA.json'}")
    files = tuple((name, key_file(path)) for name, path in keys.items())
    kinds = dict(types or {})
    stray = [name for name in kinds if name not in columns]
    if stray or not columns:
        raise UsageError(
            "a type is given for a column that is not opened" if stray else "no column is named",
            where=f"column {stray[0]}" if stray else None,
            hint="name it in `columns` too",
        )
    openings = []
    for text in columns:
        kind, wanted = _kind(text, kinds.get(text, "string"))
        task = _Task(files=files, skip=on_error == "null")
        openings.append(Opening(text=text, kind=kind, work=partial(_work, task, wanted)))
    return open_leaves(df, openings, on_error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    files: tuple[tuple[str, str], ...]
    skip: bool


def _kind(column: str, ddl: str) -> tuple[DataType, pa.DataType | None]:
    """The Spark type, and its Arrow type; None for JSON text."""
    if ddl.strip().lower() == _JSON:
        return StringType(), None
    kind = parse_wanted({column: ddl}).kinds[column]
    if carried_type(kind) != kind:
        raise SchemaError(
            f"no value of Avro's is a {kind.simpleString()}",
            where=f"column {column}",
            hint="ask for string or json, and cast that",
        )
    return kind, arrow_type(kind)


def _work(task: _Task, wanted: pa.DataType | None, values: pa.Array) -> pa.Array:
    opened = opened_values(partial(_opened, task), values, skip=task.skip)
    return read_avro(opened, as_json=True) if wanted is None else read_avro(opened, wanted)


def _opened(task: _Task, values: pa.Array) -> pa.Array:
    files = dict(task.files)
    fields = parse_k2(values)

    def opened(name: str, pick: Pick) -> pa.Array:
        if name not in files:
            # The name is not told: it stands in a value, and is not authenticated yet.
            raise KeysetNotFound(
                "a field names a keyset that is not given",
                hint=f"given are: {', '.join(files)}; `privpipe inspect` shows the names in use",
            )
        aad = fields.aad if isinstance(fields.aad, bytes) else pick(fields.aad)
        return open_keyset_file(files[name]).decrypt(pick(fields.ciphertexts), aad)

    return by_group(fields.key_ids, opened)
