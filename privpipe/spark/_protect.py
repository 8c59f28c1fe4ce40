"""`protect`: a DataFrame under a plan, as one select of fused Arrow UDFs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, LongType, StructType

from privpipe.errors import PolicyError, SchemaError, UsageError
from privpipe.keys import KeyRef, Keyring
from privpipe.policy import (
    ColumnPlan,
    Encrypt,
    EncryptDeterministic,
    LeafPlan,
    Plan,
    format_path,
)
from privpipe.spark._drops import without
from privpipe.spark._expressed import expressed, is_expression
from privpipe.spark._facts import key_id_of, settings_text
from privpipe.spark._intervals import to_months
from privpipe.spark._labels import settings_digest
from privpipe.spark._leaves import described, quoted, spelt
from privpipe.spark._task import LeafTask, planned_task
from privpipe.spark._types import loosest
from privpipe.spark._udf import protect_udf
from privpipe.spark._vault_columns import given_tokens, vault_leaves, vaults_at
from privpipe.spark._written import written_shape

__all__ = ["KeyRefs", "key_refs", "protect", "protect_in", "refuse_undecided"]

KeyRefs = Mapping[tuple[str, str], KeyRef]
_EARLY, _IDS = "__privpipe_early", "__privpipe_ids"
_NONE: Mapping[str, str] = MappingProxyType({})
# A column's name, as the policy has it, and whether it is read as it will be stored.
Beside: TypeAlias = tuple[str, bool]


def protect(df: DataFrame, plan: Plan, *, keys: Keyring | None = None) -> DataFrame:
    """`df` with every column as `plan` says, in the source's order.

    The result draws fresh nonces each time it is evaluated: write it once, with `release`, and
    read the table back. Keysets that do not exist yet are made in the keyring's catalog first.

    Raises PolicyError where a column is undecided, SchemaError where `df` is not what was planned.
    """
    refuse_undecided(plan)
    if vault_leaves(plan):
        raise UsageError(
            "a vault's tokens are kept in the project, and this has none",
            hint="use home.protect, or another protection",
        )
    _check_types(df, plan)
    refs = key_refs(plan, keys)
    written = []
    for column in plan.columns:
        if column.action != "drop":
            written.append(_column(df, column, refs, plan))
            written += [_key_ids(column, leaf, refs) for leaf in column.leaves if leaf.key_column]
    return df.select(*written)


def protect_in(df: DataFrame, plan: Plan, location: str) -> DataFrame:
    """As `protect`, with the vaults of the catalog at `location`. Tokens are made now.

    A look-up in a large vault shuffles whole rows. So what can be is protected before it, and in
    clear are then only columns that the table keeps in clear, and those that are bound to a token.
    """
    if not vault_leaves(plan):
        return protect(df, plan)
    _check_types(df, plan)
    refs = key_refs(plan)
    given = given_tokens(df, plan, vaults_at(location), refs)
    stored = {each.name: each.into for each in given}
    late = [column for column in plan.columns if _hangs_on(column, df.columns, stored)]
    before = [each.mark for each in given]
    before += [F.col(quoted(name)) for name in _read_late(df, late)]
    for at, column in enumerate(plan.columns):
        if column.action != "drop" and column.name not in stored and column not in late:
            stored[column.name] = f"{_EARLY}_{at}"
            before.append(_column(df, column, refs, plan).alias(stored[column.name]))
    before += [
        _key_ids(column, leaf, refs).alias(f"{_IDS}_{leaf.key_column}")
        for column in plan.columns
        for leaf in column.leaves
        if leaf.key_column
    ]
    met = df.select(*before)
    for each in given:
        met = each.tokened(met)
    return met.select(*_after(df, met, plan, refs, stored))


def _after(
    df: DataFrame, met: DataFrame, plan: Plan, refs: KeyRefs, stored: Mapping[str, str]
) -> Iterator[Column]:
    """The columns of the table, in their order, of what has met its tokens."""
    for column in plan.columns:
        if column.name in stored:
            labels = _described(df, column, refs)
            yield F.col(stored[column.name]).alias(column.name, metadata=labels)
        elif column.action != "drop":
            yield _column(met, column, refs, plan, stored)
        for leaf in column.leaves:
            if leaf.key_column:
                ids = F.col(quoted(f"{_IDS}_{leaf.key_column}"))
                yield ids.alias(leaf.key_column, metadata={})


def _hangs_on(column: ColumnPlan, names: Sequence[str], tokens: Collection[str]) -> bool:
    """Whether a value of the column is bound to a token."""
    bound = {name for leaf in column.leaves for name, stored in _named(leaf) if stored}
    return any(spelt(names, name) in tokens for name in bound)


def _read_late(df: DataFrame, late: Sequence[ColumnPlan]) -> list[str]:
    """The columns, as the source has them, that are read once tokens are there."""
    names = [column.name for column in late]
    for column in late:
        beside = [name for leaf in column.leaves for name, stored in _named(leaf) if not stored]
        names += [spelt(df.columns, name) for name in beside]
    return list(dict.fromkeys(names))


def _key_ids(column: ColumnPlan, leaf: LeafPlan, refs: KeyRefs) -> Column:
    """The key under which each token is made, null where there is none."""
    key_id = F.lit(key_id_of(leaf, refs)).cast(LongType())
    ids = F.when(F.col(quoted(column.name)).isNotNull(), key_id)
    return ids.alias(str(leaf.key_column), metadata={})


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
    if not plan.scopes:
        return {}
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


def _column(
    df: DataFrame,
    column: ColumnPlan,
    refs: KeyRefs,
    plan: Plan,
    stored: Mapping[str, str] = _NONE,
) -> Column:
    value = _value(df, column, refs, plan, stored)
    return value.alias(column.name, metadata=_described(df, column, refs))


def _described(df: DataFrame, column: ColumnPlan, refs: KeyRefs) -> dict[str, str]:
    """The metadata of a column in the table.

    Only what describes the data goes along: Delta's own column properties (generation, identity,
    defaults) belong to the table that was read.
    """
    field = df.schema[column.name]
    comment = {"comment": field.metadata["comment"]} if "comment" in field.metadata else {}
    return {**comment, **({} if column.action == "keep" else _metadata(column, refs))}


def _value(
    df: DataFrame, column: ColumnPlan, refs: KeyRefs, plan: Plan, stored: Mapping[str, str]
) -> Column:
    """What stands in the table: first what a worker does, then Spark's own expressions."""
    field = df.schema[column.name]
    source, kind = without(F.col(quoted(column.name)), field.dataType, column.drops)
    if column.action == "keep":
        return source
    if described(kind) != kind:
        # What a worker gives back has the metadata of what it was given.
        kind = described(kind)
        source = source.cast(kind)
    by_worker = [leaf for leaf in column.leaves if not is_expression(leaf)]
    if by_worker:
        names = dict.fromkeys(name for leaf in by_worker for name in _named(leaf))
        beside = {name: _beside(df, name, refs, plan, stored) for name in names}
        source, kind = _worked(source, kind, by_worker, refs, beside)
    for leaf in column.leaves:
        if is_expression(leaf):
            source, kind = expressed(source, kind, leaf)
    return source


def _worked(
    source: Column,
    kind: DataType,
    leaves: Sequence[LeafPlan],
    refs: KeyRefs,
    beside: Mapping[Beside, Column],
) -> tuple[Column, DataType]:
    """A column through one UDF, the columns beside it behind it."""
    months, moved = to_months(source, kind)
    tasks = tuple(_task(kind, moved, leaf, refs, list(beside)) for leaf in leaves)
    returns = written_shape(moved, leaves)
    protected: Column = protect_udf(tasks, returns)(months, *beside.values())
    return protected, returns


def _named(leaf: LeafPlan) -> tuple[Beside, ...]:
    """The columns beside a leaf. What a value is bound to is read as the table will have it, what
    makes a tweak or names a subject as the source has it."""
    stored = isinstance(leaf.settings, Encrypt | EncryptDeterministic)
    return tuple((name, stored) for name in leaf.beside)


def _beside(
    df: DataFrame, name: Beside, refs: KeyRefs, plan: Plan, stored: Mapping[str, str]
) -> Column:
    """A column that is read with a value; `stored` are those that are in `df` as they will be."""
    meant, as_stored = name
    there = {column.name: column for column in plan.columns}
    other = there[spelt(there, meant)]
    if not as_stored:
        return F.col(quoted(other.name))
    if other.name in stored:
        return F.col(stored[other.name])
    return _value(df, other, refs, plan, stored)


def _task(
    kind: DataType, moved: DataType, leaf: LeafPlan, refs: KeyRefs, names: Sequence[Beside]
) -> LeafTask:
    return planned_task(
        leaf,
        kind,
        moved,
        key=None if leaf.keyset is None else refs[leaf.keyset],
        beside=tuple(names.index(name) for name in _named(leaf)),
    )


def _metadata(column: ColumnPlan, refs: KeyRefs) -> dict[str, str]:
    """What the table says of itself. It informs readers; `reveal` believes the catalog alone."""

    def facts(leaf: LeafPlan) -> dict[str, str]:
        found = {
            "privpipe.scheme": leaf.primitive or leaf.protection,
            "privpipe.type": leaf.type,
            "privpipe.context": leaf.context,
            "privpipe.settings": settings_digest(settings_text(leaf)),
        }
        key_id = key_id_of(leaf, refs)
        if key_id:
            found["privpipe.key_id"] = str(key_id)
        if leaf.protection not in {"encrypt", "encrypt_deterministic"}:
            found["privpipe.protection"] = leaf.protection
        return found

    first = column.leaves[0]
    if len(first.path) == 1:
        return facts(first)
    return {
        "privpipe.leaves": json.dumps(
            {format_path(leaf.path): facts(leaf) for leaf in column.leaves}
        )
    }
