"""The table of a vault: made, found again, and told from other tables.

Its entries lie in shards 0 and up. Shard -1 holds one row, the reservation: the highest number that
was given out, and the revision, new with every commit that adds or removes entries. It lies in a
partition of its own, so that rewriting it rewrites nothing else.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.errors import AppendMismatch, DataError, TargetError, TryAgain
from privpipe.spark._catalog_errors import is_absent, may_be_under_way, was_outrun
from privpipe.spark._newest import properties_there
from privpipe.spark._noted import KEPT_FOR_GOOD
from privpipe.spark._past import read_version
from privpipe.spark._target import inspect_target
from privpipe.spark._transaction import refuse_transaction
from privpipe.spark._vault_format import VaultFormat, parse_vault_format
from privpipe.spark._vault_numbers import highest_noted
from privpipe.spark._write import until_no_conflict

__all__ = [
    "RESERVED",
    "Reservation",
    "Vault",
    "ensure_vault",
    "entries",
    "find_vault",
    "open_vault",
    "refuse_other_vault",
    "reservation",
]

RESERVED = -1
"""The shard of the reservation"""

_MARKS = ("privpipe.vault", "privpipe.vault_tokens", "privpipe.vault_format")
_FORMAT_VERSION = "1"
_COLUMNS = (
    ("shard", "int", False, "-1 for the reservation"),
    ("fingerprint", "binary", False, "a keyed fingerprint of the value; empty in the reservation"),
    ("value", "binary", True, "the value, padded and encrypted"),
    ("token", "string", True, "what stands for the value"),
    ("link", "binary", True, "a keyed tag that binds the token to the fingerprint"),
    ("number", "bigint", False, "what the token was drawn from; the highest in the reservation"),
    ("created_at", "timestamp", False, None),
    ("expires_at", "timestamp", True, None),
    ("revision", "string", True, "in the reservation alone: new with every commit"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """A vault's name, and what its tokens look like."""

    path: str
    name: str
    format: VaultFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The highest number that was given out, and the revision at which it was."""

    number: int
    revision: str


def ensure_vault(spark: SparkSession, path: str, name: str, form: VaultFormat) -> Vault:
    """The vault at `path`, made where nothing is.

    Raises TargetError where something else is there, AppendMismatch where it is another vault or
    one of other tokens.
    """
    return until_no_conflict(
        lambda: _ensured(spark, Vault(path=path, name=name, format=form)), f"making vault {name}"
    )


def refuse_other_vault(spark: SparkSession, path: str, name: str, form: VaultFormat) -> None:
    """As `ensure_vault` refuses what is at `path`, and makes nothing."""
    found = find_vault(spark, path)
    if found is not None:
        _refuse_other(found, Vault(path=path, name=name, format=form))


def open_vault(spark: SparkSession, path: str) -> Vault:
    """The vault at `path`. Raises TargetError where there is none."""
    found = find_vault(spark, path)
    if found is None:
        raise TargetError("there is no vault", where=path)
    return found


def entries(spark: SparkSession, path: str, version: int | None = None) -> DataFrame:
    """The vault's rows, without the reservation, at a version or the newest."""
    if version is None:
        frame = DeltaTable.forPath(spark, path).toDF()
    else:
        frame = read_version(spark, path, version)
    return frame.where(F.col("shard") != RESERVED)


def reservation(spark: SparkSession, path: str) -> Reservation:
    """Which numbers are taken, as the one row of the reservation says, or as a commit noted that a
    RESTORE has left behind."""
    rows = _reserved(spark, path)
    if len(rows) != 1:
        raise DataError(
            f"the vault has {len(rows)} reservations, and not one",
            where=path,
            hint="which numbers are taken is not known: undo what changed the table",
        )
    return replace(rows[0], number=max(rows[0].number, highest_noted(spark, path)))


def _reserved(spark: SparkSession, path: str) -> list[Reservation]:
    frame = DeltaTable.forPath(spark, path).toDF().where(F.col("shard") == RESERVED)
    return [
        Reservation(number=row["number"], revision=row["revision"])
        for row in frame.select("number", "revision").collect()
    ]


def _ensured(spark: SparkSession, wanted: Vault) -> Vault:
    found = find_vault(spark, wanted.path)
    if found is None:
        _create(spark, wanted)
        found = find_vault(spark, wanted.path)
    if found is None:
        raise TryAgain(
            "the vault's folder holds the beginnings of a table",
            where=wanted.path,
            hint="another job may be making it; where none is, remove the folder",
        )
    _refuse_other(found, wanted)
    if not _reserved(spark, found.path):
        if not entries(spark, found.path).isEmpty():
            raise DataError(
                "the vault has entries and no reservation: numbers would be given twice",
                where=f"vault {found.name}",
                hint="someone changed the vault's table; restore it from a backup",
            )
        _reserve(spark, found.path, highest_noted(spark, found.path))
    return found


def _refuse_other(found: Vault, wanted: Vault) -> None:
    if found.name != wanted.name:
        raise AppendMismatch(f"this is the vault {found.name}, not {wanted.name}", where=found.path)
    if found.format != wanted.format:
        raise AppendMismatch(
            f"the vault's tokens are {found.format.text}, not {wanted.format.text}",
            where=f"vault {found.name}",
            hint="all columns of a vault have tokens of one format: name another vault",
        )


def find_vault(spark: SparkSession, path: str) -> Vault | None:
    """The vault at `path`, None where nothing is. Raises TargetError for anything else there."""
    try:
        found = properties_there(spark, path, _MARKS)
    except (PySparkException, Py4JError) as error:
        if not is_absent(error):
            raise
        found = None
    if found is None:
        if inspect_target(spark, path).state in ("absent", "leavings"):
            return None
        raise TargetError("something that is no vault is there", where=path)
    name, text, version = found
    if name is None or text is None:
        raise TargetError("the table there is no vault", where=path)
    if version != _FORMAT_VERSION:
        raise TargetError(f"a vault of format {version}, which this release cannot use", where=path)
    return Vault(path=path, name=name, format=parse_vault_format(text))


def _create(spark: SparkSession, vault: Vault) -> None:
    builder = DeltaTable.createIfNotExists(spark).location(vault.path).partitionedBy("shard")
    for name, kind, nullable, comment in _COLUMNS:
        builder = builder.addColumn(name, kind, nullable=nullable, comment=comment)
    properties = {
        "delta.enableDeletionVectors": "false",  # what is deleted must leave the files
        "delta.autoOptimize.autoCompact": "true",  # every run adds a file
        "delta.dataSkippingStatsColumns": "number,created_at",
        **KEPT_FOR_GOOD,
        **dict(zip(_MARKS, (vault.name, vault.format.text, _FORMAT_VERSION), strict=True)),
    }
    for name, value in properties.items():
        builder = builder.property(name, value)
    try:
        builder.comment("privpipe vault").execute()
    except (PySparkException, Py4JError) as error:
        if was_outrun(error) or may_be_under_way(error):
            raise TryAgain(
                "another job is making the vault, or was stopped when it did",
                where=vault.path,
                hint="run it again; where no other job runs, remove the folder first",
            ) from None
        raise


def _reserve(spark: SparkSession, path: str, number: int) -> None:
    """The first reservation. Of two that are made at once the second one's commit conflicts."""
    refuse_transaction(spark)
    row = spark.range(1).select(
        F.lit(RESERVED).alias("shard"),
        F.expr("X''").alias("fingerprint"),
        F.lit(number).cast("bigint").alias("number"),
        F.current_timestamp().alias("created_at"),
        F.lit(uuid.uuid4().hex).alias("revision"),
    )
    merge = DeltaTable.forPath(spark, path).alias("t").merge(row.alias("s"), "t.shard = s.shard")
    merge.whenNotMatchedInsert(values={name: f"s.{name}" for name in row.columns}).execute()
