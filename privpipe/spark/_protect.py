"""`protect`: a DataFrame under a plan, as one select of fused Arrow UDFs."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType, StructType

from privpipe.errors import PolicyError, SchemaError, UsageError
from privpipe.keys import KeyRef, Keyring
from privpipe.policy import ColumnPlan, LeafPlan, Plan, format_path
from privpipe.spark._drops import without
from privpipe.spark._intervals import to_months
from privpipe.spark._leaves import actual_path, described, leaf_type, quoted, replace_leaf
from privpipe.spark._types import arrow_type, loosest
from privpipe.spark._udf import LeafTask, protect_udf

__all__ = ["KeyRefs", "key_refs", "protect", "refuse_undecided"]

KeyRefs = Mapping[tuple[str, str], KeyRef]


def protect(df: DataFrame, plan: Plan, *, keys: Keyring | None = None) -> DataFrame:
    """`df` with every column as `plan` says, in the source's order.

    The result draws fresh nonces each time it is evaluated: write it once, with `release`, and
    read the table back. Keysets that do not exist yet are made in the keyring's catalog first.

    Raises PolicyError where a column is undecided, SchemaError where `df` is not what was planned.
    """
    refuse_undecided(plan)
    _check_types(df, plan)
    refs = key_refs(plan, keys)
    kept = [column for column in plan.columns if column.action != "drop"]
    return df.select(*(_column(df, column, refs) for column in kept))


def refuse_undecided(plan: Plan) -> None:
    """Raises PolicyError where a column is still undecided."""
    if plan.undecided:
        raise PolicyError(
            f"{len(plan.undecided)} column(s) are undecided: {', '.join(plan.undecided)}",
            where=plan.policy_name,
            hint="give each a protection, `keep` or `drop`",
        )


def key_refs(plan: Plan, keys: Keyring | None = None) -> KeyRefs:
    """The plan's keys, made where they are missing, by scope and primitive."""
    keyring = keys or plan.keys
    if keyring is None:
        raise UsageError(
            "this plan holds no keys",
            hint="take it from `home.plan(...)`, or give `keys=home.keys`",
        )
    return {
        (scope, primitive): keyring.ref(scope, primitive, family=family)
        for scope, primitive, family in plan.scopes
    }


def _check_types(df: DataFrame, plan: Plan) -> None:
    there = {field.name: field.dataType.simpleString() for field in df.schema.fields}
    recorded = StructType.fromJson(json.loads(plan.schema_json))
    planned = {column.name: column.type.text for column in plan.columns}
    for name, kind in planned.items():
        if name not in there:
            raise SchemaError(
                "a planned column is missing", where=f"column {name}", hint="plan it again"
            )
        if there[name] != kind:
            raise SchemaError(
                f"planned as {kind}, found {there[name]}",
                where=f"column {name}",
                hint="plan it again from this source",
            )
        written, found = recorded[name].dataType, df.schema[name].dataType
        if loosest(written, found) != written:
            raise SchemaError(
                "planned without nulls inside, where the DataFrame allows them",
                where=f"column {name}",
                hint="plan it again from this source",
            )
    extra = [name for name in there if name not in planned]
    if extra:
        raise SchemaError(
            f"column(s) that the plan does not know: {', '.join(extra)}", hint="plan it again"
        )


def _column(df: DataFrame, column: ColumnPlan, refs: KeyRefs) -> Column:
    field = df.schema[column.name]
    source, kind = without(F.col(quoted(column.name)), field.dataType, column.drops)
    comment = {"comment": field.metadata["comment"]} if "comment" in field.metadata else {}
    if column.action == "keep":
        # Only what describes the data goes along: Delta's own column properties (generation,
        # identity, defaults) belong to the table that was read.
        return source.alias(column.name, metadata=comment)
    if described(kind) != kind:
        # What a worker gives back has the metadata of what it was given.
        kind = described(kind)
        source = source.cast(kind)
    months, moved = to_months(source, kind)
    tasks = tuple(_task(kind, moved, leaf, refs) for leaf in column.leaves)
    returns: DataType = moved
    for task in tasks:
        returns = replace_leaf(returns, task.path, BinaryType())
    ciphertext: Column = protect_udf(tasks, returns)(months)
    return ciphertext.alias(column.name, metadata={**comment, **_metadata(column, refs)})


def _task(kind: DataType, moved: DataType, leaf: LeafPlan, refs: KeyRefs) -> LeafTask:
    below = actual_path(kind, leaf.path[1:])
    return LeafTask(
        column=format_path(leaf.path),
        path=below,
        key=refs[leaf.scope, leaf.primitive],
        context=leaf.context.encode(),
        plain=arrow_type(leaf_type(moved, below)),
    )


def _metadata(column: ColumnPlan, refs: KeyRefs) -> dict[str, str]:
    """What the table says of itself. It informs readers; `reveal` believes the catalog alone."""

    def facts(leaf: LeafPlan) -> dict[str, str]:
        return {
            "privpipe.scheme": leaf.primitive,
            "privpipe.key_id": str(refs[leaf.scope, leaf.primitive].key_id),
            "privpipe.type": leaf.type,
            "privpipe.context": leaf.context,
        }

    first = column.leaves[0]
    if len(first.path) == 1:
        return facts(first)
    return {
        "privpipe.leaves": json.dumps(
            {format_path(leaf.path): facts(leaf) for leaf in column.leaves}
        )
    }
