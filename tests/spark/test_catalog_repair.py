"""Runs that died are settled by what their target's own history says."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog import RunRecord, memory_catalog, this_owner
from privpipe.errors import EngineError
from privpipe.spark._catalog import delta_catalog
from privpipe.spark._commits import find_commit
from privpipe.spark._repair import Settled, repair, settle
from tests.catalog._facts import run

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
# Longer than any lease: NOW is when the tests were collected, and they may take their time.
DAY = timedelta(days=1)
DEAD = this_owner() + "0"  # this process id, but started at another time
UIDS = ("uid-0", "uid-1", "uid-4")


@pytest.fixture(scope="module")
def target(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table of five versions: three of ours, one with others' metadata, one with none."""
    place = str(tmp_path_factory.mktemp("target") / "people")

    def write(rows: int, metadata: str | None, mode: str) -> None:
        writer = spark.range(rows).write.format("delta").mode(mode)
        if metadata is not None:
            writer = writer.option("userMetadata", metadata)
        writer.save(place)

    write(3, json.dumps({"run_id": "a", "run_uid": UIDS[0]}), "error")
    write(4, json.dumps({"run_id": "b", "run_uid": UIDS[1]}), "append")
    write(5, "not JSON, uid-2", "append")
    write(6, None, "append")
    write(7, json.dumps({"run_id": "e", "run_uid": UIDS[2]}), "overwrite")
    return place


def dead(run_id: str, target: str, uid: str = "uid-none", **changes: object) -> RunRecord:
    return run(run_id, target=target, run_uid=uid, owner=DEAD, lease_until=NOW + DAY, **changes)


def found(spark: SparkSession, target: str, uid: str) -> tuple[int | None, int | None] | None:
    commit = find_commit(spark, target, uid)
    return None if commit is None else (commit.version, commit.rows)


def test_a_commit_is_found_by_its_runs_uid(spark: SparkSession, target: str) -> None:
    assert [found(spark, target, uid) for uid in UIDS] == [(0, 3), (1, 4), (4, 7)]
    assert find_commit(spark, target, "uid-2") is None


def test_a_commit_says_which_versions_its_rows_are_of(spark: SparkSession, tmp_path: Path) -> None:
    """A run was taken for dead and tried again, of later versions, and committed after all."""
    place, store = str(tmp_path / "table"), memory_catalog()
    said = '{"run_uid": "uid-none", "versions": [3, null]}'
    spark.range(1).write.format("delta").option("userMetadata", said).save(place)
    again = dead("again", place, reads='{"./a": 4, "./b.csv": null}')
    store.begin_run(again)
    assert settle(spark, store, again).reads == '{"./a": 3, "./b.csv": null}'
    for reads in (None, '{"./a": 4}'):
        commit = find_commit(spark, place, "uid-none")
        assert commit is not None
        assert commit.settles(replace(again, reads=reads)).reads == reads


def test_an_old_commit_is_found_too(
    spark: SparkSession, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privpipe.spark._commits._RECENT", 1)
    assert found(spark, target, UIDS[0]) == (0, 3)


def test_a_table_of_sparks_catalog_is_asked_by_name(spark: SparkSession, tmp_path: Path) -> None:
    writer = spark.range(2).write.format("delta").option("userMetadata", '{"run_uid": "named"}')
    writer.mode("overwrite").saveAsTable("privpipe_repair")
    assert found(spark, "privpipe_repair", "named") == (0, 2)
    spark.sql("DROP TABLE privpipe_repair")
    assert find_commit(spark, "privpipe_repair", "named") is None


def test_a_target_that_is_absent_has_no_commit(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for place in ("nothing", "bare"):
        assert find_commit(spark, str(tmp_path / place), "uid") is None
    assert find_commit(spark, "no_such_schema.people", "uid") is None


def test_each_run_is_settled_once(spark: SparkSession, target: str, tmp_path: Path) -> None:
    store = memory_catalog()
    absent = str(tmp_path / "nothing")
    alive = run("alive", target=target, owner=this_owner(), lease_until=NOW + DAY)
    for each in (
        dead("done", target, UIDS[1]),
        dead("nothing written", target),
        dead("no target", absent),
        dead("taken for dead", target, UIDS[2], state="ABANDONED", finished_at=NOW),
        dead("dead indeed", target, state="ABANDONED", finished_at=NOW),
        dead("failed", target, state="FAILED", error_code="PP-DAT-02"),
        run("by the clock", target=target, run_uid=UIDS[0], lease_until=NOW - MINUTE),
        alive,
    ):
        store.begin_run(each)

    found = {each.run_id: each for each in repair(spark, store)}
    assert {name: (each.was, each.state) for name, each in found.items()} == {
        "done": ("PENDING", "COMMITTED"),
        "nothing written": ("PENDING", "ABANDONED"),
        "no target": ("PENDING", "ABANDONED"),
        "taken for dead": ("ABANDONED", "COMMITTED"),
        "by the clock": ("PENDING", "COMMITTED"),
    }
    assert found["done"] == Settled(
        run_id="done",
        target=target,
        was="PENDING",
        state="COMMITTED",
        table_version=1,
        reason="its commit is version 1 of the table",
    )
    done = store.run("done")
    assert done
    assert (done.state, done.table_version, done.rows) == ("COMMITTED", 1, 4)
    assert done.finished_at
    assert NOW - MINUTE < done.finished_at <= datetime.now(UTC), "when the commit was made"
    assert store.run("alive") == alive
    assert repair(spark, store) == ()


def test_a_history_that_cannot_be_read_decides_nothing(spark: SparkSession, tmp_path: Path) -> None:
    place = tmp_path / "broken"
    spark.range(1).write.format("delta").save(str(place))
    for entry in [*(place / "_delta_log").glob("*.json")]:
        entry.write_text("broken{")
    copy = place.rename(tmp_path / "copy")  # at a place whose log Spark has not read yet
    store = memory_catalog()
    record = store.begin_run(dead("a", str(copy)))
    (outcome,) = repair(spark, store)
    assert (outcome.was, outcome.state) == ("PENDING", "PENDING")
    assert outcome.reason.startswith("left as it is: reading the target's history failed")
    assert store.run("a") == record
    with pytest.raises(EngineError) as caught:
        find_commit(spark, str(copy), "uid")
    assert caught.value.where == str(copy)
    assert "broken{" not in str(caught.value)


def test_places_in_a_project_are_found_where_it_lies_now(spark: SparkSession, target: str) -> None:
    store = memory_catalog()
    store.begin_run(dead("a", "./people", UIDS[2]))
    (outcome,) = repair(spark, store, find=lambda kept: target if kept == "./people" else "")
    assert (outcome.state, outcome.target) == ("COMMITTED", "./people")


def test_a_run_that_was_taken_meanwhile_is_left(spark: SparkSession, target: str) -> None:
    seen = dead("a", target)  # by a slow repair
    held = replace(seen, owner=this_owner(), lease_until=NOW + DAY)
    store = memory_catalog()
    store.begin_run(held)
    assert settle(spark, store, seen) == held
    assert store.run("a") == held


def test_settle_looks_at_whatever_is_not_committed(spark: SparkSession, target: str) -> None:
    store = memory_catalog()
    failed = store.begin_run(dead("a", target, UIDS[1], state="FAILED", error_code="PP-ENG-01"))
    after = settle(spark, store, failed)
    assert (after.state, after.table_version, after.error_code) == ("COMMITTED", 1, None)
    assert settle(spark, store, after) == after
    other = store.begin_run(dead("b", target, state="FAILED"))
    assert settle(spark, store, other) == other


def test_two_repairs_at_once_agree(spark: SparkSession, target: str, tmp_path: Path) -> None:
    store = delta_catalog(spark, str(tmp_path / "catalog"))
    store.begin_run(dead("done", target, UIDS[1]))
    store.begin_run(dead("nothing", target))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: repair(spark, store), range(2)))
    assert {each.run_id: each.state for each in store.runs()} == {
        "done": "COMMITTED",
        "nothing": "ABANDONED",
    }
