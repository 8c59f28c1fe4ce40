"""The same data by every name that somebody may come to them by: charged to one budget."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog.ledger import open_budget, reserve
from privpipe.dp import Budget
from privpipe.errors import BudgetConflict, BudgetError
from privpipe.spark._places_read import one_name, places_read
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
    assert places_read(work, named, "privpipe_places", 3) == {"privpipe_places": 3}
    at = work.keep(location)
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
