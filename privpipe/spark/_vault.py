"""The vault: tokens that lead back to their values through its table alone.

A value's token is drawn at random when it is first met and kept with the value, encrypted. There is
no way from a token to its value but the table and its keys; a deleted entry has none.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, DataType

from privpipe.errors import TryAgain, UsageError
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark._vault_merge import add_missing, remove
from privpipe.spark._vault_table import RESERVED, entries, open_vault, reservation
from privpipe.spark._vault_work import VaultWork, checked_udf, fingerprint_udf, open_udf

__all__ = [
    "detokenize",
    "exchange",
    "expire",
    "fingerprints",
    "forget",
    "give",
    "look_up",
    "remains",
    "tokens_for",
]

_BROADCAST = 100_000  # entries, some MB
_NAMES = ("token", "fingerprint", "value", "link")
_OWN = "__privpipe_entry"
_TOKEN, _FINGERPRINT, _VALUE, _LINK = (f"{_OWN}_{name}" for name in _NAMES)
_NO_TOKEN = str(
    TryAgain(
        "a value has no token in the vault",
        hint="it was forgotten meanwhile, or the source gives other rows each time it is read",
    )
)


def tokens_for(
    path: str,
    work: VaultWork,
    values: DataFrame,
    *,
    expires_at: datetime | None = None,
) -> DataFrame:
    """`fingerprint` and `token` of each value of the one column of `values`; nulls have none.

    Values without a token get one, which counts from now on whatever becomes of this run; those
    that have one keep it, and its expiry. Of two jobs that meet a value at once, both get the token
    of the one that was first. Raises InvalidValue where the vault is full, TryAgain where others
    write without end.
    """
    give(values, path=path, work=work, expires_at=expires_at)
    with translated("reading a vault"):
        each = fingerprints(values, work).withColumnRenamed("fingerprint", _FINGERPRINT)
        token = _found(work, values.columns[0]).alias("token")
        return _with_tokens(each, path).select(F.col(_FINGERPRINT).alias("fingerprint"), token)


def give(
    values: DataFrame, *, path: str, work: VaultWork, expires_at: datetime | None = None
) -> None:
    """Gives a token to each value of the one column of `values` that has none."""
    _check(values, expires_at)
    add_missing(values.sparkSession, path, work, values, expires_at=expires_at)


def exchange(df: DataFrame, column: str, *, path: str, work: VaultWork) -> DataFrame:
    """`df` with the fingerprints in `column` exchanged for the tokens that they were given.

    The values are read twice, once to `give` tokens and once here; one that the second reading
    alone knows ends the job with TryAgain. A large vault is joined by a shuffle of whole rows: what
    is in clear in `df` lies in its files.
    """
    with translated("reading a vault"):
        marked = df.withColumnRenamed(column, _FINGERPRINT)
        token = _found(work, column).alias(column)
        there = _with_tokens(marked, path)
        return there.select(
            *(token if name == column else F.col(quoted(name)) for name in df.columns)
        )


def look_up(
    df: DataFrame, token: Column, entry: str, *, path: str, version: int | None = None
) -> DataFrame:
    """`df` with the entries of tokens, still sealed, in columns that begin with `entry`.

    `version` is the vault's, else the newest whenever it is read. A large vault is joined by a
    shuffle of whole rows: look up all tokens before anything is opened.
    """
    with translated("reading a vault"):
        present = _entries(df.sparkSession, path, entry, version=version)
        names = _parts(entry)
        return df.withColumn(names[0], token).join(present, names[0], "left")


def detokenize(
    df: DataFrame,
    entry: str,
    into: str,
    *,
    work: VaultWork,
    returns: DataType | None = None,
    strict: bool = False,
) -> DataFrame:
    """`df`, as `look_up` gave it, with `struct<value, lost>` of `entry` in its place, in `into`.

    `value` is what `work.open_each` gives, of type `returns`, binary where it is not said. `lost`
    says that a token is unknown, or its value was removed, or its entry does not authenticate; the
    last, where `strict`, is a DecryptionError as it is read.
    """
    names = _parts(entry)
    opened = open_udf(work, into, returns or BinaryType(), strict=strict)
    return df.withColumn(into, opened(*names)).drop(*names)


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


def _parts(entry: str) -> tuple[str, ...]:
    return tuple(f"{entry}_{name}" for name in _NAMES)


def _entries(
    spark: SparkSession, path: str, entry: str, *, version: int | None = None
) -> DataFrame:
    open_vault(spark, path)
    named = [F.col(name).alias(f"{entry}_{name}") for name in _NAMES]
    present = entries(spark, path, version).select(*named)
    # No number is above the reservation's, so there are no more entries than that.
    small = reservation(spark, path).number <= _BROADCAST
    return F.broadcast(present) if small else present


def _with_tokens(marked: DataFrame, path: str) -> DataFrame:
    present = _entries(marked.sparkSession, path, _OWN).drop(_VALUE)
    return marked.join(present, _FINGERPRINT, "left")


def _found(work: VaultWork, column: str) -> Column:
    """The token, which is the fingerprint's own, or an error: a value never goes without."""
    missing = F.col(_FINGERPRINT).isNotNull() & F.col(_TOKEN).isNull()
    token = checked_udf(work, column)(_FINGERPRINT, _TOKEN, _LINK)
    return F.when(missing, F.raise_error(F.lit(_NO_TOKEN))).otherwise(token)


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
