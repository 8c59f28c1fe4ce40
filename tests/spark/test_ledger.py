"""The ledger on Delta: two processes and many threads on one table, a death, a table put back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog import Catalog, Record, open_folder
from privpipe.catalog.ledger import (
    attempts,
    open_budget,
    publish,
    reserve,
    standing,
    start_draw,
)
from privpipe.catalog.ledger._book import read_book
from privpipe.dp import Budget, total_budget
from privpipe.errors import CatalogError, DrawConflict
from privpipe.spark._catalog import delta_catalog
from privpipe.spark._catalog_tables import CatalogTable
from tests.catalog import _laws as laws
from tests.catalog._budgets import wanted
from tests.conftest import PROJECT
from tests.spark._ledger_driver import release
from tests.spark._racers import race


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the race leaves behind."""
    folder = tmp_path_factory.mktemp("race")
    race(folder, "tests.spark._ledger_driver")
    return folder


def is_sound(store: Catalog) -> None:
    """Every event in its place, and no budget overspent."""
    book = read_book(store.budget_events())
    for name, budget in book.budgets.items():
        assert budget.total.holds(total_budget(book.charges(name), "epsilon"))


def test_two_processes_never_overspend(folder: Path) -> None:
    store = open_folder(folder / "catalog")
    is_sound(store)
    found = {
        name: json.loads((folder / f"found-{name}.json").read_text()) for name in ("anna", "bert")
    }
    clinic = [found[name][f"clinic-{number}"] for name in found for number in range(2)]
    assert clinic.count("PP-BUD-01") == 1, "four releases, and room for three"
    assert len(set(clinic)) == 4, "each has a reservation of its own"
    now = standing(store, "clinic")
    assert now.left == Budget.of_epsilon("0.5")
    assert {each.uid for each in now.releases} == set(clinic) - {"PP-BUD-01"}
    assert all((each.state, each.target_version) == ("published", 7) for each in now.releases)

    shared = [found[name]["shared"] for name in found]
    drawn = [each.uid for each in attempts(store, "shared")]
    # Whoever comes later finds it drawn: when he would draw, or before he reserves. Then he is
    # charged for a draw of his own.
    assert {each for each in shared if len(each) == 36} == set(drawn)
    assert len(set(shared)) == 2
    assert {each for each in shared if len(each) != 36} <= {"PP-BUD-04"}

    data = [found[name]["data"] for name in found]
    others = [each for name in ("data-anna", "data-bert") for each in attempts(store, name)]
    assert [each.uid for each in others] == [each for each in data if len(each) == 36]
    assert "PP-BUD-03" in data
    assert len(others) == 1, "one has the data, and the other is told whose they are"


def test_who_died_behind_a_draw_is_charged_again(folder: Path, spark: SparkSession) -> None:
    store = delta_catalog(spark, str(folder / "catalog"))
    request = wanted("dies", budget="last", sources={"./last": 0})
    [dead] = attempts(store, "dies")
    assert dead.state == "drawn"
    with pytest.raises(DrawConflict):
        start_draw(store, dead.uid)
    again = reserve(store, request)
    assert again.release.uid != dead.uid
    assert again.orphans == (dead,)
    assert again.left == Budget.of_epsilon(0)
    is_sound(store)


def test_threads_and_a_table_that_was_put_back(spark: SparkSession, tmp_path: Path) -> None:
    store = delta_catalog(spark, str(tmp_path / "catalog"))
    open_budget(store, "clinic", Budget.of_epsilon("2.5"))
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda number: release(store, f"run-{number}"), range(3)))
    assert found.count("PP-BUD-01") == 1
    assert standing(store, "clinic").left == Budget.of_epsilon("0.5")
    is_sound(store)

    done = next(uid for uid in found if len(uid) == 36)
    publish(store, done, 3)
    place = f"delta.`{tmp_path}/catalog/budgets`"
    page = (PROJECT / "docs" / "catalog.md").read_text("utf-8")
    told = re.search(r"```sql\n(SELECT r\..*?)```", page, re.DOTALL)
    assert told is not None
    spark.table(place).createOrReplaceTempView("budgets")
    rows = spark.sql(told.group(1)).collect()
    spark.catalog.dropTempView("budgets")
    assert {(row["reservation"], row["amount"], row["target_version"]) for row in rows} == {
        (uid, "1", 3 if uid == done else None) for uid in found if len(uid) == 36
    }
    assert {row["sources"] for row in rows} == {'{"./visits": 3}'}

    before = spark.sql(f"DESCRIBE HISTORY {place} LIMIT 1").collect()[0]["version"]
    spark.sql(f"RESTORE {place} TO VERSION AS OF 1")
    assert len(store.budget_events()) == 1, "the budget looks as if nobody had spent of it"
    for step in (
        lambda: reserve(store, wanted("late")),
        lambda: open_budget(store, "b", Budget.of_epsilon(1)),
    ):
        with pytest.raises(CatalogError, match="have lost event 2: the table was put back"):
            step()
    spark.sql(f"RESTORE {place} TO VERSION AS OF {before}")
    assert standing(store, "clinic").left == Budget.of_epsilon("0.5")
    assert publish(store, done, 3).state == "published"
    assert open_budget(store, "b", Budget.of_epsilon(1)).name == "b"


def test_planted_an_append_instead_of_a_merge(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = delta_catalog(spark, str(tmp_path / "catalog"))

    def append(table: CatalogTable, records: Iterable[Record]) -> None:
        table._source(records).write.format("delta").mode("append").save(table.place)

    monkeypatch.setattr(CatalogTable, "insert", append)
    with pytest.raises(AssertionError):
        laws.the_first_event_of_a_seq_wins(store)
    with pytest.raises(CatalogError, match="not whole"):
        open_budget(store, "clinic", Budget.of_epsilon(1))
