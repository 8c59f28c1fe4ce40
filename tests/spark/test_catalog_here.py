"""A catalog folder as it is written without Spark: by many at once, and as Spark reads it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from delta import DeltaTable
from pyspark.sql import SparkSession

from privpipe.catalog import (
    CHANGING,
    TABLES,
    Catalog,
    Outrun,
    RunRecord,
    _deltars_write,
    is_written_here,
    merge_rows,
    open_folder,
    update_run,
)
from privpipe.errors import CatalogAccess, CatalogError, EngineError
from privpipe.spark import _catalog
from privpipe.spark._catalog import delta_catalog
from privpipe.spark._noted import highest_noted
from tests.catalog._facts import column, event, keyset, run
from tests.catalog._hammer import LEDGER
from tests.conftest import PROJECT
from tests.faults._disk import small_disk
from tests.spark.test_catalog import is_as_documented


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog with a fact in each table; to be copied."""
    folder = tmp_path_factory.mktemp("here") / "catalog"
    store = delta_catalog(spark, str(folder))
    first = store.begin_run(run("first"))
    store.add_keysets([keyset("first")])
    store.add_columns([column(first, "a")])
    store.add_budget_event(event(1))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "catalog"))


def by_spark(spark: SparkSession, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """The catalog as a process has it that does all through Spark."""
    with monkeypatch.context() as patch:
        patch.setattr(_catalog, "_is_local", lambda *_: False)
        return delta_catalog(spark, str(folder))


def agree(one: Catalog, other: Catalog) -> None:
    assert one.keysets() == other.keysets()
    assert one.runs() == other.runs()
    assert one.columns() == other.columns()
    assert one.budget_events() == other.budget_events()


def log_of(folder: Path, name: str) -> list[Path]:
    return sorted((folder / name / "_delta_log").glob("*.json"))


def commits_by(folder: Path, name: str) -> list[str]:
    """Who made each commit."""
    said = [json.loads(path.read_text().splitlines()[0]) for path in log_of(folder, name)]
    return [each["commitInfo"]["engineInfo"].split("/")[0].split(":")[0] for each in said]


def start(folder: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.catalog._hammer", str(folder), name, str(rounds)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_whole(folder: Path, said: str) -> None:
    """Every write that returned is there, and every name once."""
    look = open_folder(folder)
    there: dict[str, list[tuple[object, ...]]] = {
        "keysets": [(each.scope, each.version) for each in look.keysets()],
        "runs": [(each.run_id,) for each in look.runs()],
        "columns": [(each.run_uid,) for each in look.columns()],
        "budgets": [(each.seq, each.uid) for each in look.budget_events()],
    }
    for name, keys in there.items():
        assert len(keys) == len(set(keys)), name
    events = look.budget_events()
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    facts = [json.loads(line) for line in said.splitlines() if line.endswith("]")]
    for name, *key in facts:
        assert tuple(key) in there[name], name
    for each in look.runs():
        if each.error_code is not None:
            assert each.owner == each.error_code + "!", "a row is one writer's, whole"


def test_processes_and_threads_lose_nothing(
    folder: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 8
    racers = [start(folder, name, rounds) for name in ("anna", "bert")]
    said = ""
    for racer in racers:
        out, err = racer.communicate(timeout=600)
        assert racer.returncode == 0, err[-4000:]
        said += out
    assert len(said.splitlines()) == 4 * 4 * rounds
    is_whole(folder, said)
    look = open_folder(folder)
    assert len(look.keysets()) == 1 + 4 * rounds + rounds
    assert len(look.budget_events()) == 1 + 4 * rounds
    assert all(each.error_code for each in look.runs() if each.run_id != "first")
    agree(by_spark(spark, folder, monkeypatch), look)
    # Under everything else, the folder has grown by whole files alone.
    assert not [path for path in folder.rglob("*") if "#" in path.name]


def test_who_is_killed_leaves_nothing_half_written(folder: Path) -> None:
    said = ""
    for attempt in range(6):
        name = f"dying{attempt}"
        racer = start(folder, name, 1000)
        before = len(log_of(folder, "runs"))
        while len(log_of(folder, "runs")) < before + 3:
            assert racer.poll() is None
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.7))
        racer.send_signal(signal.SIGKILL)
        said += racer.communicate()[0]
    assert len(said.splitlines()) > 6
    is_whole(folder, said)
    assert merge_rows(str(folder), "runs", [run("after")], replace=False)
    assert open_folder(folder).run("after") is not None


def test_a_commit_stands_on_the_version_that_was_read(
    made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever another does between look and commit, nothing is put behind it."""
    place = str(folder)
    asked = _deltars_write._once

    def outrun(notes: tuple[int, str] | None = None) -> object:
        monkeypatch.setattr(_deltars_write, "_once", asked)
        merge_rows(place, "runs", [run("other")], replace=False)
        merge_rows(place, "budgets", [event(2, budget="other")], replace=False, notes=(2, LEDGER))
        return asked(notes)

    first = open_folder(folder).run("first")
    assert first is not None

    def insert() -> bool:
        return merge_rows(place, "runs", [run("late")], replace=False)

    def update() -> bool:
        return update_run(place, first, CHANGING, held_by=None)

    def spend() -> bool:
        return merge_rows(place, "budgets", [event(2)], replace=False, notes=(2, LEDGER))

    for name, step in (("runs", insert), ("runs", update), ("budgets", spend)):
        shutil.rmtree(folder)
        shutil.copytree(made, folder)
        before = len(log_of(folder, name))
        monkeypatch.setattr(_deltars_write, "_once", outrun)
        with pytest.raises(Outrun):
            step()
        assert len(log_of(folder, name)) == before + 1
    assert spend(), "the number is noted, so nothing is to be done"
    assert [each.budget for each in open_folder(folder).budget_events()] == ["clinic", "other"]


def test_spark_reads_it_from_a_checkpoint_too(
    folder: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = delta_catalog(spark, str(folder))
    canary = "canary-8d2e"
    for number in range(2, 14):
        begun = store.begin_run(run(f"run-{number}", policy=canary))
        store.update_run(begun, held_by=begun.owner)
        store.add_keysets([keyset(canary[:3], version=number, wrapped=canary)])
        store.add_budget_event(event(number))
    assert commits_by(folder, "budgets") == ["Apache-Spark"] + ["delta-rs"] * 13
    texts = [path.read_text() for name in TABLES for path in log_of(folder, name)]
    assert not any(canary in text for text in texts)
    for name in ("runs", "budgets", "keysets"):
        checkpoint = max((folder / name / "_delta_log").glob("*.checkpoint.parquet"))
        version = checkpoint.name.split(".")[0]
        # What a log that is cleaned up has no more.
        for path in (folder / name / "_delta_log").iterdir():
            if path.is_file() and path.name[0] != "_" and path.name.strip(".") < version:
                path.unlink()
        assert log_of(folder, name)[0].name == f"{version}.json"
    spark_s = by_spark(spark, folder, monkeypatch)
    agree(spark_s, store)
    agree(store, open_folder(folder))
    is_as_documented(DeltaTable.forPath(spark, str(folder / "keysets")))
    assert "deletionVector" not in "".join(texts)

    # The number of the last event, which each writer must find that another noted.
    budgets = str(folder / "budgets")
    assert highest_noted(spark, budgets, LEDGER) == 13
    assert spark_s.add_budget_event(event(14)).seq == 14
    before = len(log_of(folder, "budgets"))
    assert merge_rows(str(folder), "budgets", [event(14)], replace=False, notes=(14, LEDGER))
    assert len(log_of(folder, "budgets")) == before
    spark.sql(f"RESTORE delta.`{budgets}` TO VERSION AS OF 12")
    assert len(store.budget_events()) == 12
    with pytest.raises(CatalogError, match="have lost event 14: the table was put back"):
        store.add_budget_event(event(14))


def test_what_is_sparks_to_write(
    folder: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = str(folder)
    assert all(is_written_here(place, name) for name in TABLES)
    assert not is_written_here(str(tmp_path / "nothing"), "runs")
    assert not (tmp_path / "nothing").exists()
    assert not is_written_here("s3://bucket/catalog", "runs")
    # Where delta-rs would write to another folder, by whatever name it is reached.
    odd = Path(shutil.copytree(folder, tmp_path / "a%20b"))
    (tmp_path / "link").symlink_to(odd)
    assert not is_written_here(str(odd), "runs")
    assert not is_written_here(str(tmp_path / "link"), "runs")
    assert open_folder(tmp_path / "link").run("first")
    assert not (tmp_path / "a b").exists()

    def alter(name: str, how: str) -> None:
        spark.sql(f"ALTER TABLE delta.`{folder / name}` {how}")

    alter("keysets", "ADD COLUMNS (later STRING)")
    assert is_written_here(place, "keysets"), "a later version's column stays empty"
    alter("keysets", "ADD CONSTRAINT c CHECK (version > -1)")
    alter("columns", "SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    alter("budgets", "SET TBLPROPERTIES ('delta.appendOnly' = 'true')")
    earlier = spark.read.format("delta").load(str(folder / "runs")).drop("as_of")
    options = {"overwriteSchema": "true"}
    earlier.write.format("delta").mode("overwrite").options(**options).save(str(folder / "runs"))
    assert not any(is_written_here(place, name) for name in TABLES)

    store = delta_catalog(spark, place)
    store.add_keysets([keyset("new")])
    store.add_columns([column(run("x"), "x")])
    store.begin_run(run("new", as_of="2026-11-23"))
    for name in ("keysets", "columns", "runs"):
        assert commits_by(folder, name)[-1] == "Apache-Spark"
    assert is_written_here(place, "runs"), "it has its column now"
    agree(by_spark(spark, folder, monkeypatch), open_folder(folder))


def test_a_file_system_without_hard_links_is_sparks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    _deltars_write._knows_links.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr("privpipe.catalog._deltars_write.os.link", refused)
        assert not merge_rows(str(folder), "runs", [run("a")], replace=False)
        assert len(log_of(folder, "runs")) == 2
    _deltars_write._knows_links.cache_clear()
    assert merge_rows(str(folder), "runs", [run("a")], replace=False)
    assert not list(folder.rglob(".privpipe-*"))


def test_many_small_files_become_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_deltars_write, "_MANY", 3)
    for number in range(5):
        assert merge_rows(str(folder), "runs", [run(str(number))], replace=False)
    files = {path.name for path in (folder / "runs").glob("*.parquet")}
    added: set[str] = set()
    removed: set[str] = set()
    for path in log_of(folder, "runs"):
        for action in map(json.loads, path.read_text().splitlines()):
            added |= {action["add"]["path"]} if "add" in action else set()
            removed |= {action["remove"]["path"]} if "remove" in action else set()
    assert len(added - removed) <= 3
    assert added <= files, "who reads an older version finds its files"
    assert len(open_folder(folder).runs()) == 6

    def failing(_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(_deltars_write, "_tidy", failing)
    assert merge_rows(str(folder), "runs", [run("x")], replace=False), "it stands"
    assert open_folder(folder).run("x")


def refusal(folder: Path, record: RunRecord) -> str:
    """What the writing of the record was refused with, all of it; empty where it was not."""
    try:
        merge_rows(str(folder), "runs", [record], replace=False)
    except EngineError as error:
        return f"{error!r} {error} {error.__cause__!r}"
    return ""


def test_a_disk_that_is_full_or_read_only(made: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "8m") as disk:
        folder = Path(shutil.copytree(made, tmp_path / "small" / "catalog"))
        secret = "canary-77aa"
        # Not a byte; and room for some of the files, not for all.
        for room in (0, 4096, 8192, 12288):
            disk.fill()
            with (disk.place / "ballast").open("r+b") as ballast:
                ballast.truncate(max(0, (disk.place / "ballast").stat().st_size - room))
            before = open_folder(folder).runs()
            said = refusal(folder, run(f"at-{room}", policy=secret))
            written = len(open_folder(folder).runs()) - len(before)
            assert (written, "the disk is full" in said) in {(0, True), (1, False)}
            assert room or not written
            assert secret not in said
            disk.free()
        assert merge_rows(str(folder), "runs", [run("freed")], replace=False)

        disk.remount("ro")
        with pytest.raises(CatalogAccess, match="may not write there") as caught:
            merge_rows(str(folder), "runs", [run("late", policy=secret)], replace=False)
        assert caught.value.where == str(folder / "runs")
        assert secret not in repr(caught.value)
        disk.remount("rw")
        assert open_folder(folder).run("late") is None
        assert merge_rows(str(folder), "runs", [run("late")], replace=False)
