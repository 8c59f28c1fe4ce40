"""All events of the ledger as the state that they lead to. Whatever cannot be is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from privpipe.catalog._records import BudgetRecord
from privpipe.catalog.ledger._facts import Opened, Release, ReleaseState
from privpipe.dp import Budget, parse_budget
from privpipe.errors import BudgetError, CatalogError, UnknownBudget

__all__ = ["Book", "read_book"]

_STEPS: Mapping[str, tuple[ReleaseState, ReleaseState]] = MappingProxyType(
    {
        "draw": ("reserved", "drawn"),
        "publish": ("drawn", "published"),
        "cancel": ("reserved", "cancelled"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Budgets by name and releases by uid, after `count` events."""

    count: int
    budgets: Mapping[str, Opened]
    releases: Mapping[str, Release]

    def budget(self, name: str, charge: Budget | None = None) -> Opened:
        """The budget of this name. Raises UnknownBudget, which lists those there are, and tells how
        to open one that `charge` fits in."""
        if name not in self.budgets:
            there = ", ".join(sorted(self.budgets))
            opening = f"privpipe budget open {name} {_options(charge)}"
            raise UnknownBudget(
                "no budget of this name was opened",
                where=f"budget {name}",
                hint=f"there are: {there}; or open it: {opening}"
                if there
                else f"there are none yet: {opening}",
            )
        return self.budgets[name]

    def of_budget(self, name: str) -> tuple[Release, ...]:
        """The releases of a budget, in the order in which they were reserved."""
        return tuple(each for each in self.releases.values() if each.budget == name)

    def of_run(self, run_id: str) -> tuple[Release, ...]:
        """The attempts of a run, in that order."""
        return tuple(each for each in self.releases.values() if each.run_id == run_id)

    def charges(self, name: str) -> tuple[Budget, ...]:
        """What was spent of a budget."""
        return tuple(each.charge for each in self.of_budget(name) if each.counts)

    def after(self, event: BudgetRecord) -> Book:
        """The state that `event` leads to. CatalogError where it cannot follow."""
        budgets, releases = dict(self.budgets), dict(self.releases)
        _apply(budgets, releases, self.count, event)
        return Book(count=event.seq, budgets=budgets, releases=releases)


def read_book(events: Iterable[BudgetRecord]) -> Book:
    """The state that `events`, by seq, lead to. CatalogError where they are not whole."""
    budgets: dict[str, Opened] = {}
    releases: dict[str, Release] = {}
    count = 0
    for event in events:
        _apply(budgets, releases, count, event)
        count = event.seq
    return Book(count=count, budgets=budgets, releases=releases)


def _apply(
    budgets: dict[str, Opened], releases: dict[str, Release], count: int, event: BudgetRecord
) -> None:
    """Takes the one step that `event` is."""
    if event.seq != count + 1:
        raise _changed(event, f"event {count + 1} is missing")
    try:
        if event.event == "open":
            opened = _opened(event)
            if budgets.setdefault(event.budget, opened) is not opened:
                raise _changed(event, "a budget is opened twice")
        elif event.event == "reserve":
            release = _release(event)
            if event.budget not in budgets or event.uid in releases:
                raise _changed(event, "a reservation of no budget, or one that is there already")
            releases[event.uid] = release
        else:
            release = releases[str(event.reservation)]
            releases[release.uid] = _moved(release, event)
    except (ValueError, TypeError, KeyError, AttributeError, BudgetError):
        raise _changed(event, "an event holds what no event does") from None


def _opened(event: BudgetRecord) -> Opened:
    return Opened(
        name=event.budget,
        total=_amount(event),
        opened_at=event.recorded_at,
        note=event.note,
    )


def _moved(release: Release, event: BudgetRecord) -> Release:
    before, after = _STEPS[event.event]
    if release.state != before or (after == "published") != (event.target_version is not None):
        raise _changed(event, f"a {event.event} of a release that was {release.state}")
    return release.moved(after, event.owner, event.target_version)


def _amount(event: BudgetRecord) -> Budget:
    return parse_budget({str(event.measure): str(event.amount), "delta": str(event.delta)})


def _release(event: BudgetRecord) -> Release:
    if event.reservation != event.uid or None in (event.run_id, event.spec_hash, event.target):
        raise ValueError
    return Release(
        uid=event.uid,
        budget=event.budget,
        run_id=str(event.run_id),
        charge=_amount(event),
        state="reserved",
        unit=event.privacy_unit,
        sources=dict(json.loads(str(event.sources))),
        lineage=tuple(json.loads(str(event.lineage))),
        spec_hash=str(event.spec_hash),
        mechanisms=str(event.mechanisms),
        target=str(event.target),
        note=event.note,
        reserved_at=event.recorded_at,
        owner=event.owner,
    )


def _changed(event: BudgetRecord, what: str) -> CatalogError:
    return CatalogError(
        f"the privacy budgets are not whole: {what}",
        where=f"budgets, seq {event.seq}",
        hint="someone changed the catalog; restore its `budgets` table from its history",
    )


def _options(charge: Budget | None) -> str:
    if charge is None:
        return "--epsilon 1"
    amount = f"--{charge.unit} {math.ceil(1000 * charge.amount) / 1000:g}"
    return f"{amount} --delta {float(charge.delta):g}" if charge.delta else amount
