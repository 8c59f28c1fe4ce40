"""The SQL of `docs/catalog.md` gives what `current_columns` gives."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.catalog import Catalog, current_columns
from privpipe.spark._catalog import delta_catalog
from tests.catalog._facts import column, committed, run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalog.md"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def store(spark: SparkSession) -> Catalog:
    """Targets whose last run is the highest, was concurrent, was made anew, or never was."""
    store = delta_catalog(spark, "schema:privpipe_view")
    runs = [
        committed("a", 0, 0 * HOUR, target="./plain"),
        committed("b", 1, HOUR, target="./plain"),
        run("c", target="./plain"),
        committed("d", 6, 0 * HOUR, target="./together"),
        committed("e", 5, HOUR / 120, target="./together"),
        committed("f", 7, 0 * HOUR, target="./anew"),
        committed("g", 0, HOUR, target="./anew"),
        run("h", target="./never"),
    ]
    for each in runs:
        store.begin_run(each)
    store.add_columns([column(each, path) for each in runs for path in ("y", "x", each.run_id)])
    return store


def test_the_page_has_the_current_view(spark: SparkSession, store: Catalog) -> None:
    sql = PAGE.read_text("utf-8").split("```sql\n")[1].split("```")[0]
    for name in ("runs", "columns"):
        sql = sql.replace(f"FROM {name}\n", f"FROM privpipe_view.{name}\n")
    sql = sql.replace("FROM columns JOIN", "FROM privpipe_view.columns JOIN")
    found = [(row["target"], row["path"], row["run_id"]) for row in spark.sql(sql).collect()]
    assert found == [
        (fact.target, fact.path, fact.run_id)
        for target in ("./anew", "./plain", "./together")
        for fact in current_columns(store, target)
    ]
    assert {run_id for _, _, run_id in found} == {"b", "d", "g"}
