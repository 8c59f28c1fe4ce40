"""Rows that hold what their protection cannot take, set aside: whole, and encrypted.

They go to a table of their own beside the target, under a policy that encrypts every column, in a
run that is committed before the target's. What is sealed in the target is sealed there too: the
keys of the one who writes open none of it. What decides is a deterministic predicate of the values
alone, so that a repeated run parts the rows in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import count
from operator import or_
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import BooleanType, NullType

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

__all__ = ["RUN", "invalid_rows", "quarantine_plan", "sets_aside", "whole", "with_run"]

RUN = "privpipe_run"
"""The column of a quarantine table that has the id of the run that left a row out, in clear"""


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
    """The rows as they are, less what `plan` drops, columns and fields of structs alike, and less
    columns of nulls that have no type."""
    kinds = {field.name: field.dataType for field in df.schema.fields}
    return df.select(
        *(
            without(F.col(quoted(column.name)), kinds[column.name], column.drops)[0].alias(
                column.name
            )
            for column in plan.columns
            if column.action != "drop" and not isinstance(kinds[column.name], NullType)
        )
    )


def with_run(df: DataFrame, run_id: str) -> DataFrame:
    """`df` and one column more, which tells the run."""
    return df.withColumn(_free(df.columns), F.lit(run_id))


def _free(names: Sequence[str]) -> str:
    """The name of that column, or where a source has that one, the next that it has not."""
    taken = {name.lower() for name in names}
    return next(name for at in count() if (name := RUN + "_" * at) not in taken)


def quarantine_plan(plan: Plan, schema: TableSchema) -> Plan:
    """Every column of `whole`, each encrypted, or sealed, as a whole; and the run's id."""
    planned = {column.name: column for column in plan.columns}
    policy = Policy(
        table=f"{plan.table}_quarantine",
        unlisted="drop",
        rules=tuple(
            _rule(planned[field.name])
            if field.name in planned
            else Rule(path=(field.name,), protect="keep")
            for field in schema.fields
        ),
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
