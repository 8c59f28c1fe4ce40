"""A project's vaults: what there is, and how single subjects and expired entries leave them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.catalog import lease_is_over
from privpipe.errors import KeysetNotFound, TargetError, TryAgain, UsageError
from privpipe.keys import KeyRef
from privpipe.policy import VAULT_NAME, Vault, family, is_family
from privpipe.spark._errors import translated
from privpipe.spark._intervals import to_months
from privpipe.spark._leaves import quoted
from privpipe.spark._recorded import settings_of
from privpipe.spark._types import arrow_type, policy_type, spark_type
from privpipe.spark._vacuum import vacuum
from privpipe.spark._vault import expire, fingerprints, forget
from privpipe.spark._vault_columns import vaults_at
from privpipe.spark._vault_steps import VaultSteps
from privpipe.spark._vault_table import entries, find_vault, reservation
from privpipe.spark._vault_texts import read_texts
from privpipe.spark._workspace import Workspace

__all__ = ["VaultReport", "expire_vault", "forget_values", "list_vaults", "purge_vault"]

PRIMITIVE = "HKDF_SHA256_PRF"
_SCOPE = "vault:"
_NAME = re.compile(VAULT_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultReport:
    """One vault. `given` tokens were ever drawn, of `most`; `expired` of its `entries` are past
    their time and still there."""

    name: str
    format: str
    entries: int
    given: int
    most: int
    expired: int

    @property
    def fill(self) -> float:
        """The share of its tokens that is used up: 1 where the vault is full."""
        return self.given / self.most


def list_vaults(work: Workspace) -> tuple[VaultReport, ...]:
    """The project's vaults by name, as far as their tables are there."""
    if work.catalog.location.startswith("schema:"):
        return ()
    names = {
        record.scope.removeprefix(_SCOPE)
        for record in work.catalog.keysets()
        if record.scope.startswith(_SCOPE)
    }
    names |= {name for name, _ in _families(work)}
    with translated("looking into the vaults"):
        found = (_report(work, name) for name in sorted(names) if _NAME.fullmatch(name))
        return tuple(report for report in found if report is not None)


def forget_values(
    work: Workspace, name: str, values: DataFrame | Sequence[str], kind: str | None
) -> int:
    """Deletes the entries of `values` from the vault `name`. How many there were.

    Texts are of the family `kind`, or of the one that the vault's columns have. Raises UsageError
    where they have several, or none of that family; InvalidValue for a text that is no value of it.
    """
    path = _path(work, name)
    ref = work.keys.find(f"{_SCOPE}{name}", PRIMITIVE)
    if ref is None:
        raise KeysetNotFound(
            "the catalog has no such keyset: what a value's entry is cannot be told",
            where=f"keyset {_SCOPE}{name}",
            hint="`privpipe keys restore` brings back a backup",
        )
    if isinstance(values, DataFrame):
        return forget(work.spark, path, _of_frame(work, values, ref, name))
    steps = _steps(ref, name, _family(work, name, kind))
    marks = steps.fingerprint(read_texts(values, steps.family)).cast(pa.binary())
    table = pa.table({"fingerprint": marks})
    with translated("removing from a vault"):
        return forget(work.spark, path, work.spark.createDataFrame(table))


def expire_vault(work: Workspace, name: str) -> int:
    """Deletes the entries of the vault `name` that are past their time. How many there were."""
    return expire(work.spark, _path(work, name), datetime.now(UTC))


def purge_vault(work: Workspace, name: str, hours: int) -> int:
    """Removes the files that the vault `name` has not used for `hours`: how many. What was deleted
    is gone from the disk then, but for entries deleted within that time.

    Raises TryAgain while a run is under way that began before that time: what it has written and
    not committed yet looks like an old file.
    """
    if hours < 0:
        raise UsageError(f"a retention of {hours} hours", hint="0 keeps no old file")
    path = _path(work, name)
    now = datetime.now(UTC)
    for run in work.catalog.runs():
        begun = run.started_at <= now - timedelta(hours=hours)
        if run.state == "PENDING" and begun and not lease_is_over(run, now):
            raise TryAgain(
                f"run {run.run_id} is under way, and may be writing to the vault",
                where=f"vault {name}",
                hint="purge when it has ended, or keep old files for longer than it runs",
            )
    with translated("removing a vault's old files"):
        return vacuum(work.spark, path, hours)


def _path(work: Workspace, name: str) -> str:
    # The name is part of a path: what no policy could have named is not looked for.
    path = f"{vaults_at(work.catalog.location)}/{name}"
    if _NAME.fullmatch(name) is None or find_vault(work.spark, path) is None:
        raise TargetError(
            "there is no such vault", where=f"vault {name}", hint="`privpipe vault list` shows all"
        )
    return path


def _report(work: Workspace, name: str) -> VaultReport | None:
    path = f"{vaults_at(work.catalog.location)}/{name}"
    vault = find_vault(work.spark, path)
    if vault is None:
        return None
    past = F.count_if(F.col("expires_at") <= F.lit(datetime.now(UTC)))
    row = entries(work.spark, path).agg(F.count("*").alias("all"), past.alias("past")).first()
    return VaultReport(
        name=name,
        format=vault.format.text,
        entries=0 if row is None else row["all"],
        given=reservation(work.spark, path).number,
        most=vault.format.most,
        expired=0 if row is None else row["past"],
    )


def _families(work: Workspace) -> set[tuple[str, str]]:
    """Each vault that some run put a column into, with the families of its values."""
    found = set()
    for fact in work.catalog.columns():
        if fact.protection == "vault":
            settings = settings_of(fact)
            if isinstance(settings, Vault):
                found.add((settings.vault, family(policy_type(spark_type(fact.type_json)))))
    return found


def _family(work: Workspace, name: str, kind: str | None) -> str:
    known = sorted(each for vault, each in _families(work) if vault == name)
    if kind is not None:
        if not is_family(kind):
            raise UsageError(
                f"no family {kind!r}", where="family", hint="text, bytes, integer, date, ..."
            )
        # A catalog that has lost its columns does not keep a subject from leaving.
        if known and kind not in known:
            raise UsageError(
                f"values of the family {kind} have no entries there: the vault's columns are of "
                f"{', '.join(known)}",
                where=f"vault {name}",
                hint="a number is not its text: give the values as the columns have them",
            )
        return kind
    if len(known) != 1:
        raise UsageError(
            f"the vault's columns are of {len(known)} families: {', '.join(known)}"
            if known
            else "no run put a column into this vault",
            where=f"vault {name}",
            hint="say of which the values are: --family text (or integer, date, ...)",
        )
    return known[0]


def _of_frame(work: Workspace, values: DataFrame, ref: KeyRef, name: str) -> DataFrame:
    if len(values.columns) != 1:
        raise UsageError(f"one column of values is forgotten, and not {len(values.columns)}")
    (column,) = values.columns
    value, moved = to_months(F.col(quoted(column)), values.schema[0].dataType)
    kind = _family(work, name, family(policy_type(moved)))
    steps = _steps(ref, name, kind, arrow_type(moved))
    return fingerprints(values.select(value.alias("value")), steps)


def _steps(ref: KeyRef, name: str, kind: str, plain: pa.DataType | None = None) -> VaultSteps:
    # Fingerprints alone are made: neither the tokens' form nor the values' type is asked for.
    return VaultSteps(key=ref, vault=name, form="uuid", family=kind, plain=plain or pa.binary())
