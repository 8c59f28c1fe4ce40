"""Paths, URIs and names of Spark's catalog are told apart, and have one spelling each; names of
columns are found in a session where case counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import Row, SparkSession

from privpipe import parse_policy
from privpipe.errors import PolicyError
from privpipe.spark._names import absolute_target, delta_table, is_path
from tests.spark._project import make_home, policy_text

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


@pytest.fixture
def exact(spark: SparkSession) -> Iterator[SparkSession]:
    """The session, with names that match in their own case alone."""
    spark.conf.set("spark.sql.caseSensitive", "true")
    yield spark
    spark.conf.unset("spark.sql.caseSensitive")


ROWS = """select cast(id as int) as Id, concat('c', id) as Country, concat('n', id) as Name,
    lpad(cast(if(id = 3, null, id) as string), 8, '4') as Card, named_struct('Note', Country) as S,
    date'2024-05-01' as Seen, concat('v', id) as Word, if(id = 5, 'x', '123456') as Phone
    from range(20)"""
RULES = {
    "Id": "keep",
    "Country": "keep",
    "Name": "{protect: encrypt, bind: [Id, Word]}",
    "Card": "{protect: tokenize, alphabet: digits, tweak: Country, key_column: true}",
    "S.Note": "encrypt",
    "Seen": "{protect: shift, days: 30, subject: Id}",
    "Word": "{protect: encrypt_deterministic}",
    "Phone": "{protect: tokenize, alphabet: digits, tweak: Id, on_invalid: quarantine}",
}
OPENED = ["name", "CARD", "s.note", "Word", "Phone"]


def test_columns_are_found_where_case_counts(exact: SparkSession, tmp_path: Path) -> None:
    home, place = make_home(tmp_path, exact), str(tmp_path / "people")
    source = exact.sql(ROWS)
    policy = parse_policy(policy_text("case.people", RULES))
    home.protect(policy, source, place)
    wanted = source.where("Id != 5").drop("Seen")

    def opened() -> list[Row]:
        return home.reveal(place, OPENED, "a test").drop("Seen").orderBy("Id").collect()

    assert home.verify(place).ok
    assert opened() == wanted.orderBy("Id").collect()
    # A session where case does not count reads the same, and makes the same.
    exact.conf.set("spark.sql.caseSensitive", "false")
    assert opened() == wanted.orderBy("Id").collect()
    loose = str(tmp_path / "loose")
    home.protect(policy, source, loose)
    exact.conf.set("spark.sql.caseSensitive", "true")
    one, other = (delta_table(exact, each).toDF() for each in (place, loose))
    alike = ["Id", "Card", "Word", "Phone", "Seen"]
    assert one.select(alike).exceptAll(other.select(alike)).isEmpty()
    for scope, primitive, _ in home.plan(policy, source).scopes:
        home.rotate(scope, primitive)
    assert home.rekey(place) is not None
    assert home.verify(place).ok
    assert opened() == wanted.orderBy("Id").collect()
    assert home.reveal_to(place, OPENED, "a test", tmp_path / "clear").rows == 19


def test_names_that_differ_in_case_alone(exact: SparkSession, tmp_path: Path) -> None:
    home, place = make_home(tmp_path, exact), tmp_path / "twins"
    source = exact.sql("select id as k, -id as K, lpad(id, 8, '4') as card from range(9)")
    token = "{protect: tokenize, alphabet: digits, tweak: K}"
    for rules, said in (
        ({"k": "drop", "K": "keep", "card": token}, 'the source has "k" and "K"'),
        ({"k": "keep", "K": "keep", "card": "encrypt"}, 'would have it also as "k"'),
    ):
        with pytest.raises(PolicyError, match=said):
            home.protect(parse_policy(policy_text("case.twins", rules)), source, place)
    rules = {"k": "drop", "K": "keep", "card": "{protect: encrypt, bind: [card2]}"}
    kept = source.withColumn("card2", source.card)
    home.protect(parse_policy(policy_text("case.twins", {**rules, "card2": "keep"})), kept, place)
    rows = home.reveal(place, ["card"], "a test").collect()
    assert sorted(row.K for row in rows) == list(range(-8, 1))
    assert all(row.card == row.card2 for row in rows)
