"""`append`: does the table that is there agree with what this run would add?

All differences are told at once, since each costs a run to find.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from pyspark.sql.types import DataType, LongType, StructType

from privpipe.catalog import ColumnRecord, RunRecord
from privpipe.errors import AppendMismatch
from privpipe.keys import Keyring
from privpipe.policy import ColumnPlan, LeafPlan, Plan, format_path
from privpipe.spark._carried import carried_differences
from privpipe.spark._drops import shape_without
from privpipe.spark._facts import settings_text
from privpipe.spark._labels import label_differences
from privpipe.spark._recorded import key_column
from privpipe.spark._target import Target
from privpipe.spark._written import written_shape

__all__ = ["refuse_mismatch"]

_FACTS = ("protection", "primitive", "scope", "type", "context", "domain", "family")


def refuse_mismatch(
    target: Target,
    maker: RunRecord | None,
    facts: Sequence[ColumnRecord],
    plan: Plan,
    keys: Keyring,
    carried: Sequence[ColumnRecord] = (),
) -> None:
    """Raises AppendMismatch with every difference between `plan` (and what is `carried` over from
    another table) and the table at `target`, which the run `maker` left with these `facts`."""
    if target.state != "delta":
        return
    if maker is None:
        raise AppendMismatch(
            "the catalog knows no run that wrote this table",
            where=target.name,
            hint="append to a table that privpipe wrote, or use a new target",
        )
    there = {fact.path: fact for fact in facts}
    copied = {fact.path for fact in carried}
    planned = {path: fact for path, fact in there.items() if path not in copied}
    differences = [
        *_table(plan, maker),
        *_leaves(plan, planned, keys),
        *carried_differences(carried, there),
        *_columns(plan, target),
        *_labels(target, facts),
    ]
    if differences:
        raise AppendMismatch(
            "the table was made in another way:\n  " + "\n  ".join(differences),
            where=target.name,
            hint="append with the policy that made it, or --mode overwrite",
        )


def _table(plan: Plan, maker: RunRecord) -> Iterator[str]:
    if plan.table != maker.table:
        yield f"table: {maker.table} there, {plan.table} here"


def _leaves(plan: Plan, there: Mapping[str, ColumnRecord], keys: Keyring) -> Iterator[str]:
    here = {format_path(leaf.path): leaf for leaf in plan.leaves}
    for path in there.keys() - here.keys():
        yield f"{path}: {there[path].protection} there, not protected here"
    for path, leaf in here.items():
        fact = there.get(path)
        if fact is None:
            yield f"{path}: not protected there, {leaf.protection} here"
            continue
        for name in _FACTS:
            ours, theirs = getattr(leaf, name) or None, getattr(fact, name) or None
            if ours != theirs:
                yield f"{path}: {name} {theirs or 'none'} there, {ours or 'none'} here"
        if settings_text(leaf) != fact.settings:
            yield f"{path}: {leaf.protection} was told something else there"
        if (leaf.key_column is None) != (key_column(fact) is None):
            yield f"{path}: a key column is declared when the table is made"
        yield from _active_key(path, leaf, fact, keys)


def _active_key(path: str, leaf: LeafPlan, fact: ColumnRecord, keys: Keyring) -> Iterator[str]:
    if leaf.keyset is None:
        return
    ref = keys.find(*leaf.keyset)
    if ref is None:
        yield f"{path}: the catalog has lost the keyset {leaf.scope}; `privpipe keys restore`"
    # Random encryption may mix keys in a column, and so may tokens whose key ids stand beside
    # them; elsewhere equal values under two keys would not meet.
    elif leaf.deterministic and leaf.key_column is None and ref.key_id != fact.key_id:
        yield f"{path}: key {fact.key_id} there, {ref.key_id} is active now; rekey the table first"


def _columns(plan: Plan, target: Target) -> Iterator[str]:
    fields = () if target.schema is None else target.schema.fields
    there = {field.name.lower(): field for field in fields}
    here = {column.name.lower(): column for column in plan.columns if column.action != "drop"}
    ids = {leaf.key_column.lower(): leaf.key_column for leaf in plan.leaves if leaf.key_column}
    for name in there.keys() - here.keys() - ids.keys():
        yield f"{there[name].name}: there, missing here"
    for name, spelt in ids.items():
        if name not in there:
            yield f"{spelt}: here, missing there"
        elif not isinstance(there[name].dataType, LongType):
            yield f"{spelt}: {there[name].dataType.simpleString()} there, bigint here"
    for name, column in here.items():
        field = there.get(name)
        if field is None:
            yield f"{column.name}: here, missing there"
            continue
        # Whole columns that are protected are binary on both sides: their types were compared.
        found, wanted = field.dataType.simpleString(), _written(column, plan).simpleString()
        if found.lower() != wanted.lower():
            yield f"{column.name}: {found} there, {wanted} here"


def _labels(target: Target, facts: Sequence[ColumnRecord]) -> Iterator[str]:
    """A table that was restored to before its last run holds what these facts do not describe."""
    if target.schema is not None:
        for path, name in label_differences(target.schema, facts, one_key=True):
            yield f"{path}: the table's metadata gives another {name} than its last run"


def _written(column: ColumnPlan, plan: Plan) -> DataType:
    """The type that the column gets: Spark would cast another one to the table's, in silence."""
    source = StructType.fromJson(json.loads(plan.schema_json))
    shape = shape_without(source[column.name].dataType, column.drops)
    return written_shape(shape, column.leaves)
