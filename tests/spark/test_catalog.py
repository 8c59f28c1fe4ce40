"""The Delta store keeps the laws of every store, in a folder and in a schema of Spark's."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from delta import DeltaTable
from delta.exceptions import ConcurrentAppendException
from pyspark.sql import SparkSession

from privpipe.catalog import TABLES, Catalog, RunRecord
from privpipe.errors import ConfigError, TryAgain, UsageError
from privpipe.spark._catalog import delta_catalog
from privpipe.spark._catalog_tables import CatalogTable
from privpipe.spark._setting import setting
from privpipe.spark._transaction import TRANSACTION
from tests.catalog import _laws as laws
from tests.catalog._facts import column, fresh, keyset, run

# What Spark writes, in its two forms: these differ in how a table is made and opened; so of each,
# one law a statement.
BY_SPARK = [
    laws.the_first_keyset_of_a_name_wins,
    laws.a_run_changes_for_its_owner_alone,
    laws.a_later_attempt_replaces_its_columns,
    laws.threads_that_race_agree,
    laws.threads_that_race_for_a_seq_agree,
]


@pytest.fixture(scope="module")
def folder(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """One catalog for all laws, so that its tables are made once."""
    return delta_catalog(spark, str(tmp_path_factory.mktemp("laws") / "a cata'log ü"))


@pytest.fixture(scope="module")
def odd(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Likewise, in a folder that Spark alone writes."""
    return delta_catalog(spark, str(tmp_path_factory.mktemp("laws") / "a cata'log%20"))


@pytest.fixture(scope="module")
def schema(spark: SparkSession) -> Catalog:
    """Likewise, in a schema."""
    return delta_catalog(spark, "schema:privpipe_laws")


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_in_a_folder(law: laws.Law, folder: Catalog) -> None:
    law(folder)


@pytest.mark.parametrize("law", BY_SPARK, ids=lambda law: law.__name__)
def test_in_an_odd_folder(law: laws.Law, odd: Catalog) -> None:
    law(odd)


@pytest.mark.parametrize("law", BY_SPARK, ids=lambda law: law.__name__)
def test_in_a_schema(law: laws.Law, schema: Catalog) -> None:
    law(schema)


def test_a_catalog_begins_empty_and_reading_makes_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    laws.is_empty(delta_catalog(spark, str(tmp_path / "catalog")))
    assert not (tmp_path / "catalog").exists()
    laws.is_empty(delta_catalog(spark, "schema:privpipe_never_made"))
    assert not spark.catalog.databaseExists("privpipe_never_made")


@pytest.mark.parametrize("location", ["schema:", "schema:a b", "schema:a.`b`", "schema:a..b"])
def test_a_schema_has_a_plain_name(spark: SparkSession, location: str) -> None:
    with pytest.raises(ConfigError, match="names no schema"):
        delta_catalog(spark, location)


def test_tables_and_columns_say_what_they_hold(
    spark: SparkSession, folder: Catalog, schema: Catalog
) -> None:
    for store in (folder, schema):
        store.add_keysets([keyset(fresh("table:t"))])
    by_path = DeltaTable.forPath(spark, f"{folder.location}/keysets")
    for table in (by_path, DeltaTable.forName(spark, "privpipe_laws.keysets")):
        is_as_documented(table)


def is_as_documented(table: DeltaTable) -> None:
    fields = table.toDF().schema.fields
    assert [
        (f.name, f.dataType.simpleString(), f.nullable, f.metadata["comment"]) for f in fields
    ] == [(each.name, each.kind, each.nullable, each.comment) for each in TABLES["keysets"].columns]
    detail = table.detail().select("description", "properties").collect()[0]
    assert detail["description"] == TABLES["keysets"].comment
    assert detail["properties"]["delta.enableDeletionVectors"] == "false"


def table_of(spark: SparkSession, folder: Path, name: str) -> CatalogTable:
    return CatalogTable(spark=spark, table=TABLES[name], place=str(folder / name), schema=None)


def test_keysets_and_policies_stand_in_no_plan_and_no_log(
    spark: SparkSession, tmp_path: Path
) -> None:
    canary = "canary-4f1c"
    record = run(fresh("run"), policy=canary)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        for name, fact in (("keysets", keyset("s", wrapped=canary)), ("runs", record)):
            table_of(spark, tmp_path, name)._source([fact]).explain(extended=True)
    assert "ExistingRDD" in shown.getvalue()
    assert canary not in shown.getvalue()

    store = delta_catalog(spark, str(tmp_path))
    store.add_keysets([keyset("s", wrapped=canary)])
    store.begin_run(record)
    store.add_columns([column(record, "a")])
    table_of(spark, tmp_path / "by Spark", "runs").insert([record])
    logs = [path.read_text() for path in tmp_path.rglob("_delta_log/*.json")]
    assert len(logs) == 8
    assert not any(canary in text for text in logs)


def test_many_small_files_of_sparks_become_one(spark: SparkSession, tmp_path: Path) -> None:
    table = table_of(spark, tmp_path, "runs")
    threshold = "spark.databricks.delta.autoCompact.minNumFiles"
    spark.conf.set(threshold, "3")
    try:
        for number in range(4):
            table.insert([run(str(number))])
    finally:
        spark.conf.unset(threshold)
    detail = DeltaTable.forPath(spark, str(tmp_path / "runs")).detail().collect()[0]
    assert detail["numFiles"] < 3
    assert len(table.read(RunRecord)) == 4


def test_a_transaction_of_the_session_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    """Under it, Delta would skip all that comes second: a keyset that is not kept."""
    store = delta_catalog(spark, str(tmp_path))
    with setting(spark, TRANSACTION[0], "theirs"), setting(spark, TRANSACTION[1], "5"):
        for record in ("a", "b"):
            with pytest.raises(UsageError, match="transaction"):
                store.begin_run(run(record))
        laws.is_empty(store)
    store.begin_run(run("a"))
    with setting(spark, TRANSACTION[0], "theirs"), setting(spark, TRANSACTION[1], "5"):
        for record in ("b", "c"):
            assert store.begin_run(run(record)).run_id == record, "Spark has no part in it"


def test_a_writer_who_was_outrun_tries_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("privpipe.spark._catalog_tables.sleep", waits.append)
    table = table_of(spark, tmp_path, "runs")
    table.insert([run("a")])
    outrun = 3
    waits.clear()

    def step(_: DeltaTable) -> None:
        if len(waits) < outrun:
            raise ConcurrentAppendException("[DELTA_CONCURRENT_APPEND] another was first")

    table._write(step)
    assert len(waits) == outrun
    assert len(set(waits)) == outrun, "the waits differ"

    outrun = 10**6
    waits.clear()
    with pytest.raises(TryAgain, match="wrote the catalog's runs first") as caught:
        table._write(step)
    assert caught.value.exit_code == 75
    assert max(waits) < 10
