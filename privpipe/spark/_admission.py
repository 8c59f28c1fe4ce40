"""Run ids: who may run, who has run already, and who must wait.

A run id is a promise to a scheduler: twice the same changes nothing, and it never stands for two
different things.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

from privpipe._version import installed_version
from privpipe.catalog import DATAFRAME, LEASE, RunRecord, lease_is_over, this_owner
from privpipe.errors import RunConflict, TryAgain, UsageError
from privpipe.spark._heartbeat import is_running_here

__all__ = [
    "DATAFRAME",
    "Request",
    "admit",
    "checked_run_id",
    "is_held",
    "new_run_id",
    "pending",
    "refuse_rival",
]

_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run is asked to do. Two requests of one run id must be equal. `policy` is what it goes
    by, `said` what that is called in errors."""

    run_id: str
    table: str
    source: str
    target: str
    mode: str
    policy_hash: str
    policy: str
    as_of: str | None = None
    said: str = "policy"


def new_run_id(now: datetime | None = None) -> str:
    """A run id for a caller who named none: sorts by time and collides with nobody's."""
    return f"{now or datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def checked_run_id(run_id: str) -> str:
    """The caller's run id, if it can stand in logs, tables and file names. Raises UsageError."""
    if not run_id.strip() or len(run_id) > _LONGEST or not run_id.isprintable():
        raise UsageError(
            f"a run id is 1 to {_LONGEST} printable characters",
            hint="for instance orders-2026-11-23",
        )
    return run_id


def admit(request: Request, earlier: RunRecord | None) -> bool:
    """May this request run? False where it has run already and there is nothing to do.

    `earlier` is the catalog's row of this run id, settled against the target's history.
    Raises RunConflict where the id stands for something else, TryAgain where it is running now.
    """
    if earlier is None:
        return True
    for what in ("policy_hash", "source", "target", "mode", "as_of"):
        if getattr(earlier, what) != getattr(request, what):
            name = request.said if what == "policy_hash" else what
            raise RunConflict(
                f"this run id was used before with another {name}",
                where=f"run {request.run_id}",
                hint="choose another --run-id, or repeat the run as it was",
            )
    if earlier.state == "COMMITTED":
        return False
    if earlier.state == "PENDING" and is_held(earlier):
        raise TryAgain(
            "this run id is running now",
            where=f"run {request.run_id}, held by {earlier.owner}",
            hint="wait for it to end; if it has died, its lease ends "
            f"at {earlier.lease_until:%H:%M:%S} UTC",
        )
    return True


def refuse_rival(run: RunRecord, others: Iterable[RunRecord]) -> None:
    """Raises TryAgain while an append and an overwrite of one table are both under way, or a
    rekeying and anything else.

    Delta sees no conflict between the two where the overwrite lands before the append's commit
    begins, and rows of two policies would lie in one table. Both have recorded their runs before
    they look, so at least one of them sees the other.
    """
    for other in others:
        meet = other.target == run.target and other.run_uid != run.run_uid
        modes = {other.mode, run.mode}
        meet = meet and (modes == {"append", "overwrite"} or "rekey" in modes)
        if meet and other.state == "PENDING" and is_held(other):
            raise TryAgain(
                f"another job is at work on this table, to {other.mode} it",
                where=f"run {other.run_id}, held by {other.owner}",
                hint="run it again, with the same --run-id, when that one has ended",
            )


def is_held(run: RunRecord) -> bool:
    """Whether a process is at work on it. A lease alone would keep a long-lived process from
    repeating what failed in it."""
    if run.owner == this_owner():
        return is_running_here(run)
    return not lease_is_over(run, datetime.now(UTC))


def pending(request: Request, earlier: RunRecord | None) -> RunRecord:
    """The PENDING row of a run that starts now; a repeated run keeps its uid."""
    now = datetime.now(UTC)
    fresh = RunRecord(
        run_id=request.run_id,
        run_uid=str(uuid4()),
        state="PENDING",
        table=request.table,
        source=request.source,
        target=request.target,
        mode=request.mode,
        policy_hash=request.policy_hash,
        policy=request.policy,
        as_of=request.as_of,
        owner=this_owner(),
        lease_until=now + LEASE,
        started_at=now,
        finished_at=None,
        table_version=None,
        rows=None,
        error_code=None,
        privpipe_version=installed_version(),
    )
    return fresh if earlier is None else replace(fresh, run_uid=earlier.run_uid)
