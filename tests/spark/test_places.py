"""Where privpipe writes and what stands there: never over its own catalog, never half."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.errors import AppendMismatch, ClearHistory, SchemaError, TargetError
from privpipe.spark import Home
from tests.spark._project import make_home, policy_text

RULES = {"id": "keep", "name": "encrypt"}
CARDS = {"id": "keep", "card.number": "encrypt", "card.bank": "keep"}
# What a CSV writer or reader may trim, double or take apart.
NAMES = ("  Bob ", "x\\", 'a"b', "c,\\", "", "two\r\nlines", "\t", "'", '"', '\\"')


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("places"), spark)


def test_no_target_in_or_around_the_catalog(home: Home) -> None:
    people = home.spark.sql("select 1 as id, 'n' as name")
    policy = parse_policy(policy_text("places.people", RULES))
    home.protect(policy, people, f"{home.project.path.parent}/people")
    keysets, runs = home.catalog.keysets(), home.catalog.runs()
    for place in ("", "/keysets", "/keysets/inside", "/.."):
        target = home.project.catalog + place
        with pytest.raises(TargetError, match="privpipe's catalog"):
            home.protect(policy, people, target, mode="overwrite")
        with pytest.raises(TargetError, match="privpipe's catalog"):
            home.reveal_to(f"{home.project.path.parent}/people", ["name"], "test", target)
    assert (home.catalog.keysets(), home.catalog.runs()) == (keysets, runs)


@pytest.mark.parametrize("target", ["my table", "a..b", "people;", "nowhere.people"])
def test_a_target_that_no_table_can_have(home: Home, target: str) -> None:
    people = home.spark.sql("select 1 as id, 'n' as name")
    policy = parse_policy(policy_text("places.nowhere", RULES))
    keysets, runs = home.catalog.keysets(), home.catalog.runs()
    with pytest.raises(TargetError, match=r"\./"):
        home.protect(policy, people, target)
    assert (home.catalog.keysets(), home.catalog.runs()) == (keysets, runs)


def test_a_name_that_is_forgotten_with_the_session(home: Home) -> None:
    people = home.spark.sql("select 1 as id, 'n' as name")
    policy = parse_policy(policy_text("places.forgotten", RULES))
    own = Home(home.project, home.spark, owns_session=True)  # as the command line has it
    runs = home.catalog.runs()
    with pytest.raises(TargetError, match=r"forget this name.*\n.*\./people"):
        own.protect(policy, people, "people")
    assert home.catalog.runs() == runs


def test_csv_holds_the_very_values(home: Home, tmp_path: Path) -> None:
    people = home.spark.createDataFrame(list(enumerate(NAMES)), "id int, name string")
    table, out = str(tmp_path / "t"), tmp_path / "out.csv"
    home.protect(parse_policy(policy_text("places.csv", RULES)), people, table)
    assert home.reveal_to(table, ["name"], "test", out).rows == len(NAMES)
    read = []
    for part in out.glob("*.csv"):
        with part.open(newline="", encoding="utf-8") as file:
            read += [(int(row["id"]), row["name"]) for row in csv.DictReader(file)]
    assert sorted(read) == list(enumerate(NAMES))


def test_append_compares_what_is_kept_inside_a_struct(home: Home, tmp_path: Path) -> None:
    policy = parse_policy(policy_text("places.cards", CARDS))
    cards = home.spark.sql("select 1 as id, named_struct('number', 'n', 'bank', 'b') as card")
    target = str(tmp_path / "t")
    home.protect(policy, cards, target)
    other = cards.withColumn("card", F.col("card").withField("bank", F.lit(5)))
    with pytest.raises(AppendMismatch, match=r"card: .*bank:string> there, .*bank:int> here"):
        home.protect(policy, other, target, mode="append")
    home.protect(policy, cards, target, mode="append")


def test_the_history_of_nested_and_checkpointed_columns(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "w [1]{x}" / "t"  # a path that is no pattern
    cards = home.spark.sql("select 1 as id, named_struct('number', 'n', 'bank', 'b') as card")
    cards.write.format("delta").save(str(target))
    policy = parse_policy(
        policy_text("places.past", {"id": "keep", "card.number": "keep", "card.bank": "drop"})
    )
    with pytest.raises(ClearHistory, match=r"card\.bank"):
        home.protect(policy, cards, target, mode="overwrite")
    # Someone takes the column away; a checkpoint then outlives the commits that tell of it.
    jvm = home.spark._jvm
    assert jvm is not None
    log = jvm.org.apache.spark.sql.delta.DeltaLog
    log.forTable(home.spark._jsparkSession, str(target)).checkpoint()
    home.spark.range(1).write.format("delta").mode("overwrite").option(
        "overwriteSchema", "true"
    ).save(str(target))
    (target / "_delta_log" / "00000000000000000000.json").unlink()
    with pytest.raises(ClearHistory, match=r"card\.bank"):
        home.protect(policy, cards, target, mode="overwrite")


def test_columns_named_as_privpipe_names_its_own(home: Home, tmp_path: Path) -> None:
    rules = {**RULES, "__privpipe_damaged": "keep", "_metadata": "keep"}
    people = home.spark.sql("select 1 as id, 'n' as name, 2 as __privpipe_damaged, 3 as _metadata")
    target = str(tmp_path / "t")
    home.protect(parse_policy(policy_text("places.names", rules)), people, target)
    assert home.verify(target).values == 1
    assert home.reveal(target, ["name"], "test").collect() == people.collect()
    with pytest.raises(SchemaError, match="privpipe's own"):
        home.reveal(target, ["name"], "test", on_error="null")
