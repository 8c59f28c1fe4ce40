"""The pass over the rows: one shuffle by unit, folded in Arrow, and small sums to the driver.

Rows of a unit meet in one partition by a salted hash of it. What is shuffled is that hash, the
group's place and the columns that figures are made of, which Spark writes to its shuffle files as
it does for any job: encrypted only where `spark.io.encryption.enabled` and network encryption are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
)

from privpipe.dp import Bounds
from privpipe.errors import BudgetError, SchemaError
from privpipe.features import (
    GROUP,
    HASH,
    KEY,
    NO_VALUE,
    UNIT,
    WINDOWS,
    GroupSums,
    Measure,
    bounded_sums,
    distinct_column,
    group_bits,
    merge_sums,
    of_all_rows,
)
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark._lips import sealed_lips

__all__ = ["group_sums", "value_column"]

Int64s = npt.NDArray[np.int64]
Batches: TypeAlias = Iterator[pa.RecordBatch]

_ROWS = 500_000  # of a partition
_MOST_NUMBERS = 50_000_000  # that the driver takes: 400 MB
_FEW_NUMBERS = 1_000_000
_RETURNS = "part int, grp int, numbers array<bigint>"


def group_sums(
    df: DataFrame,
    measures: Sequence[Measure],
    bounds: Bounds,
    *,
    unit: str | None,
    groups: Int64s,
    rows: int,
    salt: str,
) -> GroupSums:
    """The exact sums of bounded units by group; `GROUP` of `df` is the group's place.

    `groups` are the groups' names, as `Groups` tells them.
    `unit` is None where each row is one. `rows` is how many rows there may be: it decides into how
    many parts they go, and nothing else. Deterministic for one `salt`, however rows are spread.

    Raises: BudgetError where the groups' numbers are more than a driver takes.
    """
    width = sum(each.width for each in measures)
    if len(groups) * width > _MOST_NUMBERS:
        raise BudgetError(
            f"{len(groups):,} groups of {width:,} numbers are more than {_MOST_NUMBERS:,}",
            hint="fewer groups, bins or figures",
        )
    spark = df.sparkSession
    names = _by_place(measures)
    columns = _columns(df, of_all_rows(measures), unit, salt, names, len(groups))
    read = df.select(*columns, *_windows(measures))
    measures = [replace(each, column=names.get(each.column)) for each in measures]
    parts = max(spark.sparkContext.defaultParallelism, -(-rows // _ROWS))
    if unit is not None:
        read = read.repartition(parts, F.col(UNIT))
    fold = _folder(tuple(measures), bounds, groups, per_unit=unit is not None)
    partial = read.mapInArrow(fold, _RETURNS)
    if len(groups) * width > _FEW_NUMBERS:
        # Every part may have every group: what is of one group is merged before the driver has it.
        merge = _merger(tuple(measures))
        partial = partial.repartition(parts, F.col("grp")).mapInArrow(merge, _RETURNS)
    with translated("adding up the features"):
        told = partial.toArrow()
    return _merged(told, measures)


def value_column(name: str, kind: DataType) -> Column:
    """A column of numbers as the fold reads it: integers, or doubles.

    A decimal becomes the double nearest to it, which on a grid of at most 2^53 steps rounds to
    the same step, unless it lies half-way between two. Raises: SchemaError for anything else.
    """
    column = F.col(quoted(name))
    if isinstance(kind, BooleanType | IntegralType):
        return column.cast("bigint")
    if isinstance(kind, FloatType | DoubleType | DecimalType):
        return column.cast("double")
    raise SchemaError(
        f"a sum, mean or quantile of {name}, which is {kind.simpleString()}",
        where=f"column {name}",
        hint="a column of numbers; cast it where the table is made",
    )


def _by_place(measures: Sequence[Measure]) -> Mapping[str | None, str]:
    """What columns are called on their way: pyspark reads a name that has a dot as a path."""
    columns = dict.fromkeys(each.column for each in measures if each.column is not None)
    return {column: f"value_{at}" for at, column in enumerate(columns)}


def _columns(
    df: DataFrame,
    measures: Sequence[Measure],
    unit: str | None,
    salt: str,
    names: Mapping[str | None, str],
    groups: int,
) -> Iterator[Column]:
    hashed = []
    if unit is None:
        yield F.col(GROUP)
    else:
        first, second = (F.xxhash64(_salt(salt, name), F.col(quoted(unit))) for name in (UNIT, KEY))
        hashed = [first, second]
        yield first.alias(UNIT)
        of_unit = second.bitwiseAND(-1 << group_bits(groups))
        yield of_unit.bitwiseOR(F.col(GROUP).cast("bigint")).alias(KEY)
    single = []
    values = {each.column: each for each in measures if each.column and each.kind != "distinct"}
    for name in values:
        column = value_column(str(name), df.schema[str(name)].dataType)
        yield column.alias(names[name])
    for each in measures:
        if each.kind == "distinct":
            single.append(_hash(str(each.column), df.schema[str(each.column)].dataType))
            yield single[-1].alias(distinct_column(names[each.column]))
        elif each.binned:
            name = str(each.column)
            single.append(value_column(name, df.schema[name].dataType))
    if single and unit is not None:
        # By a row's own values: equal rows are as good as one another. Not by its group's place,
        # which depends on what groups others bring.
        yield F.xxhash64(_salt(salt, HASH), *hashed, *single).alias(HASH)


def _salt(salt: str, name: str) -> Column:
    """A number, and no text, which would be hashed anew for each row."""
    digest = hashlib.sha256(f"{salt} {name}".encode()).digest()
    return F.lit(int.from_bytes(digest[:8], "big", signed=True))


def _windows(measures: Sequence[Measure]) -> list[Column]:
    return [F.col(WINDOWS)] if any(each.window is not None for each in measures) else []


def _hash(name: str, kind: DataType) -> Column:
    column = F.col(quoted(name))
    found = F.xxhash64(column)
    taken = F.when(found == NO_VALUE, F.lit(NO_VALUE + 1)).otherwise(found)
    there = column.isNotNull()
    if isinstance(kind, FloatType | DoubleType):
        there = there & ~F.isnan(column)
    return F.when(there, taken)


def _folder(
    measures: tuple[Measure, ...], bounds: Bounds, groups: Int64s, *, per_unit: bool
) -> Callable[[Batches], Batches]:
    def fold(batches: Batches) -> Batches:
        with sealed_lips("features"):
            sums = bounded_sums(measures, bounds, groups, per_unit=per_unit)
            for batch in batches:
                sums.add(batch)
            told = sums.totals()
        yield from _batches(told)

    return fold


def _merger(measures: tuple[Measure, ...]) -> Callable[[Batches], Batches]:
    def merge(batches: Batches) -> Batches:
        with sealed_lips("features"):
            parts = list(batches)
            told = _merged(pa.Table.from_batches(parts), measures) if parts else None
        if told is not None:
            yield from _batches(told)

    return merge


def _batches(sums: GroupSums) -> Batches:
    if len(sums.groups):
        yield _batch(0, sums.groups, sums.sums)
    for at, (groups, values) in enumerate(sums.pairs, start=1):
        if len(groups):
            yield _batch(at, groups, values[:, None])


def _batch(part: int, groups: Int64s, numbers: Int64s) -> pa.RecordBatch:
    count, width = numbers.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.RecordBatch.from_arrays(
        [
            pa.array(np.full(count, part, dtype=np.int32)),
            pa.array(groups.astype(np.int32)),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(numbers.ravel())),
        ],
        names=["part", "grp", "numbers"],
    )


def _merged(told: pa.Table, measures: Sequence[Measure]) -> GroupSums:
    """Partial sums, as rows say them, to the sums of all."""
    part = told.column("part").to_numpy()
    group = told.column("grp").to_numpy().astype(np.int64)
    numbers = told.column("numbers").combine_chunks()
    width = sum(each.width for each in measures if each.kind != "distinct")
    distinct = sum(each.kind == "distinct" for each in measures)

    def of(at: int, wide: int) -> tuple[Int64s, Int64s]:
        chosen = part == at
        flat = numbers.filter(pa.array(chosen)).flatten().to_numpy()
        return group[chosen], flat.astype(np.int64).reshape(np.count_nonzero(chosen), wide)

    groups, sums = of(0, width)
    each = (of(at, 1) for at in range(1, distinct + 1))
    pairs = tuple((found, values[:, 0]) for found, values in each)
    return merge_sums([GroupSums(groups=groups, sums=sums, pairs=pairs)])
