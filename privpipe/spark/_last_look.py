"""Right before what cannot be taken back: would another run's commit make this one's fail?

A draw is charged for good. So a run that draws looks once more behind its pass over the data, and
where another is ahead it is refused while its charge can still be given back.

Of two that draw for one target the ledger decides. Its events are in one order, and what this look
is told of comes right before the draw that it precedes: whoever draws second is told of the first,
which is either still at work, and then seen here, or has committed, and then the target tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from privpipe.catalog import RunRecord
from privpipe.catalog.ledger import Release
from privpipe.errors import TryAgain
from privpipe.spark._admission import is_held

__all__ = ["LastLook", "made_meanwhile", "refuse_overtaken"]

LastLook: TypeAlias = Callable[[Sequence[Release]], None]
"""Raises where another run is ahead. Takes all that was ever reserved for the target."""


def refuse_overtaken(
    run: RunRecord, runs: Sequence[RunRecord], releases: Sequence[Release], *, there: bool
) -> None:
    """Raises TryAgain where one of `runs` is under way to the same target, and ahead of `run`.

    Input: `there`, whether the target is a table by now. Ahead is a release that has drawn (one
    that has not will look here itself, and see this one), and a run that never draws or has not
    reserved yet, if it began first: then this one goes back and that one on.
    """
    last = {release.run_id: release.state for release in releases}
    for other in runs:
        if other.target != run.target or other.run_uid == run.run_uid:
            continue
        if other.state != "PENDING" or _both_can(run.mode, other.mode, there=there):
            continue
        ahead = last[other.run_id] == "drawn" if other.run_id in last else _begun(other, run)
        if ahead and is_held(other):
            raise TryAgain(
                "another job is about to write this target; nothing was drawn or charged here",
                where=f"run {other.run_id}, held by {other.owner}",
                hint="run it again, with the same --run-id, when that one has ended",
            )


def made_meanwhile(run: RunRecord) -> TryAgain:
    """The error where a run that makes its target finds it there behind its pass."""
    return TryAgain(
        "another job has made the target meanwhile; nothing was drawn or charged here",
        where=run.target,
        hint="look at what is there; then --mode append or overwrite, or another target",
    )


def _begun(other: RunRecord, run: RunRecord) -> bool:
    return (other.started_at, other.run_id) < (run.started_at, run.run_id)


def _both_can(one: str, other: str, *, there: bool) -> bool:
    """Whether both runs can commit, in whatever order: Delta repeats the one that is second."""
    return one == other and (one == "overwrite" or (one == "append" and there))
