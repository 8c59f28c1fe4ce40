"""Is a DataFrame what `protect(df, plan)` gave? Asked of those that come from a caller's hand."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructField, StructType

from privpipe.arrow import Path
from privpipe.errors import InternalError, SchemaError
from privpipe.keys import Keyring
from privpipe.policy import ColumnPlan, LeafPlan, Plan, format_path
from privpipe.spark._facts import key_id_of, settings_text
from privpipe.spark._labels import labels_of, settings_digest
from privpipe.spark._leaves import actual_path, quoted
from privpipe.spark._protect import KeyRefs, key_refs
from privpipe.spark._stop import stop

__all__ = ["checked_output", "refuse_other_output"]

_PREFIXED = frozenset({"encrypt", "encrypt_deterministic"})
_HINT = "release what `protect(df, plan)` gave, as it is"


def refuse_other_output(protected: DataFrame, plan: Plan) -> None:
    """Raises SchemaError where `protected` is not what `protect(df, plan)` gives.

    Without this, a column swapped in by hand would be written in clear under the plan's name.
    """
    fields = {field.name: field for field in protected.schema.fields}
    planned = _written(plan)
    for name in fields.keys() ^ (planned.keys() | _key_columns(plan).keys()):
        raise SchemaError(
            "in the DataFrame or in the plan, not in both", where=f"column {name}", hint=_HINT
        )
    for name, column in planned.items():
        for leaf in column.leaves:
            path = format_path(leaf.path)
            said = labels_of(fields[name].metadata, path)
            digest = settings_digest(settings_text(leaf))
            told = (said.get("privpipe.context"), said.get("privpipe.settings"))
            if told != (leaf.context, digest):
                raise SchemaError("is not protected as planned", where=f"column {path}", hint=_HINT)


def checked_output(protected: DataFrame, plan: Plan, keys: Keyring) -> DataFrame:
    """`protected`, a row of which stops the job where a value in the place of ciphertext does not
    begin as one: a union keeps the labels of its first side, whatever the other one holds."""
    refs, planned, ids = key_refs(plan, keys), _written(plan), _key_columns(plan)
    _refuse_other_keys(protected, planned, refs)
    return protected.select(
        *(
            _checked_ids(field, ids[field.name], refs)
            if field.name in ids
            else _checked(field, planned[field.name], refs)
            for field in protected.schema.fields
        )
    )


def _refuse_other_keys(
    protected: DataFrame, planned: Mapping[str, ColumnPlan], refs: KeyRefs
) -> None:
    """Raises SchemaError where a keyset was rotated since: the catalog would name the wrong key."""
    for name, column in planned.items():
        for leaf in column.leaves:
            path, key_id = format_path(leaf.path), key_id_of(leaf, refs)
            said = labels_of(protected.schema[name].metadata, path)
            if key_id and said.get("privpipe.key_id") != str(key_id):
                raise SchemaError(
                    "is protected under another key than the active one",
                    where=f"column {path}",
                    hint="call `protect(df, plan)` again, and release what it gives",
                )


def _written(plan: Plan) -> dict[str, ColumnPlan]:
    return {column.name: column for column in plan.columns if column.action != "drop"}


def _key_columns(plan: Plan) -> dict[str, LeafPlan]:
    return {leaf.key_column: leaf for leaf in plan.leaves if leaf.key_column is not None}


def _checked_ids(field: StructField, leaf: LeafPlan, refs: KeyRefs) -> Column:
    value, tokens = F.col(quoted(field.name)), F.col(quoted(str(leaf.path[0])))
    wanted = F.when(tokens.isNotNull(), F.lit(key_id_of(leaf, refs)))
    error = SchemaError(
        "holds other key ids than that of the tokens", where=f"column {field.name}", hint=_HINT
    )
    checked = F.when(value.eqNullSafe(wanted), value).otherwise(stop(error, field.dataType))
    return checked.alias(field.name, metadata={})


def _checked(field: StructField, column: ColumnPlan, refs: KeyRefs) -> Column:
    value = F.col(quoted(field.name))
    for leaf in column.leaves:
        if leaf.protection not in _PREFIXED or leaf.primitive == "AES256_GCM_RAW":
            # Nothing at its beginning tells a token, or a mask, from a value.
            continue
        prefix = b"\x01" + key_id_of(leaf, refs).to_bytes(4, "big")
        below = actual_path(field.dataType, leaf.path[1:])
        error = SchemaError(
            "holds values that are not protected",
            where=f"column {format_path(leaf.path)}",
            hint=_HINT,
        )
        sound = _begins(F.col(quoted(field.name)), field.dataType, below, prefix)
        value = F.when(sound, value).otherwise(stop(error, field.dataType))
    return value.alias(field.name, metadata=field.metadata)


def _begins(value: Column, kind: DataType, path: Path, prefix: bytes) -> Column:
    """Whether every leaf at `path` begins with `prefix`; nulls do."""
    if not path:
        return F.coalesce(F.substring(value, 1, len(prefix)) == F.lit(prefix), F.lit(True))
    step, below = path[0], path[1:]
    if isinstance(kind, StructType) and isinstance(step, str):
        return _begins(value.getField(step), kind[step].dataType, below, prefix)
    items, inner = _items(value, kind)
    return F.coalesce(
        F.forall(items, lambda item: _begins(item, inner, below, prefix)), F.lit(True)
    )


def _items(value: Column, kind: DataType) -> tuple[Column, DataType]:
    if isinstance(kind, ArrayType):
        return value, kind.elementType
    if isinstance(kind, MapType):
        return F.map_values(value), kind.valueType
    raise InternalError(f"no leaf lies in a {kind.typeName()}")
