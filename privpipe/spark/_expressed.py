"""Protections that are Spark's own expressions, at any depth of a column."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql.types import DataType

from privpipe.policy import LeafPlan, is_looked_up
from privpipe.spark._leaves import actual_path
from privpipe.spark._lossy import EXPRESSIONS
from privpipe.spark._map_leaf import map_expression
from privpipe.spark._written import written_shape

__all__ = ["expressed", "is_expression"]


def is_expression(leaf: LeafPlan) -> bool:
    """Whether Spark does it by itself, with no worker."""
    return leaf.protection in EXPRESSIONS and not is_looked_up(leaf.settings)


def expressed(source: Column, kind: DataType, leaf: LeafPlan) -> tuple[Column, DataType]:
    """`source` of type `kind` with the leaf protected, and its new type."""
    change = EXPRESSIONS[leaf.protection]
    below = actual_path(kind, leaf.path[1:])
    column = map_expression(
        source, kind, below, lambda value, own: change(value, own, leaf.settings)
    )
    return column, written_shape(kind, [leaf])
