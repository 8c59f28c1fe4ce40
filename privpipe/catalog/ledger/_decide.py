"""What a reservation must meet before it is written."""

from __future__ import annotations

from collections.abc import Sequence

from privpipe.catalog.ledger._book import Book
from privpipe.catalog.ledger._facts import Release, Reservation, Reserved
from privpipe.catalog.ledger._lineage import same_data
from privpipe.dp import admit, release_cost, total_budget
from privpipe.errors import BudgetConflict, BudgetError, RunConflict, UsageError

__all__ = ["checked_reservation", "may_reserve", "reserved_of", "undone"]


def checked_reservation(wanted: Reservation) -> None:
    """Refuses a request that no budget could take: that names nothing, or charges too little.

    Raises: UsageError, BudgetError, MissingExtra.
    """
    for name in ("budget", "run_id", "spec_hash", "target"):
        if not str(getattr(wanted, name)).strip():
            raise UsageError(f"a reservation without its {name}")
    if not wanted.sources or not all(place.strip() for place in wanted.sources):
        raise BudgetError(
            "a release that says not what it reads",
            where=f"run {wanted.run_id}",
            hint="name the source: data that nobody can name can be released over and over",
        )
    cost = release_cost(wanted.mechanisms, wanted.charge.unit, delta=wanted.charge.delta).charge
    if not wanted.charge.holds(cost):
        raise BudgetError(
            f"a charge of {wanted.charge}, where the mechanisms cost {cost}",
            where=f"run {wanted.run_id}",
        )


def undone(book: Book, wanted: Reservation, mechanisms: str) -> Release | None:
    """The release that the run has already and that still stands for it; None where it is to be
    charged, for the first time or again.

    Raises RunConflict where an attempt of this run id was of something else.
    """
    for earlier in book.of_run(wanted.run_id):
        _refuse_another(earlier, wanted, mechanisms)
    return _standing_for(book, wanted.run_id)


def _standing_for(book: Book, run_id: str) -> Release | None:
    # What was published after all, by a process that was taken for dead, is not drawn once more.
    for state in ("published", "reserved"):
        for release in book.of_run(run_id):
            if release.state == state:
                return release
    return None


def _refuse_another(earlier: Release, wanted: Reservation, mechanisms: str) -> None:
    # What was given back was not drawn: the data, and the noise that follows from how many rows
    # they are, may be others now.
    stands = earlier.counts
    differs = {
        "budget": earlier.budget != wanted.budget,
        "spec": earlier.spec_hash != wanted.spec_hash,
        "charge": stands and earlier.charge != wanted.charge,
        "noise": stands and earlier.mechanisms != mechanisms,
        "source": set(earlier.sources) != set(wanted.sources),
        "privacy unit": earlier.unit != wanted.unit,
        "target": earlier.target != wanted.target,
    }
    found = [name for name, other in differs.items() if other]
    if found:
        spent = "; it is charged anew, as this one would be" if earlier.state == "drawn" else ""
        raise RunConflict(
            f"this run id was used before with another {found[0]}",
            where=f"run {wanted.run_id}",
            hint=f"choose another --run-id{spent}; or repeat the run as it was",
        )


def may_reserve(book: Book, wanted: Reservation, reads: Sequence[str]) -> None:
    """Whether the budget takes the charge, and the data are nobody else's.

    Raises: UnknownBudget, BudgetConflict, BudgetSpent, BudgetError.
    """
    budget = book.budget(wanted.budget, wanted.charge)
    for release in book.releases.values():
        if release.budget == wanted.budget or not release.counts:
            continue
        if _one_unit(release.unit, wanted.unit):
            _refuse_shared(release, wanted, reads)
    try:
        admit(budget.total, book.charges(wanted.budget), wanted.charge)
    except BudgetError as error:
        where = f"budget {wanted.budget}, run {wanted.run_id}"
        raise type(error)(error.message, where=where, hint=error.hint) from None


def _one_unit(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return _folded(one) == _folded(other)


def _folded(column: str) -> str:
    """A column as Spark finds it: in whatever case."""
    return column.replace("`", "").casefold()


def _refuse_shared(release: Release, wanted: Reservation, reads: Sequence[str]) -> None:
    for place in reads:
        for theirs in release.lineage:
            if same_data(place, theirs):
                known = "" if place in wanted.sources else ", from which the source was made,"
                raise BudgetConflict(
                    f"what was learned of {place}{known} is charged to budget {release.budget}",
                    where=f"budget {wanted.budget}",
                    hint=f"charge this release to {release.budget}: two budgets over the same "
                    "data would add up to more than either says",
                )


def reserved_of(book: Book, run_id: str) -> Reserved:
    """What the run now has, for its caller."""
    release = _standing_for(book, run_id)
    if release is None:
        raise BudgetError("the run has no reservation", where=f"run {run_id}")
    total = book.budget(release.budget).total
    left = total.minus(total_budget(book.charges(release.budget), total.unit))
    orphans = tuple(each for each in book.of_run(run_id) if each.state == "drawn")
    return Reserved(release=release, left=left, orphans=orphans)
