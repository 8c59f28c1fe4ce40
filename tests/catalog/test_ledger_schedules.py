"""Whatever the order of jobs and wherever they die: no overspending, no draw without a charge of
its own, no charge given back that was drawn for. Each planted bug is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast

import pytest

from privpipe.catalog import BudgetRecord, Catalog
from privpipe.catalog.ledger import (
    Release,
    _book,
    _decide,
    _steps,
    attempts,
    cancel,
    open_budget,
    start_draw,
)
from privpipe.catalog.ledger._book import read_book
from privpipe.dp import Budget, total_budget
from tests.catalog._budgets import release_job, wanted
from tests.catalog._facts import run
from tests.catalog._schedules import Ask, AskedCatalog, Job, World, explore, next_effect

# A table that was made from the visits: whoever learns from it learns from them.
MADE = run("m", source="./visits", target="./protected", state="COMMITTED", table_version=0)


def opened(world: World, **budgets: str) -> World:
    """The world with these budgets open."""
    for name, epsilon in budgets.items():

        def job(ask: Ask, name: str = name, epsilon: str = epsilon) -> None:
            catalog = cast("Catalog", AskedCatalog(ask))
            open_budget(catalog, name, Budget.of_epsilon(epsilon))

        answers: list[Any] = []
        while effect := next_effect(job, f"open-{name}", answers):
            answers.append(getattr(world, effect[0])(*effect[1:]))
    return world


def holds(world: World) -> None:
    """What must be true at every moment, of what the world has seen rather than of what is said."""
    book = read_book(world.events)
    assert len(set(world.draws)) == len(world.draws), "two draws for one charge"
    seen = [book.releases[uid] for uid in world.draws]
    assert all(release.state in ("drawn", "published") for release in seen), "given back, or unsaid"
    assert set(world.commits) <= set(world.draws)
    for name, budget in book.budgets.items():
        assert budget.total.holds(total_budget(book.charges(name), "epsilon")), "overspent"
        charges = [release.charge for release in seen if release.budget == name]
        assert budget.total.holds(total_budget(charges, "epsilon")), "overspent in truth"
    assert len({release.budget for release in seen}) <= 1, "one's data charged to two budgets"
    for release in book.releases.values():
        if release.state == "published":
            assert world.commits[cast("int", release.target_version)] == release.uid


def cancel_job(run_id: str) -> Job:
    def job(ask: Ask) -> None:
        catalog = cast("Catalog", AskedCatalog(ask))
        for release in attempts(catalog, run_id):
            cancel(catalog, release.uid)

    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Budgets and the jobs that meet in them."""

    budgets: Mapping[str, str]
    jobs: Mapping[str, Job]
    least: int
    """States that it has at least: else it explores nothing"""

    def play(self, world: World | None = None) -> int:
        return explore(opened(world or World(runs=(MADE,)), **self.budgets), self.jobs, holds)


SCENES = {
    "two runs, room for one": Scene(
        budgets={"clinic": "1.5"},
        jobs={"a": release_job(wanted("a")), "b": release_job(wanted("b"))},
        least=150,
    ),
    "one run in two processes, or begun again": Scene(
        budgets={"clinic": "2"},
        jobs={"a": release_job(wanted("a")), "again": release_job(wanted("a"))},
        least=200,
    ),
    "begun again with nothing left": Scene(
        budgets={"clinic": "1"},
        jobs={"a": release_job(wanted("a")), "again": release_job(wanted("a"))},
        least=150,
    ),
    "cancelled meanwhile": Scene(
        budgets={"clinic": "1"},
        jobs={
            "a": release_job(wanted("a")),
            "cancel": cancel_job("a"),
            "b": release_job(wanted("b")),
        },
        least=500,
    ),
    "two budgets, one's data": Scene(
        budgets={"clinic": "5", "other": "5"},
        jobs={
            "a": release_job(wanted("a", sources={"./visits/2026": None})),
            "b": release_job(wanted("b", budget="other", sources={"./protected": 7})),
        },
        least=100,
    ),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_every_order_and_every_death(scene: Scene) -> None:
    assert scene.play() >= scene.least


def test_a_run_whose_commit_is_there_draws_no_more() -> None:
    """Dead between commit and publish, it is published by whoever begins it again."""
    world = opened(World(), clinic="1")
    answers: list[Any] = []
    job = release_job(wanted("a"))
    while not world.commits:
        effect = next_effect(job, "a", answers)
        assert effect is not None
        answers.append(getattr(world, effect[0])(*effect[1:]))
    explore(world, {"again": job}, holds)
    again: list[Any] = []
    while effect := next_effect(job, "again", again):
        again.append(getattr(world, effect[0])(*effect[1:]))
    [release] = read_book(world.events).releases.values()
    assert (release.state, release.target_version, world.draws) == ("published", 0, [release.uid])


class Appending(World):
    """A store that counts for itself, as an append would: nobody is told that he came second."""

    def add_budget_event(self, record: BudgetRecord) -> BudgetRecord:
        mine = replace(record, seq=len(self.events) + 1)
        self.events.append(mine)
        return mine


def caught(scene: Scene, world: World | None = None) -> None:
    with pytest.raises(AssertionError):
        scene.play(world)


def test_planted_an_append_instead_of_a_merge() -> None:
    for name in ("two runs, room for one", "two budgets, one's data"):
        caught(SCENES[name], Appending(runs=(MADE,)))


def test_planted_a_refund_after_the_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        _book,
        "_STEPS",
        MappingProxyType({**_book._STEPS, "cancel": ("drawn", "cancelled")}),
    )

    def refund(ask: Ask) -> None:
        catalog = cast("Catalog", AskedCatalog(ask))
        for release in attempts(catalog, "a"):

            def back(book: _book.Book, release: Release = release) -> BudgetRecord:
                return _steps._about(book, "cancel", release)

            if release.state == "drawn":
                _steps._settle(catalog, "a", back)

    jobs = {**SCENES["cancelled meanwhile"].jobs, "cancel": refund}
    caught(Scene(budgets={"clinic": "1"}, jobs=jobs, least=1))


def test_planted_noise_before_its_record() -> None:
    def late(catalog: Catalog, uid: str) -> None:
        cast("AskedCatalog", catalog)._ask("draw", uid)
        start_draw(catalog, uid)

    caught(
        Scene(budgets={"clinic": "1"}, jobs={"a": release_job(wanted("a"), drawing=late)}, least=1)
    )


def test_planted_a_draw_that_asks_not_who_was_first() -> None:
    def twice(catalog: Catalog, uid: str) -> None:
        if read_book(catalog.budget_events()).releases[uid].state == "reserved":
            start_draw(catalog, uid)

    request = wanted("a")
    jobs = {name: release_job(request, drawing=twice) for name in ("a", "again")}
    caught(Scene(budgets={"clinic": "2"}, jobs=jobs, least=1))


def test_planted_data_known_by_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decide, "same_data", lambda one, other: one == other)
    caught(SCENES["two budgets, one's data"])


def test_planted_data_that_forget_what_they_were_made_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_steps, "lineage", lambda runs, sources, same: tuple(sources))
    caught(SCENES["two budgets, one's data"])


def test_planted_nothing_is_ever_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_decide, "admit", lambda *_: None)
    caught(SCENES["two runs, room for one"])
    caught(SCENES["begun again with nothing left"])
