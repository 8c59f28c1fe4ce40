"""A table's types as the plan sees them: Spark's, told without Spark.

`kind` is one word of `KINDS`; `text` is Spark's `simpleString`, which goes into a value's context.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "CONTAINERS",
    "DATES",
    "FRACTIONS",
    "KINDS",
    "NUMBERS",
    "TEXT",
    "Field",
    "TableSchema",
    "Type",
]

CONTAINERS = frozenset({"struct", "array", "map", "variant"})
TEXT = frozenset({"string", "char", "varchar"})
FRACTIONS = frozenset({"float", "double", "decimal"})
NUMBERS = FRACTIONS | {"tinyint", "smallint", "int", "bigint"}
DATES = frozenset({"date", "timestamp", "timestamp_ntz"})

KINDS = CONTAINERS | {
    "string",
    "char",
    "varchar",
    "binary",
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal",
    "date",
    "timestamp",
    "timestamp_ntz",
    "time",
    "interval_ym",
    "interval_dt",
    "interval",  # a calendar interval
    "void",
    "geometry",
    "geography",
    "udt",
    "object",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """One Spark type. Only a struct has `fields`, an array `element`, a map `key` and `value`.

    An unknown `kind` is fine to keep and is refused by every protection.
    """

    text: str
    kind: str
    fields: tuple[Field, ...] = ()
    element: Type | None = None
    key: Type | None = None
    value: Type | None = None

    @property
    def inner(self) -> tuple[Type, ...]:
        """The types directly inside this one."""
        parts = (self.element, self.key, self.value)
        return (*(f.type for f in self.fields), *(part for part in parts if part is not None))

    @property
    def collated(self) -> bool:
        """Whether it is a string under a collation other than UTF8_BINARY."""
        return self.kind in {"string", "char", "varchar"} and " collate " in self.text.lower()

    def walk(self) -> Iterator[Type]:
        """This type and every type inside it, outermost first."""
        yield self
        for part in self.inner:
            yield from part.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A named column of a table, or a named field of a struct."""

    name: str
    type: Type
    nullable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """The columns of a table, in order."""

    fields: tuple[Field, ...]
