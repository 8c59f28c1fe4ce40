"""The laws of every catalog store. A store joins by one line; see `test_store.py`.

A law takes a store that others have written to, so it looks at its own facts alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeAlias
from zoneinfo import ZoneInfo

import pytest

from privpipe.catalog import (
    BudgetRecord,
    Catalog,
    ColumnRecord,
    KeysetRecord,
    current_columns,
)
from privpipe.errors import CatalogError
from tests.catalog._facts import (
    AWKWARD,
    HIGHEST_KEY_ID,
    NOW,
    column,
    event,
    fresh,
    keyset,
    run,
)

Law: TypeAlias = Callable[[Catalog], None]


def keysets_of(store: Catalog, *scopes: str) -> list[KeysetRecord]:
    return [each for each in store.keysets() if each.scope in scopes]


def columns_of(store: Catalog, run_uid: str) -> list[ColumnRecord]:
    return [each for each in store.columns() if each.run_uid == run_uid]


def a_keyset_comes_back_as_it_went(store: Catalog) -> None:
    record = keyset(
        fresh("table:x") + AWKWARD,
        family="decimal.2",
        wrapped=AWKWARD * 200,
        kek_uri=AWKWARD,
        key_id=HIGHEST_KEY_ID,
    )
    assert store.add_keysets([record]) == (record,)
    assert keysets_of(store, record.scope) == [record]


def the_first_keyset_of_a_name_wins(store: Catalog) -> None:
    name, other = fresh("domain:email"), fresh("domain:phone")
    first = keyset(name, key_id=1)
    assert store.add_keysets([first]) == (first,)
    late, new = keyset(name, key_id=2), keyset(other, key_id=3)
    assert store.add_keysets([new, late]) == (new, first)
    assert store.add_keysets([late]) == (first,)
    assert keysets_of(store, name, other) == sorted([first, new], key=lambda each: each.scope)


def primitive_and_version_are_part_of_the_name(store: Catalog) -> None:
    name = fresh("table:t")
    records = (
        keyset(name, key_id=1),
        keyset(name, key_id=2, version=2),
        keyset(name, key_id=3, primitive="AES256_SIV"),
    )
    assert store.add_keysets(reversed(records)) == records[::-1]
    assert keysets_of(store, name) == list(records)


def one_name_twice_in_one_call_is_one_keyset(store: Catalog) -> None:
    name = fresh("table:t")
    first = keyset(name, key_id=1)
    assert store.add_keysets([first, keyset(name, key_id=2)]) == (first, first)
    assert keysets_of(store, name) == [first]


def nothing_added_is_nothing_written(store: Catalog) -> None:
    before = store.keysets(), store.columns()
    assert store.add_keysets([]) == ()
    store.add_columns([])
    assert (store.keysets(), store.columns()) == before


def a_run_comes_back_as_it_went(store: Catalog) -> None:
    record = run(
        fresh("run") + AWKWARD,
        policy=AWKWARD * 500,
        source=AWKWARD,
        target=AWKWARD,
        as_of="2026-11-23",
        rows=2**40,
        table_version=0,
        finished_at=NOW,
        error_code="PP-DAT-02",
        reads=AWKWARD,
    )
    assert store.run(record.run_id) is None
    assert store.begin_run(record) == record
    assert store.run(record.run_id) == record
    assert [each for each in store.runs() if each.run_id == record.run_id] == [record]


def the_first_run_of_an_id_wins(store: Catalog) -> None:
    first = run(fresh("run"))
    assert store.begin_run(first) == first
    assert store.begin_run(run(first.run_id, owner="elsewhere:1:1")) == first
    assert store.run(first.run_id) == first


def runs_come_by_their_start(store: Catalog) -> None:
    late, early = run(fresh("a")), run(fresh("b"), started_at=NOW - timedelta(microseconds=1))
    store.begin_run(late)
    store.begin_run(early)
    ours = [each.run_id for each in store.runs() if each.run_id in (late.run_id, early.run_id)]
    assert ours == [early.run_id, late.run_id]


def a_run_changes_for_its_owner_alone(store: Catalog) -> None:
    first = store.begin_run(run(fresh("run"), owner="here:7:70"))
    done = replace(first, state="COMMITTED", table_version=3, rows=5, finished_at=NOW)
    assert store.update_run(done, held_by="here:7:71") == first
    assert store.update_run(replace(done, run_uid="another"), held_by=None) == first
    assert store.update_run(done, held_by="here:7:70") == done
    assert store.run(first.run_id) == done


def committed_is_final(store: Catalog) -> None:
    done = store.begin_run(run(fresh("run"), state="COMMITTED", table_version=1, finished_at=NOW))
    for held_by in (None, done.owner):
        assert store.update_run(replace(done, state="ABANDONED"), held_by=held_by) == done


def what_a_run_was_asked_to_do_never_changes(store: Catalog) -> None:
    first = store.begin_run(run(fresh("run"), state="FAILED", error_code="PP-DAT-02"))
    again = replace(
        first,
        state="PENDING",
        owner="there:8:80",
        error_code=None,
        started_at=NOW + timedelta(hours=1),
        target="./elsewhere",
        policy="{}",
    )
    now = store.update_run(again, held_by=None)
    assert now == replace(again, target=first.target, policy=first.policy)


def a_run_that_never_began_cannot_change(store: Catalog) -> None:
    with pytest.raises(CatalogError, match="no such run"):
        store.update_run(run(fresh("run")), held_by=None)


def columns_come_back_as_they_went(store: Catalog) -> None:
    of = run(fresh("run"), target=fresh("./t"))
    plain = column(of, "surname")
    odd = column(
        of,
        f"`{AWKWARD}`.[]",
        domain="email",
        family="text",
        type_json=AWKWARD,
        key_id=HIGHEST_KEY_ID,
    )
    store.add_columns([plain, odd])
    assert sorted(columns_of(store, of.run_uid), key=lambda each: each.path) == sorted(
        [plain, odd], key=lambda each: each.path
    )
    assert set(store.columns(of.target)) == {plain, odd}
    assert store.columns(of.target + "x") == ()


def a_later_attempt_replaces_its_columns(store: Catalog) -> None:
    of = run(fresh("run"))
    store.add_columns([column(of, "a"), column(of, "b")])
    later = column(of, "b", key_id=9, recorded_at=NOW + timedelta(days=1))
    store.add_columns([later, column(of, "c")])
    assert columns_of(store, of.run_uid) == [column(of, "a"), later, column(of, "c")]


def columns_count_once_their_run_is_committed(store: Catalog) -> None:
    of = run(fresh("run"), target=fresh("./t"))
    fact = column(of, "a")
    store.begin_run(of)
    store.add_columns([fact])
    assert current_columns(store, of.target) == ()
    done = replace(of, state="COMMITTED", table_version=0, rows=1, finished_at=NOW)
    store.update_run(done, held_by=of.owner)
    assert current_columns(store, of.target) == (fact,)


def times_are_instants_to_the_microsecond(store: Catalog) -> None:
    # The hour that Berlin has twice, told apart by `fold`; a zone of odd minutes; the far ends.
    berlin = ZoneInfo("Europe/Berlin")
    times = [
        datetime(2026, 10, 25, 2, 30, 0, 1, tzinfo=berlin, fold=0),
        datetime(2026, 10, 25, 2, 30, 0, 1, tzinfo=berlin, fold=1),
        datetime(2026, 3, 29, 2, 30, tzinfo=UTC),
        datetime(2026, 1, 1, 12, 0, 0, 999999, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ]
    of = run(fresh("run"))
    store.add_columns([column(of, str(n), recorded_at=at) for n, at in enumerate(times)])
    found = [each.recorded_at for each in columns_of(store, of.run_uid)]
    assert [at.astimezone(UTC) for at in times] == [at.astimezone(UTC) for at in found]

    first = store.begin_run(run(fresh("run"), started_at=times[0], lease_until=times[1]))
    moved = store.update_run(replace(first, lease_until=times[3]), held_by=None)
    assert (moved.started_at.astimezone(UTC), moved.lease_until) == (
        times[0].astimezone(UTC),
        times[3],
    )


def threads_that_race_agree(store: Catalog) -> None:
    name, run_id = fresh("table:t"), fresh("run")

    def race(number: int) -> tuple[KeysetRecord, str]:
        ours = store.add_keysets([keyset(name, key_id=number)])
        return ours[0], store.begin_run(run(run_id, owner=f"here:{number}:1")).owner

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(race, range(3)))
    assert len(set(outcomes)) == 1
    assert keysets_of(store, name) == [outcomes[0][0]]


def next_seq(store: Catalog) -> int:
    return len(store.budget_events()) + 1


def a_budgets_event_comes_back_as_it_went(store: Catalog) -> None:
    seq = next_seq(store)
    plain = event(seq)
    odd = event(
        seq + 1,
        event="publish",
        budget=AWKWARD,
        reservation=AWKWARD,
        run_id=AWKWARD,
        privacy_unit=AWKWARD,
        sources=AWKWARD,
        lineage=AWKWARD,
        spec_hash="ab",
        mechanisms=AWKWARD * 300,
        target=AWKWARD,
        target_version=2**40,
        note=AWKWARD,
        amount=f"1/{3**200}",
    )
    assert store.add_budget_event(plain) == plain
    assert store.add_budget_event(odd) == odd
    assert store.budget_events()[seq - 1 :] == (plain, odd)


def the_first_event_of_a_seq_wins(store: Catalog) -> None:
    seq = next_seq(store)
    first = event(seq)
    assert store.add_budget_event(first) == first
    assert store.add_budget_event(event(seq, amount="2")) == first
    assert store.add_budget_event(first) == first
    assert store.budget_events()[seq - 1 :] == (first,)


def threads_that_race_for_a_seq_agree(store: Catalog) -> None:
    seq = next_seq(store)

    def race(number: int) -> BudgetRecord:
        return store.add_budget_event(event(seq, budget=f"of-{number}"))

    with ThreadPoolExecutor(3) as pool:
        outcomes = set(pool.map(race, range(3)))
    assert len(outcomes) == 1
    assert set(store.budget_events()[seq - 1 :]) == outcomes


LAWS: list[Law] = [
    a_keyset_comes_back_as_it_went,
    the_first_keyset_of_a_name_wins,
    primitive_and_version_are_part_of_the_name,
    one_name_twice_in_one_call_is_one_keyset,
    nothing_added_is_nothing_written,
    a_run_comes_back_as_it_went,
    the_first_run_of_an_id_wins,
    runs_come_by_their_start,
    a_run_changes_for_its_owner_alone,
    committed_is_final,
    what_a_run_was_asked_to_do_never_changes,
    a_run_that_never_began_cannot_change,
    columns_come_back_as_they_went,
    a_later_attempt_replaces_its_columns,
    columns_count_once_their_run_is_committed,
    times_are_instants_to_the_microsecond,
    threads_that_race_agree,
    a_budgets_event_comes_back_as_it_went,
    the_first_event_of_a_seq_wins,
    threads_that_race_for_a_seq_agree,
]


def is_empty(store: Catalog) -> None:
    """What holds of a store to which nobody has written."""
    assert (store.keysets(), store.columns(), store.runs(), store.run("x")) == ((), (), (), None)
    assert store.budget_events() == ()
    assert store.columns("./t") == current_columns(store, "./t") == ()
