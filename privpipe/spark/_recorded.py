"""What a column's record says of its protection, beyond its fields."""

from __future__ import annotations

import json

from privpipe.catalog import ColumnRecord
from privpipe.errors import CatalogError, KeysetNotFound
from privpipe.keys import KeyRef, Keyring
from privpipe.policy import (
    PROTECTIONS,
    Settings,
    becomes,
    beside_of,
    key_column_of,
    parse_path,
    settings_from,
)
from privpipe.spark._types import policy_type, spark_type

__all__ = ["becomes_of", "key_column", "reads_beside", "ref_of", "settings_of", "stands_beside"]


def settings_of(fact: ColumnRecord) -> Settings | None:
    """What the policy told the protection. CatalogError where the record is none of ours."""
    protection = PROTECTIONS.get(fact.protection)
    if protection is None:
        raise CatalogError(
            "a column was protected in a way that this version does not know",
            where=f"column {fact.path}",
            hint="upgrade privpipe",
        )
    if protection.settings is None:
        return None
    try:
        told = json.loads(fact.settings or "{}")
        told.pop("sha256", None)
        return settings_from(protection.settings, told)
    except (ValueError, AttributeError):
        raise CatalogError(
            "a column's record holds settings that are none",
            where=f"column {fact.path}",
            hint="someone changed the catalog; restore its `columns` table from its history",
        ) from None


def becomes_of(fact: ColumnRecord) -> str:
    """The type of the protected values, as a plan has it."""
    kind = policy_type(spark_type(fact.type_json))
    return becomes(fact.protection, kind, settings_of(fact))


def stands_beside(fact: ColumnRecord) -> tuple[str, ...]:
    """The columns, by name as the policy has it, that are read with the values."""
    return beside_of(settings_of(fact))


def key_column(fact: ColumnRecord) -> str | None:
    """The column of key ids beside it, by name; None where there is none."""
    return key_column_of(parse_path(fact.path), settings_of(fact))


def reads_beside(fact: ColumnRecord) -> tuple[str, ...]:
    """All columns, by name, without which the values do not open."""
    name = key_column(fact)
    return stands_beside(fact) if name is None else (*stands_beside(fact), name)


def ref_of(keys: Keyring, fact: ColumnRecord) -> KeyRef:
    """Its keyset. Raises KeysetNotFound where the catalog has lost it."""
    ref = keys.find(fact.scope, fact.primitive)
    if ref is None:
        raise KeysetNotFound(
            "the catalog has no such keyset",
            where=f"column {fact.path}, keyset {fact.scope}",
            hint="`privpipe keys restore` brings back a backup",
        )
    return ref
