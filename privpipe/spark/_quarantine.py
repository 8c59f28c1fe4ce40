"""Rows that hold what their protection cannot take, set aside: whole, and encrypted.

They go to a table of their own beside the target, under a policy that encrypts every column, in a
run that is committed before the target's. What is sealed in the target is sealed there too: the
keys of the one who writes open none of it. What decides is a deterministic predicate of the values
alone, so that a repeated run parts the rows in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import BooleanType

from privpipe import arrow
from privpipe.policy import (
    ColumnPlan,
    Encrypt,
    LeafPlan,
    Plan,
    Policy,
    Rule,
    TableSchema,
    Tokenize,
    plan_table,
)
from privpipe.spark._drops import without
from privpipe.spark._leaves import quoted, spelt
from privpipe.spark._lips import sealed_lips
from privpipe.spark._task import LeafTask, Row, planned_task
from privpipe.spark._works_tokens import taken

__all__ = ["invalid_rows", "quarantine_plan", "sets_aside", "whole"]


def sets_aside(plan: Plan) -> tuple[LeafPlan, ...]:
    """The leaves whose invalid values send their row to quarantine."""
    return tuple(
        leaf
        for leaf in plan.leaves
        if isinstance(leaf.settings, Tokenize) and leaf.settings.on_invalid == "quarantine"
    )


def invalid_rows(df: DataFrame, leaves: Sequence[LeafPlan]) -> Column:
    """Whether a row holds a value that one of `leaves` cannot take; never null."""
    return reduce(or_, (_invalid(df, leaf) for leaf in leaves))


def whole(df: DataFrame, plan: Plan) -> DataFrame:
    """The rows as they are, less what `plan` drops, columns and fields of structs alike."""
    kept = [column for column in plan.columns if column.action != "drop"]
    return df.select(
        *(
            without(F.col(quoted(column.name)), df.schema[column.name].dataType, column.drops)[
                0
            ].alias(column.name)
            for column in kept
        )
    )


def quarantine_plan(plan: Plan, schema: TableSchema) -> Plan:
    """Every column of `whole`, each encrypted, or sealed, as a whole."""
    kept = [column for column in plan.columns if column.action != "drop"]
    policy = Policy(
        table=f"{plan.table}_quarantine",
        unlisted="drop",
        rules=tuple(_rule(column) for column in kept),
        name=f"{plan.policy_name} (quarantine)",
    )
    return plan_table(policy, schema, case_sensitive=True)


def _rule(column: ColumnPlan) -> Rule:
    sealed = [leaf for leaf in column.leaves if leaf.protection == "seal"]
    if not sealed:
        return Rule(path=(column.name,), protect="encrypt", settings=Encrypt())
    # Under the first one's public key: its private key opens the field, and may open the column.
    first = sealed[0]
    return Rule(path=(column.name,), protect="seal", settings=first.settings, file=first.file)


def _invalid(df: DataFrame, leaf: LeafPlan) -> Column:
    name = str(leaf.path[0])
    kind = df.schema[name].dataType
    beside = [F.col(quoted(spelt(df.columns, each))) for each in leaf.beside]
    task = planned_task(leaf, kind, kind, beside=tuple(range(len(beside))))
    found: Column = _invalid_udf(task)(F.col(quoted(name)), *beside)
    return found


def _invalid_udf(task: LeafTask) -> Any:
    def invalid(column: pa.Array, *beside: pa.Array) -> pa.Array:
        with sealed_lips(task.column):
            row = Row(column=column, path=task.path, beside=beside)
            bad = ~taken(task, arrow.leaf(column, task.path), row)
            rows = np.zeros(len(column), dtype=np.bool_)
            rows[np.asarray(arrow.leaf_rows(column, task.path))[bad]] = True
            return pa.array(rows)

    return arrow_udf(invalid, BooleanType())  # type: ignore[call-overload]
