"""The catalog's tables, column by column. `docs/catalog.md` tells the same to readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from privpipe.catalog._records import (
    BudgetRecord,
    ColumnRecord,
    KeysetRecord,
    Record,
    RunRecord,
)

__all__ = ["TABLES", "Column", "Table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: `kind` is Spark's name of its type, `comment` says what it holds."""

    name: str
    kind: str
    nullable: bool
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: what a row of it is, and the columns (`key`) that are unique together."""

    name: str
    record: type[Record]
    key: tuple[str, ...]
    comment: str
    columns: tuple[Column, ...]


def _column(text: str, comment: str) -> Column:
    """From `name type`, with a `?` behind the type where a row may hold null."""
    name, kind = text.split()
    return Column(
        name=name, kind=kind.removesuffix("?"), nullable=kind.endswith("?"), comment=comment
    )


def _columns(comments: Mapping[str, str]) -> tuple[Column, ...]:
    return tuple(_column(text, comment) for text, comment in comments.items())


_KEYSETS = _columns(
    {
        "scope string": "what the keyset serves: table:<name>, domain:<name>, or a policy's own",
        "primitive string": "the Tink primitive: AES256_GCM, AES256_SIV, AES_CMAC_PRF, …",
        "version bigint": "1, and one more with each rotation into a new keyset",
        "family string?": "the one family of values that a domain holds; null for a table's own",
        "wrapped string": "Tink's encrypted-keyset JSON; opens only under the KEK, for this scope",
        "kek_uri string": "the key-encryption key that wrapped it",
        "key_id bigint": "Tink's id of the primary key, as it stands in every ciphertext",
        "created_at timestamp": "when the keyset was made",
    }
)

_COLUMNS = _columns(
    {
        "run_uid string": "the run that did this; it counts once that run is COMMITTED",
        "run_id string": "the same run's id, as its caller named it",
        "table string": "the table's name in the policy, bound into every value",
        "target string": "where the protected table lies; ./ is the project's folder",
        "path string": "the column, or the part of it: card.number, visits[].note, attrs{}",
        "protection string": "what the policy asked for, such as encrypt",
        "primitive string": "the primitive of its keyset; empty where there is none",
        "scope string": "the scope of its keyset; empty where there is none",
        "key_id bigint": "the primary key of this run's values, a public key's fingerprint, or 0",
        "type string": "the plaintext's type, as Spark writes it in short",
        "type_json string": "the plaintext's type, exactly, as Spark's JSON",
        "domain string?": "the domain in which equal values meet, if there is one",
        "family string?": "that domain's family of values",
        "context string": "the associated data of every value of this column",
        "recorded_at timestamp": "when this row was written, before the data was",
        "settings string?": "what else the policy told its protection, as JSON",
    }
)

_RUNS = _columns(
    {
        "run_id string": "the run, as its caller named it: the same id twice changes nothing",
        "run_uid string": "drawn once for this run_id; stands in the target's own history",
        "state string": "PENDING, COMMITTED, FAILED or ABANDONED",
        "table string": "the table's name in the policy",
        "source string": "where the rows came from; ./ is the project's folder",
        "target string": "where the protected table lies; ./ is the project's folder",
        "mode string": "error, overwrite or append",
        "policy_hash string": "SHA-256 of the policy's meaning",
        "policy string": "the policy itself, as canonical JSON",
        "as_of string?": "the date or version of the source that was asked for",
        "owner string": "the process that holds the run: host:pid:process start",
        "lease_until timestamp": "until when a PENDING run counts as alive",
        "started_at timestamp": "when its last attempt began",
        "finished_at timestamp?": "when it ended, in whatever state",
        "table_version bigint?": "the version of the target that it made, once COMMITTED",
        "rows bigint?": "how many rows it wrote, once COMMITTED",
        "error_code string?": "why it FAILED, as a code such as PP-DAT-02",
        "privpipe_version string": "the version of privpipe that ran it",
        "reads string?": "where the rows lay, and in which version where that is known, as JSON",
    }
)

_BUDGETS = _columns(
    {
        "seq bigint": "1, 2, … over all budgets and with no gap: the order of the events",
        "uid string": "drawn for this event alone",
        "event string": "open, reserve, draw, publish or cancel",
        "budget string": "the budget's name",
        "recorded_at timestamp": "when this row was written",
        "owner string": "the process that wrote it: host:pid:process start",
        "measure string?": "epsilon or rho: of what an amount is (open, reserve)",
        "amount string?": "the whole budget (open), or a release's charge (reserve): a fraction",
        "delta string?": "the delta beside it, a fraction",
        "reservation string?": "the uid of the reserve that this is about; its own for a reserve",
        "run_id string?": "the run that releases, as its caller named it",
        "privacy_unit string?": "reserve: the column whose values are hidden; null for single rows",
        "sources string?": "reserve: what is read, and in which version, as JSON",
        "lineage string?": "reserve: that, and all that it was made from, as JSON",
        "spec_hash string?": "reserve: SHA-256 of what is computed",
        "mechanisms string?": "reserve: the noise, exactly, as JSON",
        "target string?": "reserve: where the release lies; ./ is the project's folder",
        "target_version bigint?": "publish: the version of the target that holds the release",
        "note string?": "why, in the caller's words",
        "privpipe_version string": "the version of privpipe that wrote it",
    }
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "keysets": Table(
            name="keysets",
            record=KeysetRecord,
            key=("scope", "primitive", "version"),
            comment="wrapped keysets, one for each scope and primitive; back them up",
            columns=_KEYSETS,
        ),
        "columns": Table(
            name="columns",
            record=ColumnRecord,
            key=("run_uid", "path"),
            comment="what each run did to each column",
            columns=_COLUMNS,
        ),
        "runs": Table(
            name="runs",
            record=RunRecord,
            key=("run_id",),
            comment="runs and how they ended",
            columns=_RUNS,
        ),
        "budgets": Table(
            name="budgets",
            record=BudgetRecord,
            key=("seq",),
            comment="privacy budgets and what every release took of them, event by event",
            columns=_BUDGETS,
        ),
    }
)
