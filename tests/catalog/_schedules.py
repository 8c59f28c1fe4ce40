"""Every interleaving of a few jobs, and every point at which one may die.

A job is a plain function that asks a world for effects through `ask(name, *arguments)`. It is run
anew for each of its steps, with the answers that it had so far: so it can be left at any step, and
taken up after any step of another. States that were met before are not gone into twice.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from privpipe.catalog import BudgetRecord, RunRecord
from privpipe.catalog.ledger import _steps
from privpipe.errors import PrivpipeError
from tests.catalog._facts import NOW

Ask = Callable[..., Any]
Job = Callable[[Ask], None]


@dataclass(slots=True)
class World:
    """What lasts when jobs die: the ledger, the runs, noise that may have been seen, targets."""

    runs: tuple[RunRecord, ...] = ()
    events: list[BudgetRecord] = field(default_factory=list)
    draws: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)

    def budget_events(self) -> tuple[BudgetRecord, ...]:
        return tuple(self.events)

    def catalog_runs(self) -> tuple[RunRecord, ...]:
        return self.runs

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        """As the stores do it: the seq decides."""
        if record.seq <= len(self.events):
            return self.events[record.seq - 1]
        self.events.append(record)
        return record

    def draw(self, uid: str) -> None:
        self.draws.append(uid)

    def commit(self, uid: str) -> int:
        self.commits.append(uid)
        return len(self.commits) - 1

    def committed(self, uid: str) -> int | None:
        return self.commits.index(uid) if uid in self.commits else None

    def remove(self, uid: str) -> None:
        """The files of a draw that nobody published: they are no commit."""

    def snapshot(self) -> tuple[Any, ...]:
        return tuple(map(repr, self.events)), tuple(self.draws), tuple(self.commits)


class AskedCatalog:
    """The catalog, as a job sees it."""

    location = "asked:"

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def runs(self) -> tuple[RunRecord, ...]:
        return self._ask("catalog_runs")  # type: ignore[no-any-return]

    def budget_events(self) -> tuple[BudgetRecord, ...]:
        return self._ask("budget_events")  # type: ignore[no-any-return]

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        return self._ask("add_budget_event", record)  # type: ignore[no-any-return]


class Left(BaseException):
    """The job is left here: its next effect is for the world to do."""


def next_effect(job: Job, name: str, answers: list[Any]) -> tuple[Any, ...] | None:
    """What the job asks for next; None once it has ended, well or with a coded error."""
    given = iter(answers)
    asked: list[tuple[Any, ...]] = []
    numbers = iter(range(10**6))

    def ask(*call: Any) -> Any:
        try:
            return next(given)
        except StopIteration:
            asked.append(call)
            raise Left from None

    class Clock:
        @staticmethod
        def now(_: object) -> Any:
            return NOW

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_steps, "uuid4", lambda: f"{name}-{next(numbers)}")
        patched.setattr(_steps, "datetime", Clock)
        patched.setattr(_steps, "sleep", lambda _: None)
        with contextlib.suppress(Left, PrivpipeError):
            job(ask)
    return asked[0] if asked else None


def explore(world: World, jobs: Mapping[str, Job], holds: Callable[[World], None]) -> int:
    """Checks `holds` in every state that the jobs can lead to; how many states there are."""
    met: set[tuple[Any, ...]] = set()
    waiting: list[tuple[World, dict[str, list[Any]]]] = [(world, {name: [] for name in jobs})]
    while waiting:
        here, answers = waiting.pop()
        state = (here.snapshot(), *(repr(answers[name]) for name in jobs))
        if state in met:
            continue
        met.add(state)
        holds(here)
        for name, job in jobs.items():
            effect = next_effect(job, name, answers[name])
            if effect is None:
                continue
            there = copy.copy(here)
            there.events, there.draws = list(here.events), list(here.draws)
            there.commits = list(here.commits)
            answer = getattr(there, effect[0])(*effect[1:])
            waiting.append((there, {**answers, name: [*answers[name], answer]}))
    return len(met)
