"""`verify`: authenticates every protected value of a table and releases none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from privpipe.catalog import ColumnRecord
from privpipe.keys import Keyring
from privpipe.policy import PROTECTIONS
from privpipe.spark._errors import translated
from privpipe.spark._labels import refuse_other_labels
from privpipe.spark._recorded import key_column
from privpipe.spark._reveal import columns_to_open
from privpipe.spark._udf import damage_udf

__all__ = ["Damage", "VerifyReport", "damaged_rows", "verify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """How many values of one column of one file do not authenticate."""

    file: str
    column: str
    damaged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What `verify` found: protected values looked at, and the files that hold damage.

    `not_judged` are the columns whose values cannot say that they were altered, and sealed ones
    whose private key is not at hand. A token whose key id leads to no key is damage all the same.
    """

    table: str
    values: int
    damaged: int
    files: tuple[Damage, ...]
    not_judged: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Does every value authenticate?"""
        return self.damaged == 0


def verify(df: DataFrame, table: str, facts: Sequence[ColumnRecord], keys: Keyring) -> VerifyReport:
    """Authenticates every protected value of `df`, which reads `table`'s files directly."""
    refuse_other_labels(df.schema, facts)
    judged = [fact.path for fact in facts if _is_judged(fact, facts, keys)]
    rest = tuple(fact.path for fact in facts if not _is_judged(fact, facts, keys))
    asked = [fact.path for fact in facts if key_column(fact) is not None]
    if not judged and not asked:
        return VerifyReport(table=table, values=0, damaged=0, files=(), not_judged=rest)
    opened = columns_to_open(df.schema, [*judged, *asked], facts, keys)
    told = [at for at, column in enumerate(opened) if all(t.ids is None for t in column.tasks)]
    counts = [
        damage_udf(column.tasks)(*column.sources).alias(f"c{at}")
        for at, column in enumerate(opened)
    ]
    sums = [
        F.sum(f"c{at}.{what}").alias(f"{what}{at}")
        for at in range(len(opened))
        for what in ("held", "damaged")
    ]
    per_file = df.select(
        df.metadataColumn("_metadata").getField("file_path").alias("file"), *counts
    )
    with translated("verifying the table"):
        rows = per_file.groupBy("file").agg(*sums).orderBy("file").collect()
    damages = tuple(
        Damage(file=row["file"], column=column.name, damaged=row[f"damaged{at}"])
        for row in rows
        for at, column in enumerate(opened)
        if row[f"damaged{at}"]
    )
    return VerifyReport(
        table=table,
        values=sum(row[f"held{at}"] for row in rows for at in told),
        damaged=sum(damage.damaged for damage in damages),
        files=damages,
        not_judged=rest,
    )


def _is_judged(fact: ColumnRecord, facts: Sequence[ColumnRecord], keys: Keyring) -> bool:
    """Whether a value says that it was altered, and can be asked here."""
    if fact.protection == "seal":
        if keys.opener is None:
            return False
        sealed = {each.key_id for each in facts if each.protection == "seal"}
        # A key that opens none of the columns is a mistake, which is told as such.
        return fact.key_id == keys.opener.fingerprint or keys.opener.fingerprint not in sealed
    return PROTECTIONS[fact.protection].authenticated


def damaged_rows(
    df: DataFrame,
    columns: Sequence[str],
    facts: Sequence[ColumnRecord],
    keys: Keyring,
    *,
    also: Column | None = None,
) -> DataFrame:
    """The rows of `df`, as they are, in which some value of `columns` does not authenticate, or
    `also` holds."""
    opened = columns_to_open(df.schema, columns, facts, keys)
    damage = [damage_udf(column.tasks)(*column.sources).getField("damaged") for column in opened]
    damaged = reduce(add, damage, F.lit(0)) > 0
    return df.where(damaged if also is None else damaged | also)
