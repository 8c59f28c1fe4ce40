"""Columns whose values are in a vault: their tokens before the write, their values at `reveal`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from privpipe.catalog import ColumnRecord
from privpipe.errors import DecryptionError, UsageError
from privpipe.keys import KeyRef, Keyring
from privpipe.policy import LeafPlan, Plan, Vault, family, format_path, parse_path
from privpipe.spark._intervals import carried_type, from_months, to_months
from privpipe.spark._labels import refuse_other_labels
from privpipe.spark._leaves import quoted, spelt
from privpipe.spark._recorded import ref_of, settings_of
from privpipe.spark._stop import stop
from privpipe.spark._target import inspect_target
from privpipe.spark._types import arrow_type, policy_type, spark_type
from privpipe.spark._vault import detokenize, exchange, give, look_up
from privpipe.spark._vault_format import parse_vault_format
from privpipe.spark._vault_steps import VaultSteps
from privpipe.spark._vault_table import ensure_vault, refuse_other_vault
from privpipe.spark._vault_work import fingerprint_udf

__all__ = [
    "Given",
    "Vaulted",
    "given_tokens",
    "refuse_other_vaults",
    "steps_of",
    "vault_leaves",
    "vaulted",
    "vaults_at",
]

_HEAD = "__privpipe_vault"


def vault_leaves(plan: Plan) -> tuple[LeafPlan, ...]:
    """The columns of a plan that are vaulted; the planner lets no nested one through."""
    return tuple(leaf for leaf in plan.leaves if leaf.protection == "vault")


def refuse_other_vaults(spark: SparkSession, plan: Plan, location: str) -> None:
    """Raises where a vault of the plan's exists and has tokens of another format.

    `location` is the catalog's.
    """
    leaves = vault_leaves(plan)
    place = vaults_at(location) if leaves else ""
    for name, form in {(each.vault, each.format) for each in map(_settings, leaves)}:
        refuse_other_vault(spark, f"{place}/{name}", name, parse_vault_format(form))


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A vaulted column whose values all have tokens by now: `mark` gives their fingerprints, which
    `tokened` exchanges in the column `into`."""

    name: str
    into: str
    path: str
    steps: VaultSteps
    mark: Column

    def tokened(self, df: DataFrame) -> DataFrame:
        """`df` with tokens in the place of the fingerprints in `into`."""
        return exchange(df, self.into, path=self.path, work=self.steps)


def given_tokens(
    df: DataFrame, plan: Plan, place: str, refs: Mapping[tuple[str, str], KeyRef]
) -> tuple[Given, ...]:
    """Gives tokens to all values of `df` that are to be vaulted at `place`.

    They count from now on, whatever becomes of the run: a repeated one gets the same.
    """
    return tuple(
        _given(df, leaf, f"{_HEAD}_{at}", place, refs) for at, leaf in enumerate(vault_leaves(plan))
    )


def _given(
    df: DataFrame,
    leaf: LeafPlan,
    into: str,
    place: str,
    refs: Mapping[tuple[str, str], KeyRef],
) -> Given:
    name, settings = str(leaf.path[0]), _settings(leaf)
    if leaf.keyset is None:
        raise UsageError("a vault without its key", where=f"column {name}")
    value, kind = to_months(F.col(quoted(name)), df.schema[name].dataType)
    steps = steps_of(settings, refs[leaf.keyset], kind)
    path = f"{place}/{settings.vault}"
    ensure_vault(df.sparkSession, path, settings.vault, parse_vault_format(settings.format))
    days = settings.expires
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    give(df.select(value.alias("value")), path=path, work=steps, expires_at=until)
    mark = fingerprint_udf(steps, name)(value).alias(into)
    return Given(name=name, into=into, path=path, steps=steps, mark=mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vaulted:
    """Vaulted columns to open: beside their tokens first, since a value may be bound to a token as
    it is stored, and in their place once all other columns are open."""

    facts: tuple[ColumnRecord, ...]
    place: str
    keys: Keyring

    @property
    def names(self) -> set[str]:
        """The columns, in lower case."""
        return {str(parse_path(fact.path)[0]).lower() for fact in self.facts}

    @property
    def lost(self) -> Column:
        """Of a row that `beside` gave: whether some token in it leads to no sound value."""
        each = (F.col(f"{_HEAD}_{at}.lost") for at in range(len(self.facts)))
        return reduce(or_, each, F.lit(False))

    def beside(self, df: DataFrame, *, strict: bool) -> DataFrame:
        """`df` and a column of values more for each vaulted column, all of one version of a vault.

        Where `strict`, an entry that does not authenticate raises DecryptionError when it is read.
        """
        refuse_other_labels(df.schema, self.facts)
        # A look-up may shuffle rows: all of them come before the first value is opened.
        for at, fact in enumerate(self.facts):
            path = f"{self.place}/{_vault_of(fact).vault}"
            token = F.col(quoted(_spelled(df, fact)))
            version = inspect_target(df.sparkSession, path).version
            df = look_up(df, token, _entry(at), path=path, version=version)
        for at, fact in enumerate(self.facts):
            moved = carried_type(spark_type(fact.type_json))
            steps = steps_of(_vault_of(fact), ref_of(self.keys, fact), moved)
            df = detokenize(
                df, _entry(at), f"{_HEAD}_{at}", work=steps, returns=moved, strict=strict
            )
        return df

    def instead(self, df: DataFrame, *, strict: bool) -> DataFrame:
        """What `beside` gave, with the values in the place of their tokens.

        A token that leads nowhere is null; where `strict`, it raises DecryptionError.
        """
        for at, fact in enumerate(self.facts):
            name, plain = _spelled(df, fact), spark_type(fact.type_json)
            value = from_months(F.col(f"{_HEAD}_{at}.value"), plain)
            if strict:
                lost = F.col(f"{_HEAD}_{at}.lost")
                value = F.when(lost, stop(_unknown(fact), plain)).otherwise(value)
            df = df.select(
                *(
                    value.alias(name, metadata={}) if each == name else F.col(quoted(each))
                    for each in df.columns
                )
            )
        return self.without(df)

    def without(self, df: DataFrame) -> DataFrame:
        """What `beside` gave, as it was before."""
        return df.drop(*(f"{_HEAD}_{at}" for at in range(len(self.facts))))


def vaulted(
    location: str, columns: Sequence[str], facts: Sequence[ColumnRecord], keys: Keyring
) -> tuple[Vaulted, Sequence[str], Sequence[ColumnRecord]]:
    """The vaulted ones among `columns`, as a user names them; the other columns, and their facts.

    `location` is the catalog's.
    """
    wanted = {str(parse_path(text)[0]).lower() for text in columns if len(parse_path(text)) == 1}
    kept = tuple(
        fact
        for fact in facts
        if fact.protection == "vault" and str(parse_path(fact.path)[0]).lower() in wanted
    )
    found = Vaulted(facts=kept, place=vaults_at(location) if kept else "", keys=keys)
    rest = [text for text in columns if str(parse_path(text)[0]).lower() not in found.names]
    return found, rest, [fact for fact in facts if fact not in kept]


def vaults_at(location: str) -> str:
    """Where a project's vaults lie: in its catalog, which no run may write into."""
    if location.startswith("schema:"):
        raise UsageError(
            "vaults need a catalog that is a folder",
            where=location,
            hint="name a folder as `catalog:` in the project file",
        )
    return f"{location}/vaults"


def steps_of(settings: Vault, key: KeyRef, kind: DataType) -> VaultSteps:
    """The keyed steps of a vault for values of Spark's type `kind`, which Arrow can hold."""
    return VaultSteps(
        key=key,
        vault=settings.vault,
        form=settings.format,
        family=family(policy_type(kind)),
        plain=arrow_type(kind),
    )


def _entry(at: int) -> str:
    return f"{_HEAD}_{at}_entry"


def _settings(leaf: LeafPlan) -> Vault:
    return _checked(leaf.settings, format_path(leaf.path))


def _vault_of(fact: ColumnRecord) -> Vault:
    return _checked(settings_of(fact), fact.path)


def _checked(settings: object, column: str) -> Vault:
    if not isinstance(settings, Vault):
        raise UsageError("a vault without its settings", where=f"column {column}")
    return settings


def _spelled(df: DataFrame, fact: ColumnRecord) -> str:
    return spelt(df.columns, str(parse_path(fact.path)[0]))


def _unknown(fact: ColumnRecord) -> DecryptionError:
    return DecryptionError(
        "a token is not in the vault: it expired, was forgotten, or is none of the vault's",
        where=f"column {fact.path}",
        hint="--on-error null reads those as null",
    )
