"""Takes fields out of structs, wherever they lie, with Spark's own expressions."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructField, StructType

from privpipe.arrow import Path
from privpipe.errors import InternalError
from privpipe.spark._leaves import actual_path, quoted

__all__ = ["shape_without", "without"]


def without(column: Column, kind: DataType, drops: Iterable[Path]) -> tuple[Column, DataType]:
    """`column` of type `kind` less the fields at `drops` (paths from the top-level column on)."""
    for path in drops:
        below = actual_path(kind, path[1:])
        column, kind = _drop(column, kind, below), _shape(kind, below)
    return column, kind


def shape_without(kind: DataType, drops: Iterable[Path]) -> DataType:
    """The type that `without` gives a column of type `kind`."""
    for path in drops:
        kind = _shape(kind, actual_path(kind, path[1:]))
    return kind


def _drop(column: Column, kind: DataType, path: Path) -> Column:
    step, below = path[0], path[1:]
    if isinstance(kind, ArrayType):
        return F.transform(column, lambda item: _drop(item, kind.elementType, below))
    if isinstance(kind, MapType):
        return F.transform_values(column, lambda _, value: _drop(value, kind.valueType, below))
    struct, name = _struct(kind, step)
    if not below:
        return column.dropFields(quoted(name))
    inner = _drop(column.getField(name), struct[name].dataType, below)
    return column.withField(quoted(name), inner)


def _shape(kind: DataType, path: Path) -> DataType:
    step, below = path[0], path[1:]
    if isinstance(kind, ArrayType):
        return ArrayType(_shape(kind.elementType, below), kind.containsNull)
    if isinstance(kind, MapType):
        return MapType(kind.keyType, _shape(kind.valueType, below), kind.valueContainsNull)
    struct, name = _struct(kind, step)
    fields = []
    for field in struct.fields:
        if field.name != name:
            fields.append(field)
        elif below:
            inner = _shape(field.dataType, below)
            fields.append(StructField(name, inner, field.nullable, field.metadata))
    return StructType(fields)


def _struct(kind: DataType, step: object) -> tuple[StructType, str]:
    if not isinstance(kind, StructType) or not isinstance(step, str):
        raise InternalError(f"no field can be left out of a {kind.typeName()}")
    return kind, step
