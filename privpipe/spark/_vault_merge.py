"""The commits of a vault: entries that are added, and entries that are removed.

Every commit updates the reservation, so of two at once the second conflicts in Delta and is
repeated. What it decided beforehand, from an earlier version, is guarded by the revision: a MERGE
that finds another one than was read changes nothing, and the decision is made anew.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from privpipe.errors import TryAgain
from privpipe.spark._errors import own_error
from privpipe.spark._leaves import quoted
from privpipe.spark._transaction import refuse_transaction
from privpipe.spark._vault_numbers import highest_noted, table_that_notes
from privpipe.spark._vault_table import (
    RESERVED,
    Reservation,
    entries,
    open_vault,
    reservation,
)
from privpipe.spark._vault_work import VaultWork, draw_udf, prepare_udf
from privpipe.spark._write import until_no_conflict

__all__ = ["add_missing", "remove"]

T = TypeVar("T")

_BUCKETS = 256  # by a fingerprint's first byte: as many tasks as number new entries
_SHARD = 250_000  # entries that one task writes
_EPOCH = 16  # random bytes
_CHANGED = "another job changed the vault in between"
_MOVED = str(TryAgain(_CHANGED))
_COLUMNS = (
    "shard",
    "fingerprint",
    "value",
    "token",
    "link",
    "number",
    "created_at",
    "expires_at",
    "revision",
)


def add_missing(
    spark: SparkSession,
    path: str,
    work: VaultWork,
    values: DataFrame,
    *,
    expires_at: datetime | None,
) -> int:
    """Gives a token to every value that has none. How many there were."""

    def attempt() -> int:
        vault = open_vault(spark, path)
        # Read before the entries are: what changes after this fails the MERGE.
        held = reservation(spark, path)
        # Kept, so that what is counted is what is written. It holds ciphertext alone.
        new = _missing(entries(spark, path), work, values, vault.name).persist()
        try:
            counts = _counts(new)
            wanted = sum(counts)
            if wanted:
                vault.format.check_room(held.number, wanted, vault=vault.name)
                numbered = _numbered(new, held, counts)
                # In the plan, so that a task which runs twice draws alike.
                epoch = secrets.token_bytes(_EPOCH)
                draw = draw_udf(work, f"of vault {vault.name}", epoch)
                drawn = draw("number", "fingerprint")
                until = F.lit(expires_at).cast("timestamp").alias("expires_at")
                _insert(spark, path, held, wanted, numbered.withColumn("drawn", drawn), until)
            return wanted
        finally:
            new.unpersist()

    return until_no_conflict(lambda: _guarded(attempt), "adding to a vault")


def remove(spark: SparkSession, path: str, chosen: DataFrame, same: Column) -> int:
    """Deletes the entries (`t`) that `same` matches with a row of `chosen` (`s`). How many.

    `same` also matches the reservation with one row, whose number stays: no number comes again.
    """

    def attempt() -> int:
        open_vault(spark, path)
        refuse_transaction(spark)
        merge = DeltaTable.forPath(spark, path).alias("t").merge(chosen.alias("s"), same)
        merge = merge.whenMatchedUpdate(
            condition=f"t.shard = {RESERVED}", set={"revision": F.lit(uuid.uuid4().hex)}
        )
        done = merge.whenMatchedDelete(condition=f"t.shard <> {RESERVED}").execute().first()
        return 0 if done is None else int(done["num_deleted_rows"])

    return until_no_conflict(attempt, "removing from a vault")


def _guarded(step: Callable[[], T]) -> T:
    """Lets `until_no_conflict` repeat a step that met another revision."""
    try:
        return step()
    except (PySparkException, Py4JError) as error:
        ours = own_error(error)
        if isinstance(ours, TryAgain):
            raise ours from None
        raise


def _missing(present: DataFrame, work: VaultWork, values: DataFrame, name: str) -> DataFrame:
    """Fingerprint and ciphertext of each value that has no entry, once."""
    value = F.col(quoted(values.columns[0]))
    entry = prepare_udf(work, f"of vault {name}")(value).alias("entry")
    each = values.where(value.isNotNull()).select(entry).select("entry.fingerprint", "entry.value")
    known = present.select("fingerprint")
    return each.dropDuplicates(["fingerprint"]).join(known, "fingerprint", "left_anti")


def _bucket() -> Column:
    return F.conv(F.hex(F.substring("fingerprint", 1, 1)), 16, 10).cast("int")


def _counts(new: DataFrame) -> list[int]:
    rows = new.groupBy(_bucket().alias("bucket")).count().collect()
    found = {row["bucket"]: row["count"] for row in rows}
    return [found.get(bucket, 0) for bucket in range(_BUCKETS)]


def _numbered(new: DataFrame, held: Reservation, counts: list[int]) -> DataFrame:
    """The next numbers, one each and without gaps.

    An entry's place among the fingerprints of its bucket does not depend on how Spark parts or
    repeats the work, so a task that runs twice numbers alike.
    """
    before = [held.number + sum(counts[:bucket]) for bucket in range(_BUCKETS)]
    place = F.row_number().over(Window.partitionBy("bucket").orderBy("fingerprint"))
    # A source that gives other rows when it is read again would run into another bucket's numbers.
    number = F.when(
        F.col("place") <= F.get(_literal(counts), F.col("bucket")),
        F.get(_literal(before), F.col("bucket")) + F.col("place"),
    ).otherwise(F.raise_error(F.lit(_MOVED)))
    return (
        new.withColumn("bucket", _bucket()).withColumn("place", place).withColumn("number", number)
    )


def _literal(numbers: list[int]) -> Column:
    return F.expr(f"array({', '.join(f'{number}L' for number in numbers)})")


def _insert(
    spark: SparkSession,
    path: str,
    held: Reservation,
    wanted: int,
    numbered: DataFrame,
    until: Column,
) -> None:
    now = F.lit(datetime.now(UTC)).alias("created_at")
    shards = -(-wanted // _SHARD)
    source = numbered.select(
        (F.col("bucket") % shards).alias("shard"),
        *("fingerprint", "value", "drawn.token", "drawn.link", "number"),
        now,
        until,
        F.lit(None).cast("string").alias("held"),
    )
    reserve = spark.range(1).select(
        F.lit(RESERVED).alias("shard"),
        F.expr("X''").alias("fingerprint"),
        F.lit(held.number + wanted).cast("bigint").alias("number"),
        now,
        F.lit(uuid.uuid4().hex).alias("revision"),
        F.lit(held.revision).alias("held"),
    )
    # Only the reservation is matched: the revision says that no entry came since they were read.
    # So the MERGE reads one small file, however large the vault is.
    same = f"t.fingerprint = s.fingerprint AND t.shard = {RESERVED}"
    merge = (
        table_that_notes(spark, path, held.number + wanted)
        .alias("t")
        .merge(source.unionByName(reserve, allowMissingColumns=True).alias("s"), F.expr(same))
    )
    unmoved = F.when(F.col("t.revision") == F.col("s.held"), F.col("s.number"))
    merge = merge.whenMatchedUpdate(
        set={
            "number": unmoved.otherwise(F.raise_error(F.lit(_MOVED))),
            "created_at": F.col("s.created_at"),
            "revision": F.col("s.revision"),
        }
    )
    merge = merge.whenNotMatchedInsert(
        condition=f"s.shard <> {RESERVED}", values={name: F.col(f"s.{name}") for name in _COLUMNS}
    )
    # A RESTORE may have brought back the very revision, and not the numbers given in between. One
    # that comes behind this look shows itself where as many were given: then Delta does nothing.
    if highest_noted(spark, path) > held.number or merge.execute().isEmpty():
        raise TryAgain(_CHANGED)
