"""The types that protected columns have in the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pyspark.sql.types import (
    BinaryType,
    DataType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
)

from privpipe.policy import SEALED, LeafPlan
from privpipe.spark._leaves import actual_path, leaf_type, replace_leaf

__all__ = ["written_leaf", "written_shape"]

_NAMED: Mapping[str, DataType] = MappingProxyType(
    {
        "binary": BinaryType(),
        "bigint": LongType(),
        "int": IntegerType(),
        "string": StringType(),
        SEALED: StructType([StructField("key", BinaryType()), StructField("ct", BinaryType())]),
    }
)


def written_leaf(becomes: str, own: DataType) -> DataType:
    """The type that a plan calls `becomes`; `own` where it is the source's own."""
    return _NAMED[becomes] if becomes else own


def written_shape(kind: DataType, leaves: Iterable[LeafPlan]) -> DataType:
    """A column's type, `kind`, with its `leaves` protected."""
    for leaf in leaves:
        below = actual_path(kind, leaf.path[1:])
        written = written_leaf(leaf.becomes, leaf_type(kind, below))
        kind = replace_leaf(kind, below, written, nullable=leaf.protection == "redact")
    return kind
