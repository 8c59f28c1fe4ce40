"""Where revealed values go: a new Delta table, Parquet files or CSV files, and damaged rows beside.

An output holds what stands in clear: kept columns and opened ones. Columns that stay protected are
left out, since outside their own table no catalog could open them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.catalog import ColumnRecord
from privpipe.errors import DecryptionError, UsageError
from privpipe.keys import Keyring
from privpipe.policy import parse_path
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark._reveal import DAMAGED, OnError, reveal, reveal_each
from privpipe.spark._target import identifier, inspect_target, may_write
from privpipe.spark._verify import damaged_rows
from privpipe.spark._write import name_mapping, statistics_columns

__all__ = ["Revealed", "refuse_taken", "reveal_into"]

Facts: TypeAlias = Sequence[ColumnRecord]

# RFC 4180, so that every reader gets the very value: left to itself, Spark's writer takes blanks
# off a value's ends and puts backslashes into it.
_CSV = {
    "header": "true",
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """What `reveal_to` wrote: rows in clear, and damaged rows with the table that holds them."""

    rows: int
    damaged: int
    target: str
    quarantine: str | None = None


def refuse_taken(spark: SparkSession, target: str) -> None:
    """Raises TargetError where anything stands at `target`."""
    may_write(inspect_target(spark, target), "error")


def reveal_into(
    df: DataFrame,
    columns: Sequence[str],
    facts: Facts,
    keys: Keyring,
    target: str,
    on_error: OnError,
) -> Revealed:
    """Writes `df` with `columns` opened to the new place `target`.

    "fail" authenticates every value before the first is written; "null" writes null for a damaged
    value; "quarantine" writes the damaged rows, as they are, to `<target>_quarantine` first.
    """
    spark = df.sparkSession
    if on_error == "fail":
        _refuse_damage(df, columns, facts, keys)
        _write(_in_clear(reveal(df, columns, facts, keys), columns, facts), target, facts)
        return Revealed(rows=_count(spark, target), damaged=0, target=target)
    if on_error not in ("null", "quarantine"):
        raise UsageError(f"unknown on_error {on_error!r}", hint="one of fail, null, quarantine")
    tried = reveal_each(df, columns, facts, keys)
    beside = None
    if on_error == "quarantine":
        beside = _beside(target)
        refuse_taken(spark, beside)
        damaged = _write_damaged(damaged_rows(df, columns, facts, keys), beside)
        tried = tried.where(~F.col(DAMAGED))
    else:
        damaged = damaged_rows(df, columns, facts, keys).count()
    _write(_in_clear(tried.drop(DAMAGED), columns, facts), target, facts)
    return Revealed(rows=_count(spark, target), damaged=damaged, target=target, quarantine=beside)


def _refuse_damage(df: DataFrame, columns: Sequence[str], facts: Facts, keys: Keyring) -> None:
    with translated("authenticating the table"):
        damaged = damaged_rows(df, columns, facts, keys).count()
    if damaged:
        raise DecryptionError(
            f"{damaged} row(s) hold values that do not authenticate; nothing was written",
            where=f"column(s) {', '.join(columns)}",
            hint="`privpipe verify` names the files; --on-error null or quarantine goes round them",
        )


def _in_clear(df: DataFrame, columns: Sequence[str], facts: Facts) -> DataFrame:
    """`df` less the columns that hold nothing but ciphertext."""
    opened = {str(parse_path(text)[0]).lower() for text in columns}
    whole = (parse_path(fact.path) for fact in facts)
    closed = {str(path[0]).lower() for path in whole if len(path) == 1} - opened
    return df.select(*(F.col(quoted(name)) for name in df.columns if name.lower() not in closed))


def _write(df: DataFrame, target: str, facts: Facts) -> None:
    with translated("writing what was revealed"):
        if target.endswith(".csv"):
            df.write.mode("error").options(**_CSV).csv(target)
        elif target.endswith(".parquet"):
            df.write.mode("error").parquet(target)
        else:
            # No statistics of what was opened: Delta prints those of small tables in Spark's log,
            # at INFO, where more people look than into this table.
            opened = {str(parse_path(fact.path)[0]).lower() for fact in facts}
            kept = [name for name in df.columns if name.lower() not in opened]
            _create(df, target, statistics_columns(df.schema, kept))


def _write_damaged(rows: DataFrame, target: str) -> int:
    with translated("writing the damaged rows"):
        _create(rows, target, statistics_columns(rows.schema, ()))
    return _count(rows.sparkSession, target)


def _create(df: DataFrame, target: str, statistics: Mapping[str, str]) -> None:
    writer = df.writeTo(identifier(target)).using("delta")
    for name, value in {**statistics, **name_mapping(df.schema)}.items():
        writer = writer.tableProperty(name, value)
    writer.create()


def _count(spark: SparkSession, target: str) -> int:
    suffix = target.rpartition(".")[2]
    with translated("counting what was written"):
        if suffix == "parquet":
            return spark.read.parquet(target).count()
        if suffix == "csv":
            return spark.read.options(**_CSV, multiLine="true").csv(target).count()
        return spark.table(identifier(target)).count()


def _beside(target: str) -> str:
    stem = target.removesuffix(".parquet").removesuffix(".csv")
    return f"{stem}_quarantine"
