"""Applies an expression to one leaf of a nested column, with Spark's own expressions."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from privpipe.arrow import Path, Step
from privpipe.errors import InternalError
from privpipe.spark._leaves import actual_path, quoted

__all__ = ["map_expression"]


Change = Callable[[Column, DataType], Column]


def map_expression(source: Column, kind: DataType, path: Path, change: Change) -> Column:
    """`source`, a column of type `kind`, with `change` applied to the leaf at `path` below it.

    Structs, arrays and maps that are null stay null; the other fields, their order, nullability
    and metadata stay, and so do the keys of maps. `change` is handed the leaf and its type.

    Raises: SchemaError where there is no such leaf.
    """
    return _mapped(source, kind, actual_path(kind, path), change, nullable=True)


def _mapped(
    source: Column, kind: DataType, path: Path, change: Change, *, nullable: bool
) -> Column:
    if not path:
        return change(source, kind)
    step, below = path[0], path[1:]
    if isinstance(kind, StructType) and isinstance(step, str):
        return _in_struct(source, kind, path, change, nullable=nullable)
    if isinstance(kind, ArrayType) and step is Step.ELEMENT:
        inner, may = kind.elementType, kind.containsNull
        return F.transform(source, lambda item: _mapped(item, inner, below, change, nullable=may))
    if isinstance(kind, MapType) and step is Step.VALUES:
        inner, may = kind.valueType, kind.valueContainsNull
        return F.transform_values(
            source, lambda _, value: _mapped(value, inner, below, change, nullable=may)
        )
    raise InternalError(f"no {step!s} lies in a {kind.typeName()}")


def _in_struct(
    source: Column, kind: StructType, path: Path, change: Change, *, nullable: bool
) -> Column:
    name, below = str(path[0]), path[1:]
    hit = kind[name]

    def inner(row: Column) -> Column:
        value = row.getField(name)
        return _mapped(value, hit.dataType, below, change, nullable=hit.nullable)

    if not hit.metadata:
        return source.withField(quoted(name), inner(source))

    # `withField` would lose the comment of the field that it sets.
    def fields(row: Column) -> Column:
        return F.struct(
            *(
                (inner(row) if f is hit else row.getField(f.name)).alias(
                    f.name, metadata=f.metadata
                )
                for f in kind.fields
            )
        )

    if not nullable:
        return fields(source)
    # The fields of a struct that may be null may themselves be null, says Spark, and would lose
    # their `not null`. In an array without nulls it knows better.
    return F.get(F.transform(F.array_compact(F.array(source)), fields), F.lit(0))
