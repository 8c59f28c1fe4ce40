"""Where revealed values go: a new Delta table, Parquet files or CSV files, and damaged rows beside.

An output holds what stands in clear: kept columns and opened ones. Columns that stay protected are
left out, since outside their own table no catalog could open them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.catalog import ColumnRecord
from privpipe.errors import DecryptionError, InternalError, TargetError, UsageError
from privpipe.keys import Keyring
from privpipe.policy import PROTECTIONS, parse_path
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark._recorded import key_column
from privpipe.spark._reveal import DAMAGED, OnError, reveal, reveal_each
from privpipe.spark._staged import staged
from privpipe.spark._target import identifier, inspect_target, may_write
from privpipe.spark._vault_columns import Vaulted
from privpipe.spark._verify import damaged_rows
from privpipe.spark._write import name_mapping, statistics_columns

__all__ = ["Revealed", "beside", "refuse_lone_null", "refuse_taken", "reveal_into", "write_clear"]

Facts: TypeAlias = Sequence[ColumnRecord]

# RFC 4180, so that every reader gets the very value: left to itself, Spark's writer takes blanks
# off a value's ends and puts backslashes into it.
_CSV = {
    "header": "true",
    "escape": '"',
    "ignoreLeadingWhiteSpace": "false",
    "ignoreTrailingWhiteSpace": "false",
    # Left to itself, it cuts a second after three digits.
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS]xxx",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS]",
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
    *,
    vaults: Vaulted,
) -> Revealed:
    """Writes `df` with `columns` opened to the new place `target`; where that fails, what was begun
    there is taken away again.

    "fail" authenticates every value before the first is written; "null" writes null for a damaged
    value; "quarantine" writes the damaged rows, as they are, to `<target>_quarantine` first. Where
    `vaults` have no value for a token, it is damaged like any other value.
    """
    if on_error not in ("fail", "null", "quarantine"):
        raise UsageError(f"unknown on_error {on_error!r}", hint="one of fail, null, quarantine")
    marked = vaults.beside(df, strict=False)
    bad = damaged_rows(marked, columns, facts, keys, also=vaults.lost)
    names = _names(facts) | vaults.names
    if on_error == "fail":
        _refuse_damage(bad, [*columns, *sorted(vaults.names)])
        plain = reveal(vaults.beside(df, strict=True), columns, facts, keys)
    else:
        plain = reveal_each(marked, columns, facts, keys)
        if on_error == "quarantine":
            plain = plain.where(~(F.col(DAMAGED) | vaults.lost))
        plain = plain.drop(DAMAGED)
    plain = vaults.instead(plain, strict=on_error == "fail")
    plain = _in_clear(plain, columns, facts)
    refuse_lone_null(plain, target)
    if on_error == "quarantine":
        return _set_aside(df, plain, vaults.without(bad), names, target)
    damaged = bad.count() if on_error == "null" else 0
    with staged(target) as place:
        rows = write_clear(plain, place, names, wanted=df.count())
    return Revealed(rows=rows, damaged=damaged, target=target)


def _set_aside(
    df: DataFrame, plain: DataFrame, bad: DataFrame, opened: Collection[str], target: str
) -> Revealed:
    """Writes the sound rows to `target`, and the damaged ones, as they are, beside it."""
    quarantine = beside(target)
    refuse_taken(df.sparkSession, quarantine)
    with staged(target) as place, staged(quarantine) as aside:
        damaged = _write_damaged(bad, aside)
        rows = write_clear(plain, place, opened, wanted=df.count() - damaged)
    return Revealed(rows=rows, damaged=damaged, target=target, quarantine=quarantine)


def refuse_lone_null(df: DataFrame, target: str) -> None:
    """CSV writes a null as nothing, and where that is a whole row, no reader sees it."""
    if target.endswith(".csv") and len(df.columns) == 1:
        with translated("looking for nulls"):
            nulls = df.where(F.col(quoted(df.columns[0])).isNull()).count()
        if nulls:
            raise TargetError(
                f"a CSV of one column cannot hold its {nulls} null(s)",
                where=target,
                hint="reveal into Parquet or Delta, or with a second column",
            )


def _refuse_damage(bad: DataFrame, columns: Sequence[str]) -> None:
    with translated("authenticating the table"):
        damaged = bad.count()
    if damaged:
        raise DecryptionError(
            f"{damaged} row(s) hold values that do not authenticate; nothing was written",
            where=f"column(s) {', '.join(columns)}",
            hint="`privpipe verify` names the files; --on-error null or quarantine goes round them",
        )


def _in_clear(df: DataFrame, columns: Sequence[str], facts: Facts) -> DataFrame:
    """`df` less the columns that hold nothing but ciphertext."""
    opened = {str(parse_path(text)[0]).lower() for text in columns}
    # What has no way back is what it is, in every table: masks and pseudonyms are read as they are.
    shut = [fact for fact in facts if PROTECTIONS[fact.protection].reversible]
    whole = (parse_path(fact.path) for fact in shut)
    closed = {str(path[0]).lower() for path in whole if len(path) == 1} - opened
    closed |= {name.lower() for fact in shut if (name := key_column(fact)) is not None}
    return df.select(*(F.col(quoted(name)) for name in df.columns if name.lower() not in closed))


def _names(facts: Facts) -> set[str]:
    return {str(parse_path(fact.path)[0]).lower() for fact in facts}


def write_clear(df: DataFrame, target: str, opened: Collection[str], *, wanted: int) -> int:
    """Writes `df` and reads it back: the rows there, as many as were wanted.

    `opened` are the columns, in lower case, that were opened.
    """
    with translated("writing what was revealed"):
        if target.endswith(".csv"):
            df.write.mode("error").options(**_CSV).csv(target)
        elif target.endswith(".parquet"):
            df.write.mode("error").parquet(target)
        else:
            # No statistics of what was opened: Delta prints those of small tables in Spark's log,
            # at INFO, where more people look than into this table.
            kept = [name for name in df.columns if name.lower() not in opened]
            _create(df, target, statistics_columns(df.schema, kept))
    there = _count(df.sparkSession, target)
    if there != wanted:
        raise InternalError(
            f"{wanted} row(s) were to be written, and {there} are read back",
            where=target,
            hint="reveal into a Delta table, and report this",
        )
    return there


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


def beside(target: str, end: str = "") -> str:
    """The table for damaged rows, beside `target`: its name, `_quarantine` and `end`."""
    if target.endswith("`"):
        return f"{target[:-1]}_quarantine{end}`"
    stem = target.removesuffix(".parquet").removesuffix(".csv")
    return f"{stem}_quarantine{end}"
