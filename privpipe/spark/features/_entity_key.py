"""Who an event is of: the column of entities among the events and among the labels, and what it
becomes in the table of features, which has it as it is stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    StringType,
)

from privpipe.catalog import ColumnRecord
from privpipe.errors import SchemaError, SpecError
from privpipe.policy import format_path
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._one_value import fact_of_one
from privpipe.spark.features._source import Stored

__all__ = ["EntityKey", "find_entity", "refuse_strangers"]

_KEYS = (BinaryType, BooleanType, DateType, DecimalType, IntegralType, StringType)
_TOLD = ("protection", "primitive", "scope", "domain", "family", "context", "settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityKey:
    """A column of entities: its name, its type as it is stored, and the fact by which it stands, of
    the one key that its values are under; None where it is in clear."""

    name: str
    kind: DataType
    fact: ColumnRecord | None

    def as_column(self, name: str) -> tuple[ColumnRecord, ...]:
        """The fact of a copy of it, in the column `name` of another table."""
        return () if self.fact is None else (replace(self.fact, path=format_path((name,))),)


def find_entity(work: Workspace, table: Stored, column: str, where: str) -> EntityKey:
    """The column of `table` that says who an event is of.

    Raises: SpecError where an entity may have several values in it, SchemaError for a type that
    tells no entities apart, DecryptionError where the table says another thing than the catalog.
    """
    fact, kind = fact_of_one(work, table, column, where, "entity"), table.df.schema[column].dataType
    plain = not isinstance(kind, StringType) or kind.collation == "UTF8_BINARY"
    if not isinstance(kind, _KEYS) or not plain:
        raise SchemaError(
            f"{column} is {kind.simpleString()}, which tells no entities apart",
            where=where,
            hint="text, bytes, integers, decimals, dates and booleans do",
        )
    return EntityKey(name=column, kind=kind, fact=fact)


def refuse_strangers(events: EntityKey, labels: EntityKey, where: str) -> list[str]:
    """Values that are never equal would give features of nothing, silently. What is not sure is
    told as a warning. Raises: SpecError, SchemaError."""
    if labels.kind != events.kind:
        raise SchemaError(
            f"{labels.name} is {labels.kind.simpleString()}, and {events.name} "
            f"{events.kind.simpleString()}",
            where=where,
            hint="cast one of them where its table is made",
        )
    one, other = events.fact, labels.fact
    if one is None or other is None:
        known = one or other
        if known is None:
            return []
        return [
            f"{events.name} stands in clear in the one table, and under `{known.protection}` in "
            "the other: features are found only where the two hold equal tokens"
        ]
    if any(getattr(one, name) != getattr(other, name) for name in _TOLD):
        raise SpecError(
            f"{events.name} and {labels.name} have different tokens of one entity",
            where=where,
            hint="protect both under one domain and in one way",
        )
    if one.key_id != other.key_id:
        raise SpecError(
            f"{events.name} is under key {one.key_id}, and {labels.name} under {other.key_id}: "
            "one entity has two tokens",
            where=where,
            hint="bring both under one key: privpipe rekey",
        )
    return []
