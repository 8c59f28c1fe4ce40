"""The groups of a release, each with its place: public ones from the spec, others from the data.

Which groups the data have is itself a secret: it reaches the driver, and leaves it only as far as
the selection lets groups show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from itertools import product
from operator import and_
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    StringType,
    StructField,
    StructType,
)

from privpipe.errors import BudgetError, SchemaError, SpecError
from privpipe.features import GROUP, OURS, ExactSpec, Group, Spec, column_place, place_of
from privpipe.spark._errors import translated
from privpipe.spark._handed import handed
from privpipe.spark._leaves import quoted
from privpipe.spark.features._periods import is_listed, literal_date

__all__ = [
    "Groups",
    "Listed",
    "find_groups",
    "group_fields",
    "listed_rows",
    "listed_values",
]

Listed: TypeAlias = Sequence[list[object] | None]
"""Of each group its listed values, in its column's own type; None where they are selected."""

_MOST = 1_000_000
# An integer as Spark writes it, which needs no job to be read; and how far each type goes.
_PLAIN = re.compile(r"0|-?[1-9][0-9]{0,18}")
_ENDS = {"tinyint": 1 << 7, "smallint": 1 << 15, "int": 1 << 31, "bigint": 1 << 63}
# How Spark keeps that a column of text is declared `char`, which it fills with blanks.
_DECLARED, _CHAR = "__CHAR_VARCHAR_TYPE_STRING", re.compile(r"char\(([0-9]+)\)")
_KINDS = (BooleanType, DateType, DecimalType, IntegralType, StringType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """All groups that a release may show: `values` has a row for each, in the order of places.

    `names` has a number of each, by which the pass chooses among a unit's groups. It follows from
    the spec or from the group's own values: a place would not do, since who brings a group that
    comes before others moves theirs.
    """

    fields: StructType
    values: pa.Table
    names: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.values.num_rows)

    def placed(self, df: DataFrame) -> DataFrame:
        """The rows of `df` that are in one of them, with its place in `GROUP`."""
        spark = df.sparkSession
        if not self.fields:
            return df.withColumn(GROUP, F.lit(0))
        named = [f"{GROUP}_{at}" for at in range(len(self.fields))]
        placed = self.values.rename_columns(named)
        placed = placed.append_column(GROUP, pa.array(range(len(self)), pa.int32()))
        right = handed(spark, placed)
        same = [
            _same(F.col(quoted(field.name)), F.col(name).cast(field.dataType), placed.column(name))
            for field, name in zip(self.fields, named, strict=True)
        ]
        return df.join(F.broadcast(right), reduce(and_, same), "inner").drop(*named)


def _same(value: Column, listed: Column, values: pa.ChunkedArray) -> Column:
    """Equal; and null to null, where a group is of null. A join that need not tell nulls apart
    has one key in place of two, which is twice as fast."""
    return value.eqNullSafe(listed) if values.null_count else value == listed


def find_groups(df: DataFrame, spec: Spec, listed: Listed | None = None) -> Groups:
    """The groups that the spec names, or, where it selects, those that `df` has; `listed` are the
    values of `listed_values`, where they are known.

    Raises: SchemaError for a column that cannot be grouped by, SpecError for a value that its
    column's type does not have, BudgetError for more than a million groups.
    """
    fields = group_fields(df, spec)
    if not spec.groups:
        return _public(fields, pa.table({"nothing": pa.array([True])}))
    if not spec.selected:
        listed = listed_values(df, spec) if listed is None else listed
        every = list(product(*(values for values in listed if values is not None)))
        values = pa.table(
            {
                group.column: pa.array([each[at] for each in every])
                for at, group in enumerate(spec.groups)
            }
        )
        return _public(fields, values)
    return _present(listed_rows(df, spec, listed), fields)


def _public(fields: StructType, values: pa.Table) -> Groups:
    return Groups(fields=fields, values=values, names=np.arange(values.num_rows, dtype=np.int64))


def group_fields(df: DataFrame, spec: Spec | ExactSpec) -> StructType:
    """The columns to group by. Raises: SchemaError for one that makes no groups, and for any column
    of the spec that could be taken for one of ours: what says whether a group may show, say."""
    for column in spec.columns:
        if column.lower().startswith(OURS):
            text = f"the column {column} has a name that begins with {OURS}"
            where = column_place(spec, column)
            raise SchemaError(text, where=where, hint="rename it in a view")
    return StructType([_field(df, group, spec) for group in spec.groups])


def listed_rows(df: DataFrame, spec: Spec | ExactSpec, listed: Listed | None = None) -> DataFrame:
    """The rows of `df` whose groups have listed values, where the spec lists some.

    Raises: SchemaError and SpecError, as `find_groups`.
    """
    listed = listed_values(df, spec) if listed is None else listed
    for group, values in zip(spec.groups, listed, strict=True):
        if values is not None:
            df = df.where(is_listed(F.col(quoted(group.key)), group, values))
    return df


def listed_values(df: DataFrame, spec: Spec | ExactSpec) -> Listed:
    """The values that the spec lists, as its columns have them; reads no row.

    Raises: SchemaError and SpecError, as `find_groups`.
    """
    fields = group_fields(df, spec)
    return [
        None if group.values is None else _cast(df, group, field.dataType, spec)
        for group, field in zip(spec.groups, fields, strict=True)
    ]


def _field(df: DataFrame, group: Group, spec: Spec | ExactSpec) -> StructField:
    where = place_of(spec, f"groups.{group.column}", group.line)
    field = df.schema[group.key]
    if not isinstance(field.dataType, _KINDS):
        raise SchemaError(
            f"groups by a {field.dataType.simpleString()}",
            where=where,
            hint="text, integers, decimals, dates and booleans make groups",
        )
    if isinstance(field.dataType, StringType) and field.dataType.collation != "UTF8_BINARY":
        # Of spellings that are equal one would stand for the group: somebody's own.
        raise SchemaError(
            f"groups by text of collation {field.dataType.collation}",
            where=where,
            hint="one spelling: cast the column to string where the table is made",
        )
    return StructField(group.key, field.dataType)


def _cast(df: DataFrame, group: Group, kind: DataType, spec: Spec | ExactSpec) -> list[object]:
    """The listed values, in the column's own type."""
    texts = list(group.values or ())
    if group.period is not None:
        return [date.fromisoformat(text) for text in texts]
    width = _CHAR.fullmatch(df.schema[group.key].metadata.get(_DECLARED, ""))
    values: list[object]
    if isinstance(kind, StringType):
        values = [text if width is None else _filled(text, int(width[1])) for text in texts]
    else:
        values = _read_as(df.sparkSession, texts, kind)
    name = kind.simpleString() if width is None else width[0]
    for text, value in zip(texts, values, strict=True):
        if value is None:
            raise SpecError(
                f"{text!r} is no {name}",
                where=place_of(spec, f"groups.{group.column}", group.line),
                hint="write the values as the column has them",
            )
    if len(set(values)) < len(values):
        raise SpecError(
            f"two values are the same {name}",
            where=place_of(spec, f"groups.{group.column}", group.line),
        )
    return values


def _filled(text: str, width: int) -> str | None:
    """As a column of `char` has it: with blanks at its end."""
    bare = text.rstrip(" ")
    return bare.ljust(width) if len(bare) <= width else None


def _read_as(spark: SparkSession, texts: list[str], kind: DataType) -> list[object]:
    end = _ENDS.get(kind.simpleString(), 0)
    if all(_PLAIN.fullmatch(text) and -end <= int(text) < end for text in texts):
        return [int(text) for text in texts]
    frame = spark.createDataFrame(pa.table({"text": pa.array(texts, pa.string())}))
    cast = F.expr(f"try_cast(text AS {kind.simpleString()})")
    if isinstance(kind, DateType):  # beyond these Python has none
        cast = F.when(cast.between(*map(literal_date, (date.min, date.max))), cast)
    with translated("reading the groups' values"):
        rows = {
            row["text"]: row["value"] for row in frame.select("text", cast.alias("value")).collect()
        }
    return [rows[text] for text in texts]


def _present(df: DataFrame, fields: StructType) -> Groups:
    """The groups of the data, in order of their values, so that no row's place is told."""
    names = [quoted(field.name) for field in fields]
    found = df.select(*names).distinct().limit(_MOST + 1).orderBy(*names)
    with translated("finding the groups"):
        present = found.select(*names, F.xxhash64(*names)).toArrow()
    if present.num_rows > _MOST:
        raise BudgetError(
            f"more than {_MOST:,} groups", hint="group by fewer columns, or list public values"
        )
    return Groups(
        fields=fields,
        values=present.select(range(len(names))),
        names=present.column(len(names)).to_numpy().astype(np.int64),
    )
