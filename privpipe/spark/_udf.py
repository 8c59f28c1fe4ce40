"""The Arrow UDFs: what runs on an executor, on one batch of one top-level column.

A UDF's closure holds `LeafTask`s: paths, contexts and `KeyRef`s. A key is opened in the executor's
own process and stays there. Every body is wrapped: Spark writes an executor's error text to the
event log, so nothing but our own coded messages may leave it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import BooleanType, DataType, LongType, StructField, StructType

from privpipe import arrow
from privpipe.errors import DecryptionError, EncodingError, InternalError
from privpipe.policy import Fernet
from privpipe.spark._lips import sealed_lips
from privpipe.spark._task import LeafTask, Row
from privpipe.spark._works import WORKS, Open

__all__ = ["damage_udf", "protect_udf", "rekey_udf", "reveal_each_udf", "reveal_udf"]

# A pyspark UDF is a plain callable from columns to a column; its own type is not public.
Udf = Any


def protect_udf(tasks: tuple[LeafTask, ...], returns: DataType) -> Udf:
    """Protects the leaves of one column; it is called with that column, and then those beside.

    Declared random unless every leaf is deterministic.
    """

    def protect(column: pa.Array, *beside: pa.Array) -> pa.Array:
        for task in tasks:
            with sealed_lips(task.column):
                column = _protected(task, column, beside)
        return column

    udf = _scalar(protect, returns)
    # Spark may evaluate a deterministic expression twice and expects one answer; random nonces
    # give two.
    fixed = all(task.deterministic for task in tasks)
    return udf if fixed else udf.asNondeterministic()


def rekey_udf(pairs: tuple[tuple[LeafTask, LeafTask], ...], returns: DataType) -> Udf:
    """Opens each leaf as the first of its tasks says and protects it as the second says.

    Called with the column, the columns beside as they were, and the same as they will be. One
    value that does not authenticate fails the batch.
    """

    def rekey(column: pa.Array, *beside: pa.Array) -> pa.Array:
        old, new = beside[: len(beside) // 2], beside[len(beside) // 2 :]
        for task, anew in pairs:
            with sealed_lips(task.column):
                plain = _opened(task, column, old)
                column = _protected(anew, plain, new)
        return column

    udf = _scalar(rekey, returns)
    fixed = all(anew.deterministic for _, anew in pairs)
    return udf if fixed else udf.asNondeterministic()


def reveal_udf(tasks: tuple[LeafTask, ...], returns: DataType) -> Udf:
    """Opens the leaves of one column; one value that does not authenticate fails the batch."""

    def reveal(column: pa.Array, *beside: pa.Array) -> pa.Array:
        for task in tasks:
            with sealed_lips(task.column):
                column = _opened(task, column, beside)
        return column

    return _scalar(reveal, returns)


def reveal_each_udf(tasks: tuple[LeafTask, ...], returns: DataType) -> Udf:
    """Opens what authenticates: `struct<value, damaged>`, damaged leaves null."""

    def reveal_each(column: pa.Array, *beside: pa.Array) -> pa.Array:
        damaged = np.zeros(len(column), dtype=bool)
        for task in tasks:
            with sealed_lips(task.column):
                column, bad = _open_leaf(column, task, beside, release=True)
                damaged |= bad > 0
        return pa.StructArray.from_arrays([column, pa.array(damaged)], names=["value", "damaged"])

    shape = StructType(
        [StructField("value", returns), StructField("damaged", BooleanType(), nullable=False)]
    )
    return _scalar(reveal_each, shape)


def damage_udf(tasks: tuple[LeafTask, ...]) -> Udf:
    """How many leaves of a row hold a value, and how many of those do not authenticate."""

    def damage(column: pa.Array, *beside: pa.Array) -> pa.Array:
        held = np.zeros(len(column), dtype=np.int64)
        damaged = np.zeros(len(column), dtype=np.int64)
        for task in tasks:
            with sealed_lips(task.column):
                held += _held(column, task.path)
                damaged += _open_leaf(column, task, beside, release=False)[1]
        return pa.StructArray.from_arrays(
            [pa.array(held), pa.array(damaged)], names=["held", "damaged"]
        )

    counts = [StructField(name, LongType(), nullable=False) for name in ("held", "damaged")]
    return _scalar(damage, StructType(counts))


def _scalar(body: Callable[..., pa.Array], returns: DataType) -> Udf:
    # The kind comes from the body's hints; pyspark's stub knows only the kind as an argument,
    # which its code warns of.
    return arrow_udf(body, returns)  # type: ignore[call-overload]


def _protected(task: LeafTask, column: pa.Array, beside: tuple[pa.Array, ...]) -> pa.Array:
    row = Row(column=column, path=task.path, beside=beside)
    work = WORKS[task.protection]
    return arrow.map_leaf(column, task.path, lambda leaf: work.protect(task, leaf, row))


def _opened(task: LeafTask, column: pa.Array, beside: tuple[pa.Array, ...]) -> pa.Array:
    row = Row(column=column, path=task.path, beside=beside)

    def opened(leaf: pa.Array) -> pa.Array:
        values, sound = _way_back(task)(task, leaf, row)
        if not sound.all():
            raise _damaged(task)
        return arrow.decode(values, task.plain)

    return arrow.map_leaf(column, task.path, opened)


def _damaged(task: LeafTask) -> DecryptionError:
    hint = "`privpipe verify` says which files hold damage"
    if task.ids is not None:
        text = "a token's key id is none of its keyset's, or is missing; or it is no token at all"
        return DecryptionError(text, hint=hint)
    if task.protection == "fernet":
        ttl = task.told(Fernet).ttl
        age = "" if ttl is None else f", older than its ttl of {ttl} seconds"
        text = f"a token did not open: another key, altered bytes{age}, or from the future"
        return DecryptionError(text, hint="--on-error null or quarantine goes round such tokens")
    text = "a value did not authenticate: another key or context, or altered bytes"
    return DecryptionError(text, hint=hint)


def _way_back(task: LeafTask) -> Open:
    back = WORKS[task.protection].open
    if back is None:
        raise InternalError(f"{task.protection} has no way back", where=f"column {task.column}")
    return back


def _open_leaf(
    column: pa.Array, task: LeafTask, beside: tuple[pa.Array, ...], *, release: bool
) -> tuple[pa.Array, np.ndarray]:
    """The column with this leaf opened where it authenticates, and damaged leaves a row."""
    row = Row(column=column, path=task.path, beside=beside)
    damaged = np.zeros(len(column), dtype=np.int64)

    def open_each(leaf: pa.Array) -> pa.Array:
        nonlocal damaged
        values, opened = _way_back(task)(task, leaf, row)
        decoded, sound = _decode_each(values, task.plain)
        rows = arrow.leaf_rows(column, task.path)
        damaged = np.bincount(rows[~(opened & sound)], minlength=len(column)).astype(np.int64)
        return decoded if release else leaf

    nullable = True if release else None
    return arrow.map_leaf(column, task.path, open_each, nullable=nullable), damaged


def _decode_each(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    """The values, null where the bytes are none of the type, and the mask of those that are.

    What authenticates under a domain may be another type's value: a bigint that no int holds.
    """
    try:
        return arrow.decode(values, kind), np.ones(len(values), dtype=np.bool_)
    except EncodingError:
        if len(values) == 1:
            return pa.nulls(1, kind), np.zeros(1, dtype=np.bool_)
    half = len(values) // 2
    parts = [_decode_each(part, kind) for part in (values[:half], values[half:])]
    decoded = pa.concat_arrays([part.cast(kind) for part, _ in parts])
    return decoded, np.concatenate([sound for _, sound in parts])


def _held(column: pa.Array, path: arrow.Path) -> np.ndarray:
    valid = arrow.leaf(column, path).is_valid().to_numpy(zero_copy_only=False)
    rows = arrow.leaf_rows(column, path)[valid]
    return np.bincount(rows, minlength=len(column)).astype(np.int64)
