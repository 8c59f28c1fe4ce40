"""The same data by every name that somebody may come to them by: charged to one budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog import Catalog
from privpipe.catalog.ledger import Reservation, check_reservation, open_budget, reserve
from privpipe.dp import Budget
from privpipe.errors import BudgetConflict, BudgetError
from privpipe.policy import parse_policy
from privpipe.spark import protect
from privpipe.spark._files_read import tables_read
from privpipe.spark._places_read import one_name, places_read, places_told
from tests.catalog._budgets import wanted
from tests.spark._project import make_home, policy_text

POLICY = policy_text("clinic.visits", {"id": "keep", "note": "encrypt"})


def test_one_budget_by_whatever_name(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a pro%20ject"
    home = make_home(folder, spark)
    monkeypatch.chdir(folder)
    work = home._work
    (folder / "visits.csv").write_text("id,note\n1,a\n2,b\n")
    (folder / "visits.yaml").write_text(POLICY)
    home.protect(folder / "visits.yaml", "visits.csv", "warehouse/visits", run_id="r")
    frame = spark.range(4).selectExpr("id", "id % 2 AS half")
    frame.write.format("delta").partitionBy("half").save(str(folder / "plain"))
    frame.write.format("delta").mode("overwrite").saveAsTable("privpipe_places")
    (folder / "link").symlink_to("plain")

    protected = spark.read.format("delta").load(str(folder / "warehouse/visits"))
    plain = spark.read.format("delta").load(str(folder / "plain"))
    named = spark.table("privpipe_places")
    named.createOrReplaceTempView("privpipe_places_view")
    location = spark.sql("DESCRIBE DETAIL privpipe_places").collect()[0]["location"]

    assert places_read(work, protected, "warehouse/visits", 0) == {"./warehouse/visits": 0}
    assert places_read(work, plain, f"file:{folder}/plain") == {"./plain": None}
    assert places_read(work, plain, "link", 0) == {"./plain": 0}
    assert places_read(work, plain.where("half = 1").groupBy().count()) == {"./plain": None}
    at = work.keep(location)
    assert places_read(work, named, "privpipe_places", 3) == {"privpipe_places": 3, at: 3}
    assert places_read(work, spark.table("privpipe_places_view")) == {at: None}
    joined = plain.join(named, "id")
    assert places_read(work, joined, "plain") == {"./plain": None, at: None}
    with pytest.raises(BudgetError, match="reads no files"):
        places_read(work, spark.range(3).toDF("id"))

    # One of each: the source itself, what was made of it, a table, its name, its place, a view.
    same = one_name(work)
    assert same("privpipe_places") == same(at) == at
    assert same("no.such_table") == "no.such_table"
    csv = spark.read.csv(str(folder / "visits.csv"), header=True)
    charged = {"visits": protected, "places": named}
    others = {
        "visits": [places_read(work, csv), places_read(work, csv, "visits.csv")],
        "places": [
            places_read(work, named, "PRIVPIPE_PLACES"),
            places_read(work, spark.table("privpipe_places_view"), "privpipe_places_view"),
            places_read(work, joined),
            places_read(work, named, str(location)),
        ],
    }
    open_budget(home.catalog, "other", Budget.of_epsilon(1))
    for budget, df in charged.items():
        open_budget(home.catalog, budget, Budget.of_epsilon(1))
        source = "warehouse/visits" if budget == "visits" else "privpipe_places"
        reads = places_read(work, df, source, 0)
        held = reserve(home.catalog, wanted(budget, budget=budget, sources=reads), same=same)
        assert held.release.sources == reads
        for sources in others[budget]:
            request = wanted("x", budget="other", sources=sources)
            with pytest.raises(BudgetConflict, match=f"charged to budget {budget}"):
                reserve(home.catalog, request, same=same)
    free = wanted("x", budget="other", sources=places_read(work, plain))
    assert reserve(home.catalog, free, same=same).left.amount == 0
    spark.sql("DROP TABLE privpipe_places")


def write_csv(folder: Path) -> None:
    """Many files in one folder, and one in a folder whose name is a value."""
    files = [folder / "crowd" / f"{number}.csv" for number in range(101)]
    for file in (*files, folder / "lone" / "ssn=078051120" / "x.csv"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1,a\n")


def test_what_a_table_was_made_of_is_known_when_the_names_are_gone(
    spark: SparkSession, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    home = make_home(folder, spark)
    work, policy = home._work, parse_policy(POLICY)
    people = spark.range(4).selectExpr("id", "string(id) AS note")
    place = str(folder / "people")
    people.write.format("delta").save(place)
    people.write.parquet(str(folder / "other"))
    write_csv(folder)

    stored = spark.read.format("delta").load(place)
    stored.createOrReplaceTempView("p_all")
    spark.read.parquet(str(folder / "other")).createOrReplaceTempView("p_other")
    views = {
        "joined": "SELECT p_all.* FROM p_all JOIN p_other USING (id)",
        "nested": "SELECT * FROM p_other WHERE id <= (SELECT max(id) FROM p_all)",
        "one": "SELECT * FROM p_all",
    }
    for name, query in views.items():
        spark.sql(f"CREATE OR REPLACE TEMP VIEW p_{name} AS {query}")
        home.protect(policy, f"p_{name}", folder / "made" / name)
    spark.sql(f"CREATE TABLE p_named USING delta LOCATION '{place}'")
    home.protect(policy, "p_named", folder / "made" / "named")
    spark.sql("CACHE TABLE p_one")
    home.protect(policy, "p_one", folder / "made" / "cached")
    spark.sql("UNCACHE TABLE p_one")
    spark.sql("DROP TABLE p_named")
    frame = stored.where("id > 0").cache()
    assert frame.count() == 3
    assert not frame.select("id", "note").inputFiles()
    home.protect(policy, frame.select("id", "note"), folder / "made" / "frame")
    bad = "{protect: tokenize, alphabet: digits, on_invalid: quarantine}"
    apart = parse_policy(policy_text("clinic.apart", {"id": "keep", "note": bad}))
    assert home.protect(apart, place, folder / "made" / "apart").quarantined == 4
    plan = home.plan(policy, stored)
    home.release(protect(stored, plan), folder / "made" / "released", plan=plan)
    frame.unpersist()
    for name in ("p_all", "p_other", *(f"p_{each}" for each in views)):
        spark.catalog.dropTempView(name)

    # Nothing that is read is no reason to stop, and no value is kept for the folder it names.
    home.protect(policy, people, folder / "made" / "rows")
    lone = spark.read.csv(str(folder / "lone" / "*"), schema="id bigint, note string")
    home.protect(policy, lone, folder / "made" / "lone")
    assert places_told(work, spark.readStream.format("delta").load(place), "DataFrame") == {}
    crowd = spark.read.csv(str(folder / "crowd" / "*.csv"), schema=lone.schema)
    assert places_read(work, crowd) == {"./crowd": None}

    runs = {Path(run.target).name: run for run in home.catalog.runs()}
    reads = {name: set(json.loads(run.reads or "{}")) for name, run in runs.items()}
    assert reads == {
        "joined": {"p_joined", "./people", "./other"},
        "nested": {"p_nested", "./people", "./other"},
        "one": {"p_one", "./people"},
        "named": {"p_named", "./people"},
        "cached": {"p_one", "./people"},
        "frame": {"./people"},
        "apart": {"./people"},
        "apart_quarantine": {"./people"},
        "released": {"./people"},
        "rows": set(),
        "lone": {"./lone"},
    }
    assert runs["rows"].reads is None
    assert "078051120" not in "".join(str(run) for run in runs.values())

    for budget in ("first", "second"):
        open_budget(home.catalog, budget, Budget.of_epsilon(1))
    charged = wanted("first", budget="first", sources=places_read(work, stored, place))
    reserve(home.catalog, charged, same=one_name(work))
    made = {
        name
        for name in reads
        if is_refused(home.catalog, wanted(name, budget="second", sources={f"./made/{name}": 0}))
    }
    assert made == set(reads) - {"rows", "lone"}


def test_clones_and_changes_are_of_the_table_that_has_their_rows(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Though a clone's name begins as the table's, and reads as a URL; and though a clone has by
    now files of its own alone."""
    table, clone = tmp_path / "t", tmp_path / "t#1"
    feed = spark.range(40).write.format("delta").option("delta.enableChangeDataFeed", "true")
    feed.save(str(table))
    spark.sql(f"CREATE TABLE delta.`{clone}` SHALLOW CLONE delta.`{table}`")

    def read(query: str) -> set[str]:
        places = tables_read(spark.sql(query))
        return {place.removeprefix("file:").removeprefix(f"{tmp_path}/") for place in places}

    assert read(f"SELECT * FROM delta.`{clone}`") == {"t", "t#1"}
    assert read(f"SELECT id FROM table_changes_by_path('{table}', 0)") == {"t"}
    spark.sql(f"INSERT OVERWRITE delta.`{clone}` SELECT id + 1 FROM delta.`{clone}`")
    assert read(f"SELECT * FROM delta.`{clone}`") == {"t#1"}
    for first in (0, 1):
        changes = f"SELECT id FROM table_changes_by_path('{clone}', {first})"
        assert read(changes) == {"t", "t#1"}, "what was there before"
    spark.sql(f"CREATE OR REPLACE TEMP VIEW p_changes AS {changes}")
    home = make_home(tmp_path / "project", spark)
    for budget in ("first", "second"):
        open_budget(home.catalog, budget, Budget.of_epsilon(1))
    reserve(home.catalog, wanted("r", budget="first", sources={str(table): 0}))
    reads = places_read(home._work, spark.table("p_changes"), "p_changes")
    assert is_refused(home.catalog, wanted("x", budget="second", sources=reads))
    spark.catalog.dropTempView("p_changes")


def is_refused(catalog: Catalog, release: Reservation) -> bool:
    try:
        check_reservation(catalog, release)
    except BudgetConflict:
        return True
    return False
