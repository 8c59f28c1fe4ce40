"""The ledger, step by step: what is charged, refused and given back, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from privpipe.catalog import Catalog, memory_catalog
from privpipe.catalog.ledger import (
    attempts,
    budgets,
    cancel,
    check_reservation,
    mechanisms_from_text,
    mechanisms_to_text,
    open_budget,
    publish,
    reserve,
    standing,
    standings,
    start_draw,
)
from privpipe.dp import Bounds, Budget, Mechanism, fit_release, release_cost
from privpipe.dp import Query as DpQuery
from privpipe.errors import (
    BudgetConflict,
    BudgetError,
    BudgetSpent,
    CatalogError,
    DrawConflict,
    PrivpipeError,
    RunConflict,
    TryAgain,
    UnknownBudget,
    UsageError,
)
from tests.catalog._budgets import COUNT, ONE, laplace, wanted
from tests.catalog._facts import event, run


@pytest.fixture
def store() -> Catalog:
    made = memory_catalog()
    open_budget(made, "clinic", Budget.of_epsilon("2.5"), note="visits")
    return made


def count(store: Catalog) -> int:
    return len(store.budget_events())


def refused(kind: type[PrivpipeError], store: Catalog, step: Any, *told: str) -> PrivpipeError:
    """The error of `step`, which says all of `told` and writes nothing."""
    before = store.budget_events()
    with pytest.raises(kind) as caught:
        step()
    assert store.budget_events() == before
    for text in told:
        assert text in str(caught.value)
    return caught.value


def test_a_release_from_end_to_end(store: Catalog) -> None:
    held = reserve(store, wanted("a"))
    assert (held.release.state, held.left, held.orphans) == (
        "reserved",
        Budget.of_epsilon("1.5"),
        (),
    )
    assert start_draw(store, held.release.uid).state == "drawn"
    done = publish(store, held.release.uid, 4)
    assert (done.state, done.target_version) == ("published", 4)
    assert publish(store, held.release.uid, 4) == done
    assert count(store) == 4

    assert reserve(store, wanted("a")).release == done, "a run that has released does nothing"
    assert count(store) == 4
    [event_] = [each for each in store.budget_events() if each.event == "reserve"]
    assert (event_.sources, event_.amount, event_.delta) == ('{"./visits": 3}', "1", "0")
    assert mechanisms_from_text(str(event_.mechanisms)) == (laplace(),)


def test_a_budget_is_opened_once(store: Catalog) -> None:
    first = open_budget(store, "clinic", Budget.of_epsilon(Fraction(5, 2)))
    assert first.note == "visits"
    assert count(store) == 1
    for other in (
        Budget.of_epsilon(3),
        Budget.of_rho("2.5"),
        Budget.of_epsilon("2.5", delta="1e-9"),
    ):
        refused(
            BudgetConflict,
            store,
            lambda total=other: open_budget(store, "clinic", total),
            "it was opened with epsilon 2.5",
        )
    for name in ("", "a b", "-x", "ü", "x" * 101, "a/b", "a\n"):
        refused(UsageError, store, lambda name=name: open_budget(store, name, ONE))
    refused(BudgetError, store, lambda: open_budget(store, "none", Budget.of_epsilon(0)), "nothing")
    open_budget(store, "b-2", Budget.of_rho("0.5"))
    assert [(each.name, str(each.total)) for each in budgets(store)] == [
        ("b-2", "rho 0.5"),
        ("clinic", "epsilon 2.5"),
    ]


def test_what_does_not_fit_is_refused(store: Catalog) -> None:
    reserve(store, wanted("a"))
    reserve(store, wanted("b"))
    refused(
        BudgetSpent,
        store,
        lambda: reserve(store, wanted("c")),
        "the release costs epsilon 1, and epsilon 0.5 is left of epsilon 2.5",
        "budget clinic, run c",
    )
    half = {"charge": Budget.of_epsilon("0.5"), "mechanisms": (laplace(2),)}
    assert reserve(store, wanted("d", **half)).left == Budget.of_epsilon(0)
    refused(BudgetSpent, store, lambda: reserve(store, wanted("e", **half)))


def test_many_small_charges_add_up_exactly(store: Catalog) -> None:
    """Ten tenths are one: as doubles they are less."""
    open_budget(store, "tenths", ONE)
    tenth = {"budget": "tenths", "charge": Budget.of_epsilon("0.1"), "mechanisms": (laplace(10),)}
    for number in range(10):
        left = reserve(store, wanted(f"t{number}", **tenth)).left
    assert left.amount == 0
    refused(BudgetSpent, store, lambda: reserve(store, wanted("t10", **tenth)))


def test_delta_is_spent_too(store: Catalog) -> None:
    open_budget(store, "deltas", Budget.of_epsilon(100, delta="1e-6"))
    share = Budget.of_epsilon(1, delta="4e-7")
    made = fit_release([DpQuery(sensitivity=COUNT)], share)
    each = {"budget": "deltas", "charge": share, "mechanisms": made}
    assert reserve(store, wanted("a", **each)).left == Budget.of_epsilon(99, delta="6e-7")
    reserve(store, wanted("b", **each))
    refused(BudgetSpent, store, lambda: reserve(store, wanted("c", **each)), "delta 4e-07")


def test_an_unknown_budget_lists_those_there_are(store: Catalog) -> None:
    open_budget(store, "census", ONE)
    told = "there are: census, clinic"
    refused(UnknownBudget, store, lambda: reserve(store, wanted("a", budget="clinik")), told)
    refused(UnknownBudget, store, lambda: standing(store, "x"), told)
    charged = wanted("a", budget="y")
    with pytest.raises(UnknownBudget, match=f"open y --{charged.charge.unit} ") as caught:
        reserve(memory_catalog(), charged)
    amount = Fraction(str(caught.value.hint).split(" --")[1].split()[1])
    assert charged.charge.amount <= amount < charged.charge.amount + Fraction(1, 999)
    with pytest.raises(UnknownBudget, match="privpipe budget open x --epsilon 1"):
        standing(memory_catalog(), "x")


CHANGES: dict[str, dict[str, Any]] = {
    "budget": {"budget": "other"},
    "spec": {"spec_hash": "cd" * 32},
    "charge": {"charge": Budget.of_epsilon(2)},
    "noise": {"mechanisms": (laplace(2), laplace(2))},
    "source": {"sources": {"./elsewhere": 3}},
    "privacy unit": {"unit": None},
    "target": {"target": "./others"},
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("state", ["reserved", "drawn", "published", "cancelled"])
def test_a_run_id_stands_for_one_thing(store: Catalog, what: str, state: str) -> None:
    open_budget(store, "other", ONE)
    uid = reserve(store, wanted("a")).release.uid
    if state == "cancelled":
        cancel(store, uid)
    elif state != "reserved":
        start_draw(store, uid)
        if state == "published":
            publish(store, uid, 0)
    if state == "cancelled" and what in ("charge", "noise"):
        # It follows from the rows, and nothing was drawn of those that there were.
        assert reserve(store, wanted("a", **CHANGES[what])).release.uid != uid
        return
    error = refused(RunConflict, store, lambda: reserve(store, wanted("a", **CHANGES[what])))
    assert f"another {what}" in error.message
    assert ("charged anew" in str(error.hint)) == (state == "drawn")


def test_a_run_that_drew_nothing_gets_its_reservation_back(store: Catalog) -> None:
    first = reserve(store, wanted("a", note="x"))
    again = reserve(store, wanted("a", sources={"./visits": 9}, note="y"))
    assert again == first
    assert again.release.sources == {"./visits": 3}, "which is the version to read"
    assert count(store) == 2


def test_a_run_that_drew_is_charged_again(store: Catalog) -> None:
    first = reserve(store, wanted("a")).release.uid
    start_draw(store, first)
    again = reserve(store, wanted("a", sources={"./visits": 9}))
    assert again.release.uid != first
    assert [(each.uid, each.state) for each in again.orphans] == [(first, "drawn")]
    assert again.left == Budget.of_epsilon("0.5")
    assert again.release.sources == {"./visits": 9}
    start_draw(store, again.release.uid)
    refused(BudgetSpent, store, lambda: reserve(store, wanted("a")), "epsilon 0.5 is left")
    # The first was not dead after all: what it shows is what the run has released.
    publish(store, first, 2)
    assert reserve(store, wanted("a")).release.uid == first
    assert [each.state for each in attempts(store, "a")] == ["published", "drawn"]


def test_one_draw_a_reservation(store: Catalog) -> None:
    uid = reserve(store, wanted("a")).release.uid
    refused(DrawConflict, store, lambda: publish(store, uid, 0), "is reserved")
    start_draw(store, uid)
    refused(DrawConflict, store, lambda: start_draw(store, uid), "is drawn", "reserve again")
    refused(DrawConflict, store, lambda: cancel(store, uid), "may have been seen")
    publish(store, uid, 0)
    for step in (
        lambda: publish(store, uid, 1),
        lambda: cancel(store, uid),
        lambda: start_draw(store, uid),
    ):
        refused(DrawConflict, store, step, "is published", uid)
    for action in (start_draw, cancel):
        refused(BudgetError, store, lambda action=action: action(store, "x"), "no such reservation")


def test_what_was_not_drawn_is_given_back(store: Catalog) -> None:
    uid = reserve(store, wanted("a")).release.uid
    assert standing(store, "clinic").left == Budget.of_epsilon("1.5")
    gone = cancel(store, uid, note="mistyped")
    assert cancel(store, uid) == gone
    assert standing(store, "clinic").left == Budget.of_epsilon("2.5")
    refused(DrawConflict, store, lambda: start_draw(store, uid), "is cancelled")
    refused(DrawConflict, store, lambda: publish(store, uid, 0))
    assert reserve(store, wanted("a")).release.uid != uid


def test_a_charge_is_no_less_than_its_mechanisms_cost(store: Catalog) -> None:
    cheap = {"charge": Budget.of_epsilon("0.5")}
    refused(BudgetError, store, lambda: reserve(store, wanted("a", **cheap)), "cost epsilon 1")
    refused(BudgetError, store, lambda: reserve(store, wanted("a", mechanisms=())), "no mechanism")
    twice = {"mechanisms": (laplace(), laplace())}
    refused(BudgetError, store, lambda: reserve(store, wanted("a", **twice)), "cost epsilon 2")
    in_rho = {"charge": Budget.of_rho(1)}
    refused(BudgetError, store, lambda: reserve(store, wanted("a", **in_rho)), "is in epsilon, and")


@pytest.mark.parametrize(
    "changes", [{"run_id": " "}, {"spec_hash": ""}, {"target": ""}, {"sources": {}}]
)
def test_a_reservation_says_all(store: Catalog, changes: dict[str, Any]) -> None:
    refused(PrivpipeError, store, lambda: reserve(store, wanted(**{"run_id": "a", **changes})))


# What is read, and whether it is data that clinic was charged for: ./visits.
READ = {
    "./visits": True,
    "./visits/": True,
    "./visits/../visits": True,
    "./visits/country=DE": True,
    "./visits/*.parquet": True,
    "./vis*": True,
    "./protected": True,
    "./twice": True,
    "./failed": True,
    "./abandoned": True,
    "./.": True,
    "./visits2": False,
    "/visits": False,
    "visits": False,
    "./of_a_frame": False,
    "./refused": False,
    "s3://bucket/visits": False,
}
RUNS = [
    run("1", source="./visits", target="./protected", state="COMMITTED", table_version=0),
    run("2", source="./protected", target="./twice", state="PENDING"),
    run("3", source="./twice", target="./protected", state="COMMITTED", table_version=1),
    run("4", source="a DataFrame", target="./of_a_frame", state="COMMITTED", table_version=0),
    run("5", source="./visits", target="./refused", state="FAILED", error_code="PP-DAT-03"),
    run("6", source="./visits", target="./failed", state="FAILED", error_code="PP-ENG-01"),
    run("7", source="./visits", target="./abandoned", state="ABANDONED"),
]


@pytest.mark.parametrize("place", READ)
def test_ones_data_belong_to_one_budget(store: Catalog, place: str) -> None:
    for each in RUNS:
        store.begin_run(each)
    open_budget(store, "other", ONE)
    uid = reserve(store, wanted("a")).release.uid
    request = wanted("b", budget="other", sources={place: None})
    if READ[place]:
        refused(BudgetConflict, store, lambda: reserve(store, request), "charged to budget clinic")
        # Of another unit it is another budget's, and what was given back is nobody's.
        assert reserve(store, wanted("c", budget="other", unit=None)).left.amount == 0
        cancel(store, attempts(store, "c")[0].uid)
        cancel(store, uid)
    assert reserve(store, request).left.amount == 0


def test_other_names_of_ones_data(store: Catalog) -> None:
    open_budget(store, "other", ONE)
    reserve(store, wanted("a", sources={"s3://bucket/visits": 1}))
    for place in ("s3a://bucket/visits/part=1", "s3n://bucket"):
        request = wanted("b", budget="other", sources={place: None})
        refused(BudgetConflict, store, lambda asked=request: reserve(store, asked))
    for unit in ("PATIENT", "`patient`"):
        request = wanted("b", budget="other", unit=unit, sources={"s3a://bucket/visits": 1})
        refused(BudgetConflict, store, lambda asked=request: reserve(store, asked))
    named = wanted("b", budget="other", sources={"clinic.visits": None})
    place = "s3a://bucket/visits"
    refused(
        BudgetConflict,
        store,
        lambda: reserve(store, named, same=lambda each: place if "clinic" in each else each),
    )
    assert reserve(store, named).left.amount == 0


def test_whoever_is_always_outrun_tries_again_later(
    store: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privpipe.catalog.ledger._steps.sleep", lambda _: None)
    monkeypatch.setattr(store, "add_budget_event", lambda record: replace(record, uid="another's"))
    with pytest.raises(TryAgain, match="wrote the privacy budgets first") as caught:
        reserve(store, wanted("a"))
    assert caught.value.exit_code == 75
    assert count(store) == 1


HAND_MADE: dict[str, list[dict[str, Any]]] = {
    "a gap": [{"seq": 3}],
    "twice": [{"seq": 2}],
    "no amount": [{"seq": 2, "budget": "b", "amount": "much"}],
    "no measure": [{"seq": 2, "budget": "b", "measure": None}],
    "a draw of nothing": [{"seq": 2, "event": "draw", "reservation": "x"}],
    "a bare reserve": [{"seq": 2, "event": "reserve"}],
}


@pytest.mark.parametrize("rows", HAND_MADE.values(), ids=HAND_MADE.keys())
def test_a_ledger_that_was_changed_by_hand_stops_all(
    store: Catalog, rows: list[dict[str, Any]]
) -> None:
    for row in rows:
        store.add_budget_event(event(row.pop("seq"), **row))
    for step in (
        lambda: reserve(store, wanted("a")),
        lambda: open_budget(store, "b", ONE),
        lambda: standing(store, "clinic"),
    ):
        refused(CatalogError, store, step, "not whole", "budgets, seq")


def test_a_draw_after_a_refund_stops_all(store: Catalog) -> None:
    uid = reserve(store, wanted("a")).release.uid
    cancel(store, uid)
    store.add_budget_event(event(4, event="draw", reservation=uid))
    refused(
        CatalogError, store, lambda: standing(store, "clinic"), "of a release that was cancelled"
    )


def test_mechanisms_are_kept_exactly() -> None:
    share = Budget.of_epsilon(Fraction(1, 3), delta="1e-7")
    queries = [
        DpQuery(sensitivity=COUNT, noise="threshold", floor=7),
        DpQuery(sensitivity=Bounds(groups=3, rows=2).sums(low=-5, high=4), noise="laplace"),
        *[DpQuery(sensitivity=COUNT)] * 3,
    ]
    made = fit_release(queries, share)
    text = mechanisms_to_text(made)
    back = mechanisms_from_text(text)
    assert sorted(map(repr, back)) == sorted(map(repr, made))
    assert mechanisms_to_text(tuple(reversed(made))) == text
    assert text.count('"count"') == 3
    for wrong in ("", "7", "[]x", '[{"count": 1}]', text.replace('"count": 3', '"count": 1e9')):
        with pytest.raises(CatalogError, match="mechanisms are none"):
            mechanisms_from_text(wrong)


def test_standing_tells_all(store: Catalog) -> None:
    open_budget(store, "rhos", Budget.of_rho("0.5"))
    tenth = {"charge": Budget.of_epsilon("0.1"), "mechanisms": (laplace(10),)}
    cancel(store, reserve(store, wanted("gone")).release.uid)
    for number in range(20):
        uid = reserve(store, wanted(f"t{number}", **tenth)).release.uid
        start_draw(store, uid)
    now, rhos = standings(store)
    assert now == standing(store, "clinic")
    assert (now.spent, now.left) == (Budget.of_epsilon(2), Budget.of_epsilon("0.5"))
    assert [each.state for each in now.releases] == ["cancelled", *["drawn"] * 20]
    assert now.composed is not None
    assert now.composed.delta == Fraction(1, 10**6)
    # Twenty small losses rarely all fall on one side; and a lower bound by one release alone.
    assert Fraction("0.1") < now.composed.amount < now.spent.amount
    assert (rhos.releases, rhos.composed, rhos.left) == ((), None, rhos.total)

    made = (Mechanism(noise="gaussian", sensitivity=COUNT, scale=Fraction(4)),)
    cost = release_cost(made, "rho").charge
    spent = {"budget": "rhos", "charge": cost, "mechanisms": made, "unit": None}
    assert reserve(store, wanted("g", **spent)).left.amount == Fraction(1, 2) - cost.amount
    told = standing(store, "rhos").composed
    assert told is not None
    assert told.unit == "epsilon"


def test_a_machine_that_only_looks_needs_no_library(
    store: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve(store, wanted("a"))
    monkeypatch.setitem(__import__("sys").modules, "dp_accounting.pld", None)
    assert standing(store, "clinic").composed is None
    assert standing(store, "clinic").spent == ONE


def test_a_look_whether_a_release_can_be_writes_nothing(store: Catalog) -> None:
    before = store.budget_events()
    check_reservation(store, wanted("a"))
    assert store.budget_events() == before
    for one in (
        replace(wanted("a"), budget="clinics"),
        replace(wanted("a"), charge=Budget.of_epsilon(3)),
    ):
        with pytest.raises(BudgetError) as looked:
            check_reservation(store, one)
        with pytest.raises(BudgetError) as reserved:
            reserve(store, one)
        assert str(looked.value) == str(reserved.value)
    reserve(store, wanted("a"))
    check_reservation(store, wanted("a"))
    with pytest.raises(RunConflict):
        check_reservation(store, replace(wanted("a"), spec_hash="0" * 64))
