"""The columns that are asked about: found, of a type that can be told apart, none named twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StringType, StructType

from privpipe.errors import PolicyError, SchemaError, UsageError
from privpipe.policy import format_path, parse_path
from privpipe.spark._leaves import quoted
from privpipe.spark._types import policy_type

__all__ = ["NUMBERS", "ORDERED", "Asked", "asked", "asked_apart", "whole_columns"]

NUMBERS = frozenset({"tinyint", "smallint", "int", "bigint", "decimal", "float", "double"})
ORDERED = NUMBERS | {"date", "timestamp", "timestamp_ntz"}
"""Types whose values lie at distances from one another"""

_SINGLE = ORDERED | {"string", "char", "varchar", "binary", "boolean", "time"}
_SINGLE |= {"interval_ym", "interval_dt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A column, or a field of a struct: how a policy spells it, its type, its steps by name."""

    name: str
    kind: DataType
    path: tuple[str, ...]

    @property
    def word(self) -> str:
        """The policy's word for the type."""
        return policy_type(self.kind).kind

    @property
    def value(self) -> Column:
        """The value as an onlooker sees it: what a collation takes for equal is not."""
        first = F.col(quoted(self.path[0]))
        found = reduce(lambda column, step: column[step], self.path[1:], first)
        return found.cast(StringType()) if isinstance(self.kind, StringType) else found


def asked(df: DataFrame, names: str | Sequence[str], what: str) -> tuple[Asked, ...]:
    """The columns of `df` with these names, each once; `what` they are goes into the message.

    Raises: UsageError for no names or one that is given twice, SchemaError for a column that is not
    there or whose values cannot be compared.
    """
    if isinstance(names, str):
        raise UsageError(f"the {what} columns are a list of names", hint=f'["{names}"]')
    found = tuple(_find(df.schema, name, what) for name in names)
    seen: set[tuple[str, ...]] = set()
    for one in found:
        if one.path in seen:
            raise UsageError(f"the {what} column {one.name} is named twice", hint="name it once")
        seen.add(one.path)
    return found


def asked_apart(
    df: DataFrame, quasi: Sequence[str], sensitive: Sequence[str]
) -> tuple[tuple[Asked, ...], tuple[Asked, ...]]:
    """The quasi-identifiers, one at least, and the sensitive columns, which are others."""
    known, hidden = asked(df, quasi, "quasi"), asked(df, sensitive, "sensitive")
    if not known:
        raise UsageError(
            "no quasi column is named",
            hint="name what others know of a person too: birth date, sex, zip code",
        )
    both = sorted({one.name for one in known} & {one.name for one in hidden})
    if both:
        raise UsageError(
            f"both quasi and sensitive: {', '.join(both)}",
            hint="a column is either what others know already, or what they must not learn",
        )
    return known, hidden


def whole_columns(columns: Iterable[Asked]) -> None:
    """Raises SchemaError for a field of a struct, where a column is to be changed."""
    for one in columns:
        if len(one.path) > 1:
            raise SchemaError(
                "a field of a struct is not changed here",
                where=f"column {one.name}",
                hint="select it into a column of its own first",
            )


def _find(schema: StructType, name: str, what: str) -> Asked:
    path, kind = _walked(schema, name, what)
    shown = format_path(path)
    if not _comparable(kind):
        raise SchemaError(
            f"values of type {policy_type(kind).kind} are not compared",
            where=f"column {shown}",
            hint="name a field of the struct, or select what is known of it into a column",
        )
    return Asked(name=shown, kind=kind, path=path)


def _walked(schema: StructType, name: str, what: str) -> tuple[tuple[str, ...], DataType]:
    """The steps of `name` in the table's own spelling, which may differ in case, and the type."""
    if name in schema.names:
        return (name,), schema[name].dataType
    try:
        steps = parse_path(name)
    except PolicyError as error:
        raise UsageError(f"no name of a {what} column: {error.message}") from None
    found: list[str] = []
    kind: DataType = schema
    for step in steps:
        fields = kind.fields if isinstance(kind, StructType) else []
        alike = [field for field in fields if field.name.lower() == str(step).lower()]
        alike = [field for field in alike if field.name == step] or alike
        if len(alike) != 1:
            there = ", ".join(format_path((field.name,)) for field in schema.fields[:20])
            raise SchemaError(
                f"the table has no {what} column {name}", hint=f"its columns: {there}"
            )
        found.append(alike[0].name)
        kind = alike[0].dataType
    return tuple(found), kind


def _comparable(kind: DataType) -> bool:
    if isinstance(kind, ArrayType):
        return _comparable(kind.elementType)
    return policy_type(kind).kind in _SINGLE
