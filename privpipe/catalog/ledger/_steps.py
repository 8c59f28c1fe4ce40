"""The steps of a release through the ledger, each one event.

Every step reads all events, decides upon them and writes the next one: `seq` counts all events, so
one that was written meanwhile has taken the number, and look-up and decision are repeated. Thus no
decision stands on less than there is: not on what another job spent of this budget, nor on whose
the data became under another one.

The order makes a crash harmless. A `reserve` stands before the data are touched, a `draw` before
the first noise: from there on the charge is spent for good, whatever becomes of the process.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import sleep
from typing import Any
from uuid import uuid4

from privpipe._version import installed_version
from privpipe.catalog._lease import this_owner
from privpipe.catalog._records import BudgetEvent, BudgetRecord
from privpipe.catalog._store import Catalog
from privpipe.catalog.ledger._book import Book, read_book
from privpipe.catalog.ledger._decide import (
    checked_reservation,
    may_reserve,
    reserved_of,
    undone,
)
from privpipe.catalog.ledger._facts import Opened, Release, Reservation, Reserved
from privpipe.catalog.ledger._lineage import lineage
from privpipe.catalog.ledger._mechanisms import mechanisms_to_text
from privpipe.dp import Budget
from privpipe.errors import BudgetConflict, BudgetError, DrawConflict, TryAgain, UsageError

__all__ = [
    "attempts",
    "cancel",
    "check_budget",
    "check_reservation",
    "open_budget",
    "publish",
    "reserve",
    "start_draw",
]

_ATTEMPTS = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def open_budget(catalog: Catalog, name: str, total: Budget, *, note: str | None = None) -> Opened:
    """Makes the budget `name`, for good; the same again changes nothing.

    Raises: UsageError for a name that will not do, BudgetError for a budget of nothing,
    BudgetConflict where the name has another amount, TryAgain.
    """
    check_budget(name, total)

    def decide(book: Book) -> BudgetRecord | None:
        there = book.budgets.get(name)
        if there is None:
            return _event(book, "open", name, note=note, **_amounts(total))
        if there.total != total:
            raise BudgetConflict(
                f"it was opened with {there.total}, and never changes",
                where=f"budget {name}",
                hint="open another budget, for data that this one has not seen",
            )
        return None

    return _settle(catalog, name, decide).budgets[name]


def check_budget(name: str, total: Budget) -> None:
    """Refuses what no budget can be, before anything is looked up. Raises: as `open_budget`."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            "a budget's name is 1 to 100 letters, digits, hyphens, dots and underscores",
            where=f"budget {name[:100]!r}",
            hint="for instance census-2026",
        )
    if not total.amount:
        raise BudgetError(
            f"a budget of {total} admits nothing",
            where=f"budget {name}",
            hint="an amount above 0: every figure that is released costs some",
        )


def reserve(catalog: Catalog, wanted: Reservation, *, same: Callable[[str], str] = str) -> Reserved:
    """Charges a release to its budget before its data are touched.

    The same run again gets what it has: its reservation while nothing was drawn for it (and then
    the source versions that were recorded first, which are the ones to read), or its published
    release. A draw that nobody published is spent; the run is charged once more, and told which
    draw's files to remove first. `same` gives the one name of a place that has several.

    Call it while the run is held (PENDING in `runs`): it does not ask whether an earlier attempt is
    still at work.

    Raises: UnknownBudget; BudgetSpent where the charge does not fit; BudgetError for a charge below
    what its mechanisms cost, or in another measure; BudgetConflict where the data are another
    budget's; RunConflict where the run id stands for something else; TryAgain.
    """
    checked_reservation(wanted)
    asked = mechanisms_to_text(wanted.mechanisms)

    def decide(book: Book) -> BudgetRecord | None:
        if undone(book, wanted, asked) is not None:
            return None
        reads = lineage(catalog.runs(), wanted.sources, same)
        may_reserve(book, wanted, reads)
        uid = str(uuid4())
        return _event(
            book,
            "reserve",
            wanted.budget,
            uid=uid,
            reservation=uid,
            run_id=wanted.run_id,
            privacy_unit=wanted.unit,
            sources=json.dumps(dict(wanted.sources), sort_keys=True),
            lineage=json.dumps(reads),
            spec_hash=wanted.spec_hash,
            mechanisms=asked,
            target=wanted.target,
            note=wanted.note,
            **_amounts(wanted.charge),
        )

    return reserved_of(_settle(catalog, wanted.budget, decide), wanted.run_id)


def check_reservation(
    catalog: Catalog, wanted: Reservation, *, same: Callable[[str], str] = str
) -> None:
    """Raises what `reserve` would raise as things stand, and writes nothing: what cannot be is told
    before a run begins."""
    checked_reservation(wanted)
    book = read_book(catalog.budget_events())
    if undone(book, wanted, mechanisms_to_text(wanted.mechanisms)) is None:
        may_reserve(book, wanted, lineage(catalog.runs(), wanted.sources, same))


def start_draw(
    catalog: Catalog, reservation: str, *, look: Callable[[Sequence[Release]], None] | None = None
) -> Release:
    """Says that noise is about to be drawn: the charge is spent from here on, for good.

    One caller alone gets through, once. `look` is the last moment to raise, and nothing is drawn
    then: it gets the releases of the same target, in their order, with all steps that any of them
    took before this one, and is asked again where one takes another meanwhile.
    Raises: DrawConflict where the reservation was drawn or
    cancelled, BudgetError where there is none, TryAgain.
    """

    def decide(book: Book) -> BudgetRecord | None:
        release = _found(book, reservation)
        if release.state != "reserved":
            raise _past(release, "draw for it", "reserve again under the same run id")
        if look is not None:
            look([each for each in book.releases.values() if each.target == release.target])
        return _about(book, "draw", release)

    return _found(_settle(catalog, reservation, decide), reservation)


def publish(catalog: Catalog, reservation: str, target_version: int) -> Release:
    """Says that the draw lies in its target's `target_version`. The same again changes nothing.

    Raises: DrawConflict where nothing was drawn, or another version was published; TryAgain.
    """

    def decide(book: Book) -> BudgetRecord | None:
        release = _found(book, reservation)
        if release.state == "published" and release.target_version == target_version:
            return None
        if release.state != "drawn":
            raise _past(release, f"publish version {target_version} of it", None)
        return _about(book, "publish", release, target_version=target_version)

    return _found(_settle(catalog, reservation, decide), reservation)


def cancel(catalog: Catalog, reservation: str, *, note: str | None = None) -> Release:
    """Gives a charge back for which nothing was drawn. The same again changes nothing.

    Raises: DrawConflict once a draw was started, whether or not anyone saw it; TryAgain.
    """

    def decide(book: Book) -> BudgetRecord | None:
        release = _found(book, reservation)
        if release.state == "cancelled":
            return None
        if release.state != "reserved":
            raise _past(release, "give its charge back", "its noise may have been seen")
        return _about(book, "cancel", release, note=note)

    return _found(_settle(catalog, reservation, decide), reservation)


def attempts(catalog: Catalog, run_id: str) -> tuple[Release, ...]:
    """All that a run reserved so far, in order. A `drawn` one whose commit stands in the target is
    to be published before the run reserves again."""
    return read_book(catalog.budget_events()).of_run(run_id)


def _settle(catalog: Catalog, what: str, decide: Callable[[Book], BudgetRecord | None]) -> Book:
    """The state after the event that `decide` wants, or as it is where that is none."""
    for attempt in range(_ATTEMPTS):
        book = read_book(catalog.budget_events())
        event = decide(book)
        if event is None:
            return book
        if catalog.add_budget_event(event).uid == event.uid:
            return book.after(event)
        # Jitter parts those who collided; the cap keeps a crowd from waiting for minutes.
        sleep(random.uniform(0.01, 0.1) * min(2**attempt, 32))  # noqa: S311
    raise TryAgain(
        f"other jobs wrote the privacy budgets first, {_ATTEMPTS} times",
        where=what,
        hint="run it again with the same --run-id",
    )


def _event(book: Book, event: BudgetEvent, budget: str, **more: Any) -> BudgetRecord:
    told = {
        "seq": book.count + 1,
        "uid": str(uuid4()),
        "event": event,
        "budget": budget,
        "recorded_at": datetime.now(UTC),
        "owner": this_owner(),
        "privpipe_version": installed_version(),
    }
    return BudgetRecord(**{**told, **more})


def _about(book: Book, event: BudgetEvent, release: Release, **more: Any) -> BudgetRecord:
    return _event(
        book,
        event,
        release.budget,
        reservation=release.uid,
        run_id=release.run_id,
        target=release.target,
        **more,
    )


def _amounts(budget: Budget) -> dict[str, str]:
    return {
        "measure": budget.unit,
        "amount": str(budget.amount),
        "delta": str(budget.delta),
    }


def _found(book: Book, reservation: str) -> Release:
    release = book.releases.get(reservation)
    if release is None:
        raise BudgetError(
            "there is no such reservation",
            where=f"reservation {reservation}",
            hint="`privpipe budget show` lists them",
        )
    return release


def _past(release: Release, doing: str, hint: str | None) -> DrawConflict:
    return DrawConflict(
        f"the release is {release.state}, so nobody can {doing}",
        where=f"run {release.run_id}, reservation {release.uid}",
        hint=hint,
    )
