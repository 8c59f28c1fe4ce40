"""Spark types with a leaf in them: finding it, replacing it, naming columns."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from pyspark.sql.types import ArrayType, DataType, MapType, StructField, StructType

from privpipe.arrow import Path, Step
from privpipe.errors import SchemaError

__all__ = ["actual_path", "apart", "described", "leaf_type", "quoted", "replace_leaf", "spelt"]


def quoted(name: str) -> str:
    """A column's name as Spark's `col` takes it, whatever characters it has."""
    return "`" + name.replace("`", "``") + "`"


def apart(names: Iterable[str], beginning: str) -> str:
    """`beginning`, with underscores before it until none of `names` begins so: what a column of
    ours beside them is called by, which would take one's place, or be ambiguous."""
    there = [name.lower() for name in names]
    while any(name.startswith(beginning.lower()) for name in there):
        beginning = f"_{beginning}"
    return beginning


def spelt(names: Iterable[str], name: str) -> str:
    """That of `names` which `name` means: itself, or else the one that differs in case alone.

    Spark itself finds that only where the session's names match without regard to case.
    """
    there = list(names)
    if name in there:
        return name
    alike = [each for each in there if each.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    raise SchemaError(
        f"{len(alike) or 'no'} column(s) of the table may be meant by this one",
        where=f"column {name}",
        hint="was the table changed since it was planned, or behind privpipe's back?",
    )


def _field(kind: StructType, step: str) -> StructField:
    exact = [field for field in kind.fields if field.name == step]
    # Spark matches names without regard to case unless told otherwise, and so does a policy.
    alike = [field for field in kind.fields if field.name.lower() == step.lower()]
    if exact or alike:
        return (exact or alike)[0]
    raise SchemaError(f"no field {step!r} in the struct", hint="the table's type has changed")


def _inside(kind: DataType, step: str | Step) -> DataType:
    if isinstance(kind, StructType) and isinstance(step, str):
        return _field(kind, step).dataType
    if isinstance(kind, ArrayType) and step is Step.ELEMENT:
        return kind.elementType
    if isinstance(kind, MapType) and step is Step.VALUES:
        return kind.valueType
    raise SchemaError(
        f"the column is a {kind.typeName()}, and has no {step!s} in it",
        hint="the table's type has changed",
    )


def actual_path(kind: DataType, path: Path) -> Path:
    """`path` in the table's own spelling, which may differ in case from the policy's."""
    actual: list[str | Step] = []
    for step in path:
        if isinstance(kind, StructType) and isinstance(step, str):
            actual.append(_field(kind, step).name)
        else:
            actual.append(step)
        kind = _inside(kind, step)
    return tuple(actual)


def leaf_type(kind: DataType, path: Path) -> DataType:
    """The type at `path` below a column of type `kind`. Raises SchemaError where there is none."""
    return reduce(_inside, path, kind)


def described(kind: DataType) -> DataType:
    """`kind` whose fields keep their comments alone: other metadata may tell of values."""
    if isinstance(kind, ArrayType):
        return ArrayType(described(kind.elementType), kind.containsNull)
    if isinstance(kind, MapType):
        return MapType(described(kind.keyType), described(kind.valueType), kind.valueContainsNull)
    if not isinstance(kind, StructType):
        return kind
    return StructType(
        [
            StructField(
                field.name,
                described(field.dataType),
                field.nullable,
                {name: value for name, value in field.metadata.items() if name == "comment"},
            )
            for field in kind.fields
        ]
    )


def replace_leaf(kind: DataType, path: Path, leaf: DataType, *, nullable: bool = False) -> DataType:
    """`kind` with the type at `path` replaced; names, nullability and metadata are kept.

    `nullable` lets the leaf be null, whatever its own field said.
    """
    if not path:
        return leaf
    step, below = path[0], path[1:]
    inner = replace_leaf(_inside(kind, step), below, leaf, nullable=nullable)
    loose = nullable and not below
    if isinstance(kind, ArrayType):
        return ArrayType(inner, loose or kind.containsNull)
    if isinstance(kind, MapType):
        return MapType(kind.keyType, inner, loose or kind.valueContainsNull)
    if not isinstance(kind, StructType) or not isinstance(step, str):
        raise SchemaError(f"no {step!s} in a {kind.typeName()}")
    hit = _field(kind, step)
    return StructType(
        [
            StructField(f.name, inner, loose or f.nullable, f.metadata) if f is hit else f
            for f in kind.fields
        ]
    )
