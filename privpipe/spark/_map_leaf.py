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


def map_expression(
    source: Column, kind: DataType, path: Path, change: Callable[[Column, DataType], Column]
) -> Column:
    """`source`, a column of type `kind`, with `change` applied to the leaf at `path` below it.

    Structs, arrays and maps that are null stay null; the other fields, their order and their
    metadata stay, and so do the keys of maps. `change` is handed the leaf and its type.

    Raises: SchemaError where there is no such leaf.
    """
    return _mapped(source, kind, actual_path(kind, path), change)


def _mapped(
    source: Column, kind: DataType, path: Path, change: Callable[[Column, DataType], Column]
) -> Column:
    if not path:
        return change(source, kind)
    step, below = path[0], path[1:]
    if isinstance(kind, StructType) and isinstance(step, str):
        inner = _mapped(source.getField(step), kind[step].dataType, below, change)
        return source.withField(quoted(step), inner)
    if isinstance(kind, ArrayType) and step is Step.ELEMENT:
        return F.transform(source, lambda item: _mapped(item, kind.elementType, below, change))
    if isinstance(kind, MapType) and step is Step.VALUES:
        return F.transform_values(
            source, lambda _, value: _mapped(value, kind.valueType, below, change)
        )
    raise InternalError(f"no {step!s} lies in a {kind.typeName()}")
