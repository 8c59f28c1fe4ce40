"""Vaulted columns through a project: tokens in the table, values back, and what hangs on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.errors import AppendMismatch, DecryptionError, from_text
from privpipe.spark import Home
from tests.spark._project import make_home, policy_text

COLUMNS = {
    "id": "keep",
    "person": "{protect: vault, vault: people}",
    "number": "{protect: vault, vault: numbers, format: 'digits:9'}",
    "note": "{protect: encrypt, bind: [person]}",
    "seen": "{protect: shift, days: 30, subject: person}",
}
POLICY = parse_policy(policy_text("clinic.visits", COLUMNS))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("home") / "home", spark)


@pytest.fixture(scope="module")
def source(spark: SparkSession) -> DataFrame:
    return spark.sql(
        "select id, if(id = 9, null, concat('person ', id % 3)) as person, id % 4 as number, "
        "if(id = 9, null, concat('note ', id)) as note, if(id = 9, null, date'2026-01-01') as seen "
        "from range(10)"
    )


@pytest.fixture(scope="module")
def target(home: Home, source: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("table") / "visits")
    home.protect(POLICY, source, place)
    return place


def rows(df: DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return sorted((tuple(row) for row in df.select("id", *columns).collect()), key=str)


def test_values_come_back_with_what_is_bound_to_their_tokens(
    home: Home, source: DataFrame, target: str
) -> None:
    stored = home.spark.read.format("delta").load(target)
    assert stored.select("person").distinct().count() == 4
    assert all("person " not in str(token) for (token,) in stored.select("person").collect())
    columns = ["person", "number", "note"]
    for on_error in ("fail", "null"):
        opened = home.reveal(target, columns, "test", on_error)
        assert rows(opened, *columns) == rows(source, *columns)
        assert opened.schema["number"].dataType == source.schema["number"].dataType
    # One subject's dates move alike, and what is bound to a token opens without the vault.
    moved = stored.groupBy("person").agg(F.countDistinct("seen").alias("days"))
    assert moved.where("person is not null and days <> 1").isEmpty()
    assert rows(home.reveal(target, ["note"], "test"), "note") == rows(source, "note")


@pytest.mark.parametrize("on_error", ["fail", "null", "quarantine"])
def test_into_a_target(
    home: Home, source: DataFrame, target: str, tmp_path: Path, on_error: str
) -> None:
    place = str(tmp_path / "clear")
    done = home.reveal_to(target, ["person", "note"], "test", place, on_error)  # type: ignore[arg-type]
    assert (done.rows, done.damaged) == (10, 0)
    clear = home.spark.read.format("delta").load(place)
    assert clear.columns == ["id", "person", "note", "seen"]
    assert rows(clear, "person", "note") == rows(source, "person", "note")
    alone = home.reveal_to(target, ["person"], "test", str(tmp_path / "alone"), on_error)  # type: ignore[arg-type]
    assert (alone.rows, alone.damaged) == (10, 0)


def test_an_append_gives_the_same_tokens_and_another_format_is_refused(
    home: Home, source: DataFrame, tmp_path: Path
) -> None:
    place = str(tmp_path / "twice")
    home.protect(POLICY, source, place)
    home.protect(POLICY, source, place, mode="append")
    stored = home.spark.read.format("delta").load(place)
    assert stored.count() == 20
    assert stored.select("person").distinct().count() == 4
    other = {**COLUMNS, "number": "{protect: vault, vault: people, format: 'digits:9'}"}
    with pytest.raises(AppendMismatch, match="vault people"):
        home.protect(
            parse_policy(policy_text("clinic.other", other)), source, str(tmp_path / "other")
        )


def test_a_token_that_the_vault_does_not_know(home: Home, target: str, tmp_path: Path) -> None:
    strange = str(tmp_path / "strange")
    one = home.spark.sql(
        "select 1L as id, 'person 1' as person, 1L as number, 'n' as note, date'2026-01-01' as seen"
    )
    home.protect(POLICY, one, strange)
    home.spark.sql(f"update delta.`{strange}` set number = '000000000'")
    with pytest.raises(PySparkException) as caught:
        home.reveal(strange, ["number"], "test").collect()
    assert isinstance(from_text(str(caught.value)), DecryptionError)
    assert home.reveal(strange, ["number"], "test", "null").collect()[0]["number"] is None
