"""The one data commit of a run.

`userMetadata` names the run in the table's own history, from where `repair` can settle it; the
transaction id makes a second commit of the same run a no-op.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, DataFrameWriterV2, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    MapType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from privpipe.catalog import RunRecord
from privpipe.errors import TryAgain
from privpipe.spark._errors import condition_of, is_conflict, said_by_us
from privpipe.spark._leaves import quoted
from privpipe.spark._names import is_path, transaction_id
from privpipe.spark._setting import setting
from privpipe.spark._target import Target, identifier

__all__ = ["clustered", "commit", "name_mapping", "statistics_columns", "until_no_conflict"]

_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
# Types of which Delta can keep minima and maxima.
_RANGED = (
    IntegralType, FloatType, DoubleType, DecimalType, StringType, DateType, TimestampType,
    TimestampNTZType,
)  # fmt: skip
_MOST_STATISTICS = 32
# What Delta takes in a column's name only under column mapping.
_UNUSUAL = re.compile(r"[ ,;{}()\n\t=]")
_ATTEMPTS = 6
# What a writer meets whose target was made, or was being made, by another in between.
_MADE_MEANWHILE = {
    "DELTA_PATH_EXISTS",
    "DELTA_TABLE_ALREADY_EXISTS",
    "TABLE_OR_VIEW_ALREADY_EXISTS",
}

# `writeTo` takes a commit's metadata from the session alone, so two writes of one session take
# turns: neither may sign the other's commit.
T = TypeVar("T")
_turn = threading.Lock()


def commit(
    protected: DataFrame,
    run: RunRecord,
    target: Target,
    *,
    kept: Sequence[str],
    key_ids: Sequence[int],
) -> None:
    """Writes `protected` to `target` in one Delta commit that bears the run's uid.

    `kept` are the columns that stand in clear: statistics cover them alone.
    Raises what Spark raises; a conflict with another writer is the caller's to repeat.
    """
    spark = protected.sparkSession
    signature = {
        "run_id": run.run_id,
        "run_uid": run.run_uid,
        "policy_hash": run.policy_hash,
        "key_ids": sorted(key_ids),
    }
    if run.reads is not None:
        # Which versions, and not of what: who reads the table need not know where it comes from.
        reads = json.loads(run.reads)
        versions = [reads[place] for place in sorted(reads)]
        if any(version is not None for version in versions):
            signature["versions"] = versions
    schema = protected.schema
    divided = [name for name in target.partitions if name in kept]
    # Delta keeps no statistics of what it divides the files by.
    whole = divided if run.mode == "overwrite" and len(divided) == len(target.partitions) else []
    ranged = [name for name in kept if name not in whole]
    delta = {**statistics_columns(schema, ranged), **name_mapping(schema)}
    ours = {"privpipe.table": run.table, "privpipe.policy_hash": run.policy_hash}
    with _signed(spark, json.dumps(signature, sort_keys=True)):
        if run.mode == "rekey":
            _write_again(protected, run, target)
        elif run.mode == "overwrite":
            writer = _writer(protected, run, target, {**target.settings, **delta, **ours})
            if whole:
                writer = writer.partitionedBy(*(F.col(quoted(name)) for name in whole))
            writer.createOrReplace()
        elif target.state == "delta":
            _writer(protected, run, target, {}).append()
        elif target.state == "absent":
            _writer(protected, run, target, delta | ours).create()
        else:
            _create_over_leavings(protected, run, target, delta)
    if run.mode == "rekey" and target.clustering:
        spark.sql(f"ALTER TABLE {identifier(target.name)} {clustered(target)}")
    if target.state == "leavings" and run.mode not in ("overwrite", "rekey"):
        _set_properties(spark, target, ours)


@contextmanager
def _signed(spark: SparkSession, signature: str) -> Iterator[None]:
    with _turn, setting(spark, _USER_METADATA, signature):
        yield


def _writer(
    protected: DataFrame, run: RunRecord, target: Target, properties: Mapping[str, str]
) -> DataFrameWriterV2:
    writer = protected.writeTo(identifier(target.name)).using("delta").options(**_once(run))
    for name, value in properties.items():
        writer = writer.tableProperty(name, value)
    return writer


def _write_again(protected: DataFrame, run: RunRecord, target: Target) -> None:
    """All rows and the fields' metadata in the place of what is there. The table stays the same
    one: constraints, defaults, properties and features, which `createOrReplace` takes away."""
    writer = protected.write.format("delta").mode("overwrite")
    writer = writer.options(**_once(run), overwriteSchema="true")
    if target.partitions:
        writer = writer.partitionBy(*target.partitions)
    writer.save(target.name if is_path(target.name) else target.location)


def clustered(target: Target) -> str:
    """How Delta is told by what the table is clustered: it forgets that with every row."""
    return f"CLUSTER BY ({', '.join(map(_dotted, target.clustering))})"


def _dotted(name: str) -> str:
    """A column, or a field of a struct, as SQL has it; Delta quotes what has a dot in it alone."""
    return name if "`" in name else ".".join(map(quoted, name.split(".")))


def _create_over_leavings(
    protected: DataFrame, run: RunRecord, target: Target, properties: Mapping[str, str]
) -> None:
    """`create` refuses any folder that holds files. This way asks the log alone, and refuses a
    table that another writer made in between, for `append` as well: it was not looked at yet."""
    writer = protected.write.format("delta").mode("error")
    writer.options(**_once(run), **properties).save(target.name)


def _set_properties(spark: SparkSession, target: Target, properties: Mapping[str, str]) -> None:
    """What that way cannot set in its own commit, in one more. It only informs."""
    pairs = ", ".join(f"'{name}' = {_literal(value)}" for name, value in properties.items())
    spark.sql(f"ALTER TABLE {identifier(target.name)} SET TBLPROPERTIES ({pairs})")


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _once(run: RunRecord) -> dict[str, str]:
    """Options by which Delta makes a second commit of the same run a no-op."""
    return {"txnAppId": transaction_id(run.run_uid), "txnVersion": "1"}


def statistics_columns(schema: StructType, kept: Sequence[str]) -> dict[str, str]:
    """The table property that keeps Delta's minima and maxima to columns that stand in clear."""
    ranged = [
        quoted(field.name)
        for field in schema.fields
        if field.name in kept and isinstance(field.dataType, _RANGED)
    ][:_MOST_STATISTICS]
    if not ranged:
        return {"delta.dataSkippingNumIndexedCols": "0"}
    return {"delta.dataSkippingStatsColumns": ",".join(ranged)}


def name_mapping(schema: StructType) -> dict[str, str]:
    """The table property that names with blanks and the like need; nothing where there are none.

    Not set without need: other readers of Delta may not know column mapping.
    """
    if any(_UNUSUAL.search(name) for name in _names(schema)):
        return {"delta.columnMapping.mode": "name"}
    return {}


def _names(kind: DataType) -> Iterator[str]:
    if isinstance(kind, StructType):
        for field in kind.fields:
            yield field.name
            yield from _names(field.dataType)
    elif isinstance(kind, ArrayType):
        yield from _names(kind.elementType)
    elif isinstance(kind, MapType):
        yield from _names(kind.keyType)
        yield from _names(kind.valueType)


def until_no_conflict(step: Callable[[], T], doing: str) -> T:
    """Repeats a whole decision while another writer's commit comes between. Raises TryAgain."""
    for attempt in range(_ATTEMPTS):
        try:
            return step()
        except TryAgain:
            if attempt == _ATTEMPTS - 1:
                raise
        except (PySparkException, Py4JError) as error:
            if not is_conflict(error) and condition_of(error) not in _MADE_MEANWHILE:
                raise said_by_us(error, doing) from None
        time.sleep(random.uniform(0.5, 1.5) * 2**attempt / 4)  # noqa: S311 - not for secrets
    raise TryAgain(
        f"{doing} met another writer {_ATTEMPTS} times", hint="run it again with the same --run-id"
    )
