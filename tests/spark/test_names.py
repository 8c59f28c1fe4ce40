"""Paths, URIs and names of Spark's catalog are told apart, and have one spelling each."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.spark._names import absolute_target, delta_table, is_path

PATHS = [
    "/data/people",
    "./people",
    "../people",
    ".",
    "warehouse/people",
    "people.csv",
    "db.people.PARQUET",
    "file:/data/people",
    "file:///data/people",
    "s3a://bucket/people",
    "abfss://box@host/people",
    "delta.`/data/people`",
    "/data/a`b",
]
NAMES = ["people", "clinic.people", "main.clinic.people", "`a/b`", "db.`x/y.csv`", "schema:x"]


@pytest.mark.parametrize("target", PATHS)
def test_paths(target: str) -> None:
    assert is_path(target)


@pytest.mark.parametrize("target", NAMES)
def test_names(target: str, tmp_path: Path) -> None:
    assert not is_path(target)
    assert absolute_target(f" {target} ", tmp_path) == target


def test_what_is_there_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people").mkdir()
    assert absolute_target("people", tmp_path) == str(tmp_path / "people")
    monkeypatch.chdir(tmp_path)
    assert is_path("people")
    assert not is_path("people2")


@pytest.mark.parametrize(
    ("target", "spelling"),
    [
        ("a/b/", "/base/a/b"),
        ("./a//b/../c", "/base/a/c"),
        ("../c", "/c"),
        (".", "/base"),
        ("/x/y/", "/x/y"),
        ("file:/x/y/", "/x/y"),
        ("file:///x/./a%20b", "/x/a%20b"),
        ("s3a://bucket/people/", "s3a://bucket/people"),
        ("delta.`/x/y`", "/x/y"),
        ("Delta.`a/b`", "/base/a/b"),
        ("people.csv", "/base/people.csv"),
    ],
)
def test_one_spelling(target: str, spelling: str) -> None:
    assert absolute_target(target, "/base") == spelling
    assert absolute_target(spelling, "/elsewhere") == spelling
    assert is_path(spelling)


def test_delta_tables_open_by_path_and_by_name(spark: SparkSession, tmp_path: Path) -> None:
    place = str(tmp_path / "a b%20'ü")
    spark.range(3).write.format("delta").save(place)
    spark.range(4).write.format("delta").mode("overwrite").saveAsTable("privpipe_names")
    assert delta_table(spark, place).toDF().count() == 3
    assert delta_table(spark, f"file:{place}").toDF().count() == 3
    assert delta_table(spark, "privpipe_names").toDF().count() == 4
    spark.sql("DROP TABLE privpipe_names")
