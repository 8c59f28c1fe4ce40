"""The vault: tokens that lead back to their values through its table alone.

A value's token is drawn at random when it is first met and kept with the value, encrypted. There is
no way from a token to its value but the table and its keys; a deleted entry has none.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType

from privpipe.errors import TryAgain, UsageError
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark._vault_merge import add_missing, remove
from privpipe.spark._vault_table import RESERVED, entries, open_vault, reservation
from privpipe.spark._vault_work import VaultWork, fingerprint_udf, open_udf

__all__ = ["detokenize", "expire", "fingerprints", "forget", "remains", "tokenize", "tokens_for"]

_BROADCAST = 100_000  # entries, some MB
_FINGERPRINT, _TOKEN, _VALUE = (f"__privpipe_{name}" for name in ("fingerprint", "token", "value"))
_NO_TOKEN = str(
    TryAgain(
        "a value has no token in the vault",
        hint="it was forgotten meanwhile, or the source gives other rows each time it is read",
    )
)


def tokens_for(
    spark: SparkSession,
    path: str,
    work: VaultWork,
    values: DataFrame,
    *,
    run_id: str | None = None,
    expires_at: datetime | None = None,
) -> DataFrame:
    """`fingerprint` and `token` of each value of the one column of `values`; nulls have none.

    Values without a token get one, which counts from now on whatever becomes of this run; those
    that have one keep it, and its expiry. Of two jobs that meet a value at once, both get the token
    of the one that was first. Raises InvalidValue where the vault is full, TryAgain where others
    write without end.
    """
    _check(values, expires_at)
    run = run_id or uuid.uuid4().hex
    add_missing(spark, path, work, values, run_id=run, expires_at=expires_at)
    with translated("reading a vault"):
        present = _entries(spark, path, "fingerprint", "token")
        each = fingerprints(values, work).withColumnRenamed("fingerprint", _FINGERPRINT)
        return _joined(each, present).select(
            F.col(_FINGERPRINT).alias("fingerprint"), _found().alias("token")
        )


def tokenize(
    df: DataFrame,
    value: Column,
    into: str,
    *,
    path: str,
    work: VaultWork,
    run_id: str | None = None,
    expires_at: datetime | None = None,
) -> DataFrame:
    """`df` with the tokens of `value` in column `into`, added or replaced; null stays null.

    `df` is read twice, once to give tokens and once to join them; a value that the second reading
    alone knows ends the job with TryAgain.
    """
    spark = df.sparkSession
    values = df.select(value.alias("value"))
    _check(values, expires_at)
    run = run_id or uuid.uuid4().hex
    add_missing(spark, path, work, values, run_id=run, expires_at=expires_at)
    with translated("reading a vault"):
        marked = df.withColumn(_FINGERPRINT, fingerprint_udf(work, into)(value))
        joined = _joined(marked, _entries(spark, path, "fingerprint", "token"))
        return joined.withColumn(into, _found()).drop(_FINGERPRINT, _TOKEN)


def detokenize(
    df: DataFrame,
    token: Column,
    into: str,
    *,
    path: str,
    work: VaultWork,
    returns: DataType | None = None,
    unknown: Observation | None = None,
) -> DataFrame:
    """`df` with the values of the tokens in column `into`, added or replaced; null stays null.

    `returns` is what `work.open` gives, binary where it is not said. An unknown token, or one whose
    value was removed, gives null: `unknown` counts them (metric `unknown`) while the result is
    read, and what to do about it is the caller's.
    """
    spark = df.sparkSession
    with translated("reading a vault"):
        present = _entries(spark, path, "token", "value")
        joined = df.withColumn(_TOKEN, token).join(present, _TOKEN, "left")
        if unknown is not None:
            lost = F.col(_TOKEN).isNotNull() & F.col(_VALUE).isNull()
            joined = joined.observe(unknown, F.count_if(lost).alias("unknown"))
        opened = open_udf(work, into, returns or BinaryType())(F.col(_VALUE))
        return joined.withColumn(into, opened).drop(_TOKEN, _VALUE)


def fingerprints(values: DataFrame, work: VaultWork) -> DataFrame:
    """`fingerprint` of each value of the one column of `values`, once; nulls have none."""
    name = values.columns[0]
    value = F.col(quoted(name))
    each = fingerprint_udf(work, name)(value).alias("fingerprint")
    return values.where(value.isNotNull()).select(each).distinct()


def expire(spark: SparkSession, path: str, now: datetime) -> int:
    """Deletes the entries that expired at `now` or before. How many.

    Until then an expired entry serves like any other. A value that is met again gets another token.
    """
    _check_time(now)
    line = spark.range(1).select(F.lit(now).alias("now"))
    past = (F.col("t.shard") == RESERVED) | (F.col("t.expires_at") <= F.col("s.now"))
    return remove(spark, path, line, past)


def forget(spark: SparkSession, path: str, chosen: DataFrame) -> int:
    """Deletes the entries of single values, given by the `fingerprints` of them. How many.

    No value and no fingerprint stands in a predicate, for the table's log keeps those. See
    `remains` for what old versions hold.
    """
    reserve = spark.range(1).select(F.expr("X''").alias("fingerprint"))
    first = F.col(quoted(chosen.columns[0]))
    # The empty fingerprint is the reservation's: it must match one row alone.
    named = chosen.select(first.alias("fingerprint")).where(F.length(first) > 0).distinct()
    same = F.col("t.fingerprint") == F.col("s.fingerprint")
    return remove(spark, path, named.unionByName(reserve), same)


def remains(path: str) -> str:
    """What a deletion leaves behind, and how that goes."""
    return (
        "the entries are still in the table's old versions, until their files are removed: "
        f"VACUUM delta.`{path}` removes those that are older than "
        "delta.deletedFileRetentionDuration (7 days, where it is not set). Copies and clones of "
        "the table keep theirs."
    )


def _entries(spark: SparkSession, path: str, *columns: str) -> DataFrame:
    open_vault(spark, path)
    named = [F.col(name).alias(f"__privpipe_{name}") for name in columns]
    present = entries(spark, path).select(*named)
    # No number is above the reservation's, so there are no more entries than that.
    small = reservation(spark, path).number <= _BROADCAST
    return F.broadcast(present) if small else present


def _joined(df: DataFrame, present: DataFrame) -> DataFrame:
    return df.join(present, _FINGERPRINT, "left")


def _found() -> Column:
    """The token, or an error: a value never goes without."""
    missing = F.col(_FINGERPRINT).isNotNull() & F.col(_TOKEN).isNull()
    return F.when(missing, F.raise_error(F.lit(_NO_TOKEN))).otherwise(F.col(_TOKEN))


def _check(values: DataFrame, expires_at: datetime | None) -> None:
    if len(values.columns) != 1:
        raise UsageError(f"a vault takes one column of values, and not {len(values.columns)}")
    if expires_at is not None:
        _check_time(expires_at)
        if expires_at <= datetime.now(UTC):
            raise UsageError("the tokens would have expired before they are made")


def _check_time(time: datetime) -> None:
    if time.tzinfo is None:
        raise UsageError("a time without its zone", hint="give it one: datetime.now(UTC)")
