"""What others encrypted, opened leaf by leaf: what their formats have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import BinaryType, DataType, StringType, StructField

from privpipe import arrow
from privpipe.errors import DecryptionError, InvalidValue, PolicyError, SchemaError, UsageError
from privpipe.policy import parse_path
from privpipe.spark._intervals import from_months, to_months
from privpipe.spark._leaves import actual_path, leaf_type, quoted, replace_leaf
from privpipe.spark._lips import sealed_lips

__all__ = ["Opening", "Pick", "by_group", "key_file", "open_leaves", "opened_values"]

Work = Callable[[pa.Array], pa.Array]
Pick = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One leaf to open: its path as the user spells it, its type in clear, and what a worker does
    to its values. `work` travels, so it holds names of files at most."""

    text: str
    kind: DataType
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    text: str
    path: arrow.Path
    work: Work


def key_file(path: str | os.PathLike[str]) -> str:
    """The absolute path of a key file, which may be named as `file:secrets/key`."""
    named = os.fspath(path).removeprefix("file:")
    if not named.strip():
        raise UsageError("a key file's name is empty", hint="is a variable of the shell unset?")
    return str(Path(named).absolute())


def open_leaves(df: DataFrame, openings: Sequence[Opening], on_error: str) -> DataFrame:
    """`df` with these leaves opened, lazily; all else as it is."""
    if on_error not in ("fail", "null"):
        raise UsageError(f"unknown on_error {on_error!r}", hint="one of fail, null")
    grouped: dict[str, list[Opening]] = {}
    for opening in openings:
        grouped.setdefault(_field(df, opening.text).name, []).append(opening)
    return df.select(
        *(
            _column(df.schema[name], grouped[name]) if name in grouped else F.col(quoted(name))
            for name in df.columns
        )
    )


def opened_values(open_all: Work, values: pa.Array, *, skip: bool) -> pa.Array:
    """`open_all` of a column; with `skip`, null for the values that it refuses.

    It refuses a column for one value: so the column is halved until those are alone.
    """
    if not skip:
        return open_all(values)
    try:
        return open_all(values)
    except (DecryptionError, InvalidValue):
        if len(values) == 1:
            return pa.nulls(1, pa.binary())
    half = len(values) // 2
    parts = (values.slice(0, half), values.slice(half))
    return pa.concat_arrays([opened_values(open_all, part, skip=True) for part in parts])


def by_group(groups: pa.DictionaryArray, open_group: Callable[[Any, Pick], pa.Array]) -> pa.Array:
    """What `open_group` gives of the rows of each distinct value, put back in the rows' order.

    It is called with the value and a function that picks that value's rows out of an array.
    """
    names = groups.dictionary.to_pylist()
    if not names:
        return pa.nulls(len(groups), pa.binary())
    if len(names) == 1:
        return open_group(names[0], lambda array: array)
    places = np.full(len(groups), -1, dtype=np.int64)
    parts, done = [], 0
    for code, name in enumerate(names):
        rows = pc.indices_nonzero(pc.equal(groups.indices, code))
        parts.append(open_group(name, partial(pc.take, indices=rows)))
        places[rows.to_numpy()] = np.arange(done, done + len(rows))
        done += len(rows)
    return pa.concat_arrays(parts).take(pa.array(places, mask=places < 0))


def _field(df: DataFrame, text: str) -> StructField:
    try:
        name = str(parse_path(text)[0])
    except PolicyError as error:
        raise UsageError(error.message, where=f"column {text}", hint=error.hint) from None
    alike = [field for field in df.schema.fields if field.name.lower() == name.lower()]
    exact = [field for field in alike if field.name == name]
    if not alike:
        raise SchemaError(
            "no such column", where=f"column {text}", hint=f"there are: {', '.join(df.columns)}"
        )
    return (exact or alike)[0]


def _column(field: StructField, openings: Sequence[Opening]) -> Column:
    carried, moved = to_months(F.col(quoted(field.name)), field.dataType)
    plain: DataType = field.dataType
    leaves = []
    for opening in openings:
        path = _leaf_path(field, opening)
        # What others encrypt may be a null.
        moved = replace_leaf(moved, path, opening.kind, nullable=True)
        plain = replace_leaf(plain, path, opening.kind, nullable=True)
        leaves.append(_Leaf(text=opening.text, path=path, work=opening.work))
    opened = _opened_udf(tuple(leaves), moved)(carried)
    return from_months(opened, plain).alias(field.name, metadata={})


def _leaf_path(field: StructField, opening: Opening) -> arrow.Path:
    where = f"column {opening.text}"
    try:
        path = actual_path(field.dataType, parse_path(opening.text)[1:])
        found = leaf_type(field.dataType, path)
    except SchemaError as error:
        raise SchemaError(error.message, where=where, hint="see the table's schema") from None
    if not isinstance(found, (StringType, BinaryType)):
        raise SchemaError(
            f"a column of type {found.simpleString()} holds no ciphertexts",
            where=where,
            hint="name a string or binary column, or such a part of a nested one",
        )
    return path


def _opened_udf(leaves: tuple[_Leaf, ...], returns: DataType) -> Any:
    def opened(column: pa.Array) -> pa.Array:
        for leaf in leaves:
            with sealed_lips(leaf.text):
                column = arrow.map_leaf(column, leaf.path, leaf.work, nullable=True)
        return column

    # The kind comes from the body's hints, as in `_udf`.
    return arrow_udf(opened, returns)  # type: ignore[call-overload]
