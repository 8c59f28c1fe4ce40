"""What a table's own past still tells: columns that an older version holds in clear.

Delta keeps overwritten versions until VACUUM. Writing ciphertext over plaintext therefore hides
nothing until the old files are gone, and a user who believes otherwise is worse off than before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StructField, StructType

from privpipe.arrow import Path
from privpipe.errors import ClearHistory, DecryptionError, SchemaError
from privpipe.policy import LeafPlan, Plan, format_path
from privpipe.spark._errors import translated
from privpipe.spark._facts import settings_text
from privpipe.spark._files import literal_path
from privpipe.spark._labels import labels_of, settings_digest
from privpipe.spark._leaves import leaf_type
from privpipe.spark._target import Target, identifier

__all__ = ["clear_columns", "refuse_clear_history", "vacuum_advice"]


def refuse_clear_history(
    spark: SparkSession, target: Target, plan: Plan, *, accepted: bool
) -> tuple[str, ...]:
    """Raises ClearHistory unless `accepted`; then, the advice to print behind the run."""
    if target.state != "delta":
        return ()
    found = clear_columns(spark, target, plan)
    if not found:
        return ()
    advice = vacuum_advice(target)
    if not accepted:
        raise ClearHistory(
            f"older versions of the target hold in clear: {', '.join(found)}",
            where=target.name,
            hint="write to a new target; or overwrite with --accept-clear-history and then run: "
            + advice,
        )
    return (f"older versions still hold {', '.join(found)} in clear until you run: {advice}",)


def vacuum_advice(target: Target) -> str:
    """The SQL that removes the files of older versions."""
    return (
        "SET spark.databricks.delta.retentionDurationCheck.enabled = false; "
        f"VACUUM {identifier(target.name)} RETAIN 0 HOURS"
    )


def clear_columns(spark: SparkSession, target: Target, plan: Plan) -> tuple[str, ...]:
    """The columns that `plan` protects or drops and that some readable version holds in clear."""
    schemas = _past_schemas(spark, target)
    hidden = [leaf.path for leaf in plan.leaves]
    hidden += [(column.name,) for column in plan.columns if column.action == "drop"]
    hidden += [path for column in plan.columns for path in column.drops]
    ours = {leaf.key_column.lower(): leaf for leaf in plan.leaves if leaf.key_column}

    def is_clear(schema: StructType, path: Path) -> bool:
        leaf = ours.get(str(path[0]).lower())
        ids = leaf is not None and len(path) == 1 and _is_key_ids(schema, leaf)
        return not ids and _in_clear(schema, path)

    return tuple(
        format_path(path) for path in hidden if any(is_clear(schema, path) for schema in schemas)
    )


def _is_key_ids(schema: StructType, leaf: LeafPlan) -> bool:
    """Whether the column of that name is of the key ids of `leaf`, and not one that a source had:
    its tokens say so by their settings."""
    names = {field.name.lower(): field for field in schema.fields}
    tokens = names.get(str(leaf.path[0]).lower())
    said = None if tokens is None else tokens.metadata.get("privpipe.settings")
    return said == settings_digest(settings_text(leaf))


def _past_schemas(spark: SparkSession, target: Target) -> Iterable[StructType]:
    """Every schema that the log still names: in its commits, and in its checkpoints, which outlive
    the commits that they stand for."""
    log = f"{literal_path(target.location or target.name)}/_delta_log"
    reader = spark.read.schema("metaData struct<schemaString: string>")
    texts: set[str] = set()
    with translated("reading the target's history"):
        texts |= _schema_texts(reader.json(f"{log}/*.json"))
        try:
            checkpoints = reader.parquet(f"{log}/*.checkpoint*.parquet")
        except PySparkException as error:
            if error.getCondition() != "PATH_NOT_FOUND":
                raise
        else:
            texts |= _schema_texts(checkpoints)
    schemas = [StructType.fromJson(json.loads(text)) for text in texts]
    return schemas if target.schema is None else [*schemas, target.schema]


def _schema_texts(log: DataFrame) -> set[str]:
    rows = log.where(F.col("metaData").isNotNull()).select("metaData.schemaString").collect()
    return {row["schemaString"] for row in rows if row["schemaString"]}


def _in_clear(schema: StructType, path: Path) -> bool:
    top = next((f for f in schema.fields if f.name.lower() == str(path[0]).lower()), None)
    if top is None:
        return False
    kind: DataType = top.dataType
    for at, step in enumerate(path[1:], start=1):
        if isinstance(kind, StructType):
            if not isinstance(step, str) or step.lower() not in map(str.lower, kind.names):
                return not isinstance(step, str)
        elif not isinstance(kind, (ArrayType, MapType)):
            # A value of another type stood where the leaf's holder stands now: it held the leaf.
            return not _is_ciphertext(top, kind, path[:at])
        try:
            kind = leaf_type(kind, (step,))
        except SchemaError:
            return True
    return not _is_ciphertext(top, kind, path)


def _is_ciphertext(top: StructField, kind: DataType, path: Path) -> bool:
    try:
        labels = labels_of(top.metadata, format_path(path))
        # What is neither `encrypt` nor `encrypt_deterministic` says so, and may be of any type.
        return "privpipe.scheme" in labels and (
            isinstance(kind, BinaryType) or "privpipe.protection" in labels
        )
    except DecryptionError:
        return False
