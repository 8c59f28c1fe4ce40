"""The facts that a catalog keeps: a keyset, a protected column, a run, a budget's event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

__all__ = [
    "CHANGING",
    "DATAFRAME",
    "EVENTS",
    "STATES",
    "BudgetEvent",
    "BudgetRecord",
    "ColumnRecord",
    "KeysetRecord",
    "Record",
    "RunRecord",
    "RunState",
]

RunState: TypeAlias = Literal["PENDING", "COMMITTED", "ABANDONED", "FAILED"]
STATES: tuple[RunState, ...] = ("PENDING", "COMMITTED", "ABANDONED", "FAILED")
BudgetEvent: TypeAlias = Literal["open", "reserve", "draw", "publish", "cancel"]
EVENTS: tuple[BudgetEvent, ...] = ("open", "reserve", "draw", "publish", "cancel")
# What a run names as its source where the caller made a DataFrame.
DATAFRAME = "a DataFrame"
# What `update_run` sets. The rest says what the run is, and a run id stands for one thing.
CHANGING = (
    "state",
    "owner",
    "lease_until",
    "started_at",
    "finished_at",
    "table_version",
    "rows",
    "error_code",
    "privpipe_version",
    "source_version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetRecord:
    """One wrapped keyset. Unique by (scope, primitive, version); holds no open key.

    `wrapped` is Tink's encrypted-keyset JSON, `kek_uri` names the key that opens it, `key_id` is
    its primary key, `family` the one kind of values that a domain holds. Times are UTC.
    """

    scope: str
    primitive: str
    version: int = 1
    family: str | None
    wrapped: str = field(repr=False)
    kek_uri: str
    key_id: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRecord:
    """What one run did to one column (or to one part of a nested one). Unique by (run_uid, path).

    It counts once its run is COMMITTED. `type` is the plaintext's type as Spark writes it in
    short, `type_json` the same exactly; `context` is the associated data of every value;
    `settings` is what the policy told the protection, as JSON.
    """

    run_uid: str
    run_id: str
    table: str
    target: str
    path: str
    protection: str
    primitive: str
    scope: str
    key_id: int
    type: str
    type_json: str
    domain: str | None
    family: str | None
    context: str
    recorded_at: datetime
    settings: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run. Unique by run_id, which the caller chose; `run_uid` is drawn once and then kept.

    A PENDING run is held by `owner` (`host:pid:process start`) until `lease_until`; a COMMITTED
    one has the `table_version` that it made in its target. `source_version` is the one that it read
    of a Delta source, where that is told. Times are UTC.
    """

    run_id: str
    run_uid: str
    state: RunState
    table: str
    source: str
    target: str
    mode: str
    policy_hash: str
    policy: str = field(repr=False)
    as_of: str | None = None
    owner: str
    lease_until: datetime
    started_at: datetime
    finished_at: datetime | None = None
    table_version: int | None = None
    rows: int | None = None
    error_code: str | None = None
    privpipe_version: str
    source_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRecord:
    """One event of the privacy budgets. Unique by seq, which counts all events without a gap.

    Whoever writes event n has read all before it, so a decision and its record are one step.
    `uid` is drawn for the event and tells who was first. An `open` has the budget's amount, a
    `reserve` a release's charge and all that it reads and writes; `reservation` is the uid of the
    `reserve` that a later event is about. Amounts are exact fractions as text. Times are UTC.
    """

    seq: int
    uid: str
    event: BudgetEvent
    budget: str
    recorded_at: datetime
    owner: str
    measure: str | None = None
    amount: str | None = None
    delta: str | None = None
    reservation: str | None = None
    run_id: str | None = None
    privacy_unit: str | None = None
    sources: str | None = None
    lineage: str | None = None
    spec_hash: str | None = None
    mechanisms: str | None = None
    target: str | None = None
    target_version: int | None = None
    note: str | None = None
    privpipe_version: str


Record: TypeAlias = KeysetRecord | ColumnRecord | RunRecord | BudgetRecord
