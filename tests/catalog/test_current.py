"""Which run a table's columns are read by."""

from __future__ import annotations

from datetime import timedelta

from privpipe.catalog import RunRecord, current_columns, current_run, memory_catalog
from tests.catalog._facts import NOW, column, committed, run

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def newest(*runs: RunRecord) -> str:
    found = [current_run(order, "./warehouse/people") for order in (runs, runs[::-1])]
    assert found[0] is not None
    assert found[0] == found[1], "the order of rows does not matter"
    return found[0].run_id


def test_no_run_no_columns() -> None:
    pending, elsewhere = run("a"), committed("b", 1, HOUR, target="./other")
    assert current_run([], "./warehouse/people") is None
    assert current_run([pending, elsewhere], "./warehouse/people") is None


def test_the_highest_version_stands() -> None:
    assert newest(committed("a", 0, 0 * HOUR), committed("b", 1, HOUR), run("c")) == "b"


def test_of_runs_at_the_same_time_the_version_decides() -> None:
    # The one that began first committed last.
    assert newest(committed("a", 6, 0 * HOUR), committed("b", 5, 30 * SECOND)) == "a"


def test_a_table_made_anew_counts_from_zero_again() -> None:
    assert newest(committed("a", 7, 0 * HOUR), committed("b", 0, HOUR)) == "b"


def test_a_run_whose_end_is_unknown_still_counts() -> None:
    ended = committed("a", 1, 0 * HOUR)
    assert newest(ended, run("b", state="COMMITTED", started_at=NOW - HOUR)) == "a"


def test_clocks_that_disagree_leave_a_run_to_choose() -> None:
    # Committed, by another machine's clock, before it began.
    odd = run("a", state="COMMITTED", table_version=2, finished_at=NOW - HOUR)
    assert newest(odd) == "a"


def test_the_columns_of_the_last_run_stand_alone() -> None:
    store = memory_catalog()
    old, new, dead = committed("a", 0, 0 * HOUR), committed("b", 1, HOUR), run("c")
    for each in (old, new, dead):
        store.begin_run(each)
        store.add_columns([column(each, "b"), column(each, "a"), column(each, each.run_id)])
    assert [fact.path for fact in current_columns(store, new.target)] == ["a", "b"]
    assert {fact.run_uid for fact in current_columns(store, new.target)} == {new.run_uid}
