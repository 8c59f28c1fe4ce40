"""`release`: one run, in the order that survives a crash anywhere.

    1  keysets        in the catalog before the first ciphertext exists
    2  run PENDING    with its owner and lease
    3  its columns    they count once the run is COMMITTED
    4  one data commit, whose history entry bears the run's uid
    5  run COMMITTED  with the table version

A driver that dies between 4 and 5 leaves a PENDING run whose commit stands in the table's own
history: `repair` settles it from there. Dying earlier leaves the target as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from privpipe.catalog import RunRecord, columns_of, current_run
from privpipe.catalog.ledger import Release
from privpipe.errors import InternalError, PrivpipeError, TryAgain
from privpipe.spark._admission import Request, admit, pending, refuse_rival
from privpipe.spark._commits import find_commit
from privpipe.spark._heartbeat import lease_kept
from privpipe.spark._last_look import made_meanwhile, refuse_overtaken
from privpipe.spark._newest import version_there
from privpipe.spark._prepared import Prepared
from privpipe.spark._repair import settle
from privpipe.spark._target import (
    Target,
    inspect_target,
    may_write,
    refuse_alias,
    refuse_catalog,
    refuse_no_place,
)
from privpipe.spark._workspace import Workspace
from privpipe.spark._write import commit, until_no_conflict

__all__ = ["Run", "carry_out", "settled"]

Runs: TypeAlias = Sequence[RunRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run did. `replayed`: this run id was committed before, and nothing was changed.

    `quarantined` rows were left out, and lie encrypted in the table `quarantine`.
    """

    run_id: str
    state: str
    table: str
    source: str
    target: str
    mode: str
    table_version: int | None
    rows: int | None
    replayed: bool
    policy_hash: str
    key_ids: tuple[int, ...]
    warnings: tuple[str, ...] = ()
    quarantined: int = 0
    quarantine: str | None = None


def carry_out(work: Workspace, request: Request, prepare: Callable[[], Prepared]) -> Run:
    """Runs `request`: admits it, checks everything, then writes in the crash-safe order.

    Whatever is refused is refused before the first write: target and catalog stay as they were.
    """
    target = work.find(request.target)
    refuse_no_place(work.spark, target)
    refuse_catalog(work.spark, work.catalog.location, target)
    earlier = settled(work, request.run_id)
    if not admit(request, earlier):
        return _outcome(work, earlier, replayed=True)
    prepared = prepare()
    state = _decide(work, request, prepared, target, work.catalog.runs())
    warnings = prepared.advice(work.spark, state)
    _make_keys(work, prepared)
    run = _begin(work, request, earlier, prepared)

    def write(key_ids: Sequence[int]) -> TryAgain | None:
        # Repeated after a conflict, the decision is made anew: the table may be another now.
        runs = work.catalog.runs()
        refuse_rival(run, runs)
        now = _decide(work, request, prepared, target, runs)
        try:
            prepared.draw(lambda releases: _look_again(work, request, prepared, run, now, releases))
        except TryAgain as refused:
            return refused  # raised, it would be tried again, and read all data again
        commit(prepared.rows(), run, now, kept=prepared.kept, key_ids=key_ids)
        return None

    try:
        with lease_kept(work.catalog, run):
            records = prepared.records(run)
            work.catalog.add_columns(records)
            key_ids = sorted({record.key_id for record in records} - {0})
            refused = until_no_conflict(lambda: write(key_ids), f"writing {request.target}")
            if refused is not None:
                raise refused
    except PrivpipeError as error:
        if not _has_committed(work, run, target, error):
            raise
    return replace(_finish(work, run, target), warnings=tuple(warnings))


def _decide(
    work: Workspace, request: Request, prepared: Prepared, target: str, runs: Runs
) -> Target:
    state = inspect_target(work.spark, target)
    refuse_alias(work.spark, state, _others(work, request.target, runs))
    ours = state.state == "leavings" and _is_written_by_us(request.target, runs)
    may_write(state, request.mode, ours=ours)
    if request.mode in ("append", "rekey"):
        if _settle_others(work, request, runs):
            runs = work.catalog.runs()
        maker = current_run(runs, request.target)
        facts = () if maker is None else columns_of(work.catalog, maker)
        prepared.compare(state, maker, facts)
    return state


def _look_again(
    work: Workspace,
    request: Request,
    prepared: Prepared,
    run: RunRecord,
    planned: Target,
    releases: Sequence[Release],
) -> None:
    """Whether a commit would still succeed. The target is asked behind the runs: one that commits
    in between is seen in the one or in the other."""
    runs = work.catalog.runs()
    version = None if run.mode == "overwrite" else version_there(work.spark, planned.name)
    refuse_overtaken(run, runs, releases, there=version is not None)
    if run.mode == "error" and version is not None:
        raise made_meanwhile(run)
    if run.mode == "append" and version != planned.version:
        _decide(work, request, prepared, planned.name, runs)


def _make_keys(work: Workspace, prepared: Prepared) -> None:
    # All of them are looked at before the first one is made.
    work.keys.check(prepared.scopes)
    work.keys.make(prepared.scopes)


def _others(work: Workspace, target: str, runs: Runs) -> list[str]:
    """Where the catalog's other tables lie."""
    held = {run.target for run in runs if run.state in ("PENDING", "COMMITTED")}
    return [work.find(kept) for kept in sorted(held - {target})]


def _settle_others(work: Workspace, request: Request, runs: Runs) -> bool:
    """Whether a run is settled now: what the table holds its history knows first, and a run that
    has just committed, or died after it did, is not yet COMMITTED in the catalog."""
    own = [run for run in runs if run.target == request.target and run.run_id != request.run_id]
    # What was abandoned before the last commit is past.
    newest = max((run.started_at for run in own if run.state == "COMMITTED"), default=None)
    known = [
        settle(work.spark, work.catalog, run, find=work.find).state != run.state
        for run in own
        if run.state == "PENDING"
        or (run.state == "ABANDONED" and (newest is None or run.started_at > newest))
    ]
    return any(known)


def settled(work: Workspace, run_id: str) -> RunRecord | None:
    """The catalog's row of this run id; what its table's history knows better comes first."""
    record = work.catalog.run(run_id)
    if record is None or record.state == "COMMITTED":
        return record
    return settle(work.spark, work.catalog, record, find=work.find)


def _begin(
    work: Workspace, request: Request, earlier: RunRecord | None, prepared: Prepared
) -> RunRecord:
    reads = json.dumps(prepared.reads, sort_keys=True) if prepared.reads else None
    record = replace(pending(request, earlier), reads=reads)
    if earlier is None:
        winner = work.catalog.begin_run(record)
    else:
        winner = work.catalog.update_run(record, held_by=earlier.owner)
    if (winner.run_uid, winner.owner, winner.started_at) != (
        record.run_uid,
        record.owner,
        record.started_at,
    ):
        raise TryAgain(
            "another job took this run id a moment ago",
            where=f"run {request.run_id}",
            hint="run it again when that one has ended",
        )
    return winner


def _finish(work: Workspace, run: RunRecord, target: str) -> Run:
    found = find_commit(work.spark, target, run.run_uid)
    if found is None:
        raise InternalError(
            "the write ended, yet the table's history has no commit of it",
            where=f"run {run.run_id}",
            hint="run `privpipe catalog repair`, then the same --run-id again",
        )
    done = replace(found.settles(run), finished_at=datetime.now(UTC))
    return _outcome(work, work.catalog.update_run(done, held_by=run.owner), replayed=False)


def _is_written_by_us(target: str, runs: Runs) -> bool:
    """Whether a run that is not (yet) COMMITTED was let write here: the files may be its own."""
    return any(run.target == target and run.state != "COMMITTED" for run in runs)


def _has_committed(work: Workspace, run: RunRecord, target: str, error: PrivpipeError) -> bool:
    """Whether the data commit of `run` stands in spite of `error`: then the run is done.

    An attempt of the same run that was taken for dead may have made it, or what failed came after
    it. Otherwise the run is recorded as FAILED; where that fails too (a full disk), it stays
    PENDING, and the next attempt or `repair` settles it.
    """
    with suppress(PrivpipeError):
        if find_commit(work.spark, target, run.run_uid) is not None:
            return True
        failed = replace(run, state="FAILED", error_code=error.code, finished_at=datetime.now(UTC))
        work.catalog.update_run(failed, held_by=run.owner)
    return False


def _outcome(work: Workspace, record: RunRecord | None, *, replayed: bool) -> Run:
    if record is None:
        raise InternalError("a run that was admitted is not in the catalog")
    facts = [fact for fact in work.catalog.columns(record.target) if fact.run_uid == record.run_uid]
    return Run(
        run_id=record.run_id,
        state=record.state,
        table=record.table,
        source=record.source,
        target=record.target,
        mode=record.mode,
        table_version=record.table_version,
        rows=record.rows,
        replayed=replayed,
        policy_hash=record.policy_hash,
        key_ids=tuple(sorted({fact.key_id for fact in facts if fact.key_id})),
    )
