"""Columns whose values are in a vault: their tokens before the write, their values at `reveal`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from privpipe import arrow
from privpipe.catalog import ColumnRecord
from privpipe.errors import DecryptionError, KeysetNotFound, UsageError
from privpipe.kernels import AesCmac, AesGcm, Ff1, context_head
from privpipe.keys import KeyRef, Keyring, open_ref
from privpipe.policy import LeafPlan, Plan, Vault, family, parse_path
from privpipe.spark._errors import translated
from privpipe.spark._intervals import carried_type, from_months, to_months
from privpipe.spark._leaves import quoted
from privpipe.spark._recorded import settings_of
from privpipe.spark._stop import stop
from privpipe.spark._types import arrow_type, policy_type, spark_type
from privpipe.spark._vault import detokenize, tokenize
from privpipe.spark._vault_format import draw, parse_vault_format
from privpipe.spark._vault_table import ensure_vault

__all__ = ["VaultSteps", "vault_facts", "vault_leaves", "with_tokens", "with_values"]

_TOKENS = "__privpipe_vault"


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSteps:
    """The keyed steps of one vault, as `VaultWork` asks for them, for values of one type.

    Three keys are derived from the vault's keyset. The family of the values is part of what a
    fingerprint and a ciphertext are bound to: a number never has the token of a text.
    """

    key: KeyRef
    vault: str
    form: str
    family: str
    plain: pa.DataType

    def fingerprint(self, values: pa.Array) -> pa.Array:
        """A PRF of each value."""
        head = context_head(self._context)
        kernel = open_ref(self.key).derived(
            b"pp1:v:fingerprint", 32, head, lambda key: AesCmac(key, head=head)
        )
        return kernel.compute(arrow.encode(values))

    def seal(self, values: pa.Array) -> pa.Array:
        """Each value, encrypted."""
        return self._gcm().encrypt(arrow.encode(values), self._context)

    def open(self, values: pa.Array) -> pa.Array:
        """The inverse of `seal`."""
        return arrow.decode(self._gcm().decrypt(values, self._context), self.plain)

    def draw(self, numbers: pa.Array) -> pa.Array:
        """The token of each number."""
        form = parse_vault_format(self.form)
        alphabet = form.alphabet
        permutation = open_ref(self.key).derived(
            b"pp1:v:draw", 32, (alphabet, self.vault), lambda key: Ff1(key, alphabet, b"pp1:v")
        )
        return draw(permutation, form, numbers)

    def _gcm(self) -> AesGcm:
        return open_ref(self.key).derived(b"pp1:v:value", 32, "vault", AesGcm)

    @property
    def _context(self) -> bytes:
        name = self.vault.encode()
        return b"pp1:v:" + len(name).to_bytes(4, "big") + name + self.family.encode()


def vault_leaves(plan: Plan) -> tuple[LeafPlan, ...]:
    """The columns of a plan that are vaulted; the planner lets no nested one through."""
    return tuple(leaf for leaf in plan.leaves if leaf.protection == "vault")


def vault_facts(facts: Sequence[ColumnRecord], columns: Sequence[str]) -> list[ColumnRecord]:
    """The vaulted ones among `columns`, as a user names them."""
    wanted = {str(parse_path(text)[0]).lower() for text in columns if len(parse_path(text)) == 1}
    return [
        fact
        for fact in facts
        if fact.protection == "vault" and str(parse_path(fact.path)[0]).lower() in wanted
    ]


def with_tokens(
    df: DataFrame, plan: Plan, place: str, refs: Mapping[tuple[str, str], KeyRef], run_id: str
) -> tuple[DataFrame, dict[str, str]]:
    """`df` with a column of tokens more for each vaulted column, and their names by that column's.

    Tokens count from now on, whatever becomes of the run: a repeated one gets the same.
    """
    added: dict[str, str] = {}
    for at, leaf in enumerate(vault_leaves(plan)):
        name, settings = str(leaf.path[0]), leaf.settings
        if not isinstance(settings, Vault) or leaf.keyset is None:
            raise UsageError("a vault without its settings", where=f"column {name}")
        value, kind = to_months(F.col(quoted(name)), df.schema[name].dataType)
        steps = _steps(settings, refs[leaf.keyset], kind)
        path = f"{place}/{settings.vault}"
        ensure_vault(df.sparkSession, path, settings.vault, parse_vault_format(settings.format))
        days = settings.expires
        until = None if days is None else datetime.now(UTC) + timedelta(days=days)
        into = added[name] = f"{_TOKENS}_{at}"
        df = tokenize(df, value, into, path=path, work=steps, run_id=run_id, expires_at=until)
    return df, added


def with_values(
    df: DataFrame, facts: Sequence[ColumnRecord], place: str, keys: Keyring, *, strict: bool
) -> DataFrame:
    """`df` with the vaulted columns of `facts` opened; where `strict`, a token that the vault does
    not know raises DecryptionError when it is read, else it gives null."""
    for fact in facts:
        settings, name = settings_of(fact), str(parse_path(fact.path)[0])
        ref = keys.find(fact.scope, fact.primitive)
        if ref is None or not isinstance(settings, Vault):
            raise KeysetNotFound(
                "the catalog has no such keyset",
                where=f"column {fact.path}, keyset {fact.scope}",
                hint="`privpipe keys restore` brings back a backup",
            )
        plain = spark_type(fact.type_json)
        moved = carried_type(plain)
        name = next(each for each in df.columns if each.lower() == name.lower())
        with translated("reading a vault"):
            opened = detokenize(
                df,
                F.col(quoted(name)),
                _TOKENS,
                path=f"{place}/{settings.vault}",
                work=_steps(settings, ref, moved),
                returns=moved,
            )
        value = from_months(F.col(_TOKENS), plain)
        if strict:
            unknown = F.col(quoted(name)).isNotNull() & F.col(_TOKENS).isNull()
            value = F.when(unknown, stop(_unknown(fact), plain)).otherwise(value)
        df = opened.select(
            *(
                value.alias(name, metadata={}) if each == name else F.col(quoted(each))
                for each in df.columns
            )
        )
    return df


def _unknown(fact: ColumnRecord) -> DecryptionError:
    return DecryptionError(
        "a token is not in the vault: it expired, was forgotten, or is none of the vault's",
        where=f"column {fact.path}",
        hint="--on-error null reads those as null",
    )


def _steps(settings: Vault, key: KeyRef, kind: DataType) -> VaultSteps:
    return VaultSteps(
        key=key,
        vault=settings.vault,
        form=settings.format,
        family=family(policy_type(kind)),
        plain=arrow_type(kind),
    )
