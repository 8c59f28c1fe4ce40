"""Two processes, each with a Spark of its own, make one vault and fill it; one of them dies."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from privpipe.spark._vault import tokens_for
from privpipe.spark._vault_table import entries, reservation
from privpipe.testing import Canaries
from tests.spark._racers import race
from tests.spark._vault import FINGERPRINT_KEY, LINK_KEY, VALUE_KEY, work
from tests.spark._vault_driver import TOKENS

ROUNDS = 2
SECRET = "Wojciechowska-5150-"


def write_values(path: Path, first: int, behind: int) -> None:
    values = [None, *(f"{SECRET}{number}" for number in range(first, behind))]
    pq.write_table(pa.table({"name": pa.array(values, pa.string())}), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the race leaves behind: 150 values in each round, 50 of them both racers', and 10 of
    one that died behind its commit."""
    folder = tmp_path_factory.mktemp("race")
    for number in range(ROUNDS):
        write_values(folder / f"values-anna-{number}.parquet", 150 * number, 150 * number + 100)
        write_values(
            folder / f"values-bert-{number}.parquet", 150 * number + 50, 150 * number + 150
        )
    write_values(folder / "values-last.parquet", 150 * ROUNDS, 150 * ROUNDS + 10)
    for name, said in race(folder, "tests.spark._vault_driver", str(ROUNDS)).items():
        (folder / f"said-{name}").write_text(said)
    return folder


def test_one_token_a_value(folder: Path, spark: SparkSession) -> None:
    path = str(folder / "vault")
    anna, bert = (
        json.loads((folder / f"found-{name}.json").read_text()) for name in ("anna", "bert")
    )
    assert len(anna) == len(bert) == 100 * ROUNDS
    assert len(anna.keys() & bert.keys()) == len(anna.items() & bert.items()) == 50 * ROUNDS
    rows = entries(spark, path).select("fingerprint", "token", "number").collect()
    stored = {row["fingerprint"].hex(): row["token"] for row in rows}
    assert len(rows) == len(stored) == len(set(stored.values())) == 150 * ROUNDS + 10
    assert anna.items() | bert.items() <= stored.items()
    assert sorted(row["number"] for row in rows) == list(range(1, 150 * ROUNDS + 11))
    assert reservation(spark, path).number == 150 * ROUNDS + 10

    given = anna.keys() | bert.keys()
    dead = {key: token for key, token in stored.items() if key not in given}
    last = spark.read.parquet(str(folder / "values-last.parquet"))
    again = tokens_for(path, work(TOKENS), last).collect()
    assert {row["fingerprint"].hex(): row["token"] for row in again} == dead
    assert entries(spark, path).count() == 150 * ROUNDS + 10


def test_no_value_in_what_they_left(folder: Path) -> None:
    birds = Canaries(
        values={"stem": SECRET},
        keys={"fingerprint": FINGERPRINT_KEY, "value": VALUE_KEY, "link": LINK_KEY},
    )
    places = [folder / "vault", *folder.glob("events-*"), *folder.glob("said-*")]
    places += [place for place in folder.glob("*-local") if place.exists()]
    assert len(places) >= 5
    assert birds.in_paths(*places) == ()
    assert birds.in_paths(folder / "values-last.parquet"), "the search finds what is there"
