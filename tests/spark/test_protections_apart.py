"""Protections in tables of their own: what stops a job or a reveal, and what an append takes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import current_columns, open_folder
from privpipe.errors import (
    AppendMismatch,
    DecryptionError,
    InvalidValue,
    KeysetError,
    KeysetNotFound,
    NotProtected,
    PrivpipeError,
    SchemaError,
    from_text,
)
from privpipe.kernels import generate_pair, key_fingerprint
from privpipe.policy import Policy
from privpipe.spark import Home, open_home
from privpipe.spark._facts import facts_of
from privpipe.spark._reveal import reveal
from tests.spark._project import make_home, policy_text

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("apart"), spark)


@pytest.fixture(scope="module")
def folder(home: Home) -> Path:
    return home.project.path.parent


def policy(table: str, rules: dict[str, str], folder: Path) -> Policy:
    return parse_policy(policy_text(table, rules), base=folder)


def stored(home: Home, place: str | Path) -> DataFrame:
    return home.spark.read.format("delta").load(str(place))


@contextmanager
def refused(kind: type[PrivpipeError], words: str = "") -> Iterator[None]:
    """What is in it fails with an error of this kind, which a worker tells as text."""
    with pytest.raises((PrivpipeError, PythonException)) as caught:
        yield
    error: BaseException | None = caught.value
    if not isinstance(error, PrivpipeError):
        error = from_text(str(error))
    assert isinstance(error, kind)
    assert words in str(error)


def pem(path: Path, text: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


# Rule, value, what is said. The value itself is not.
CANNOT: list[tuple[str, str, str]] = [
    ("{protect: tokenize, alphabet: digits}", "98765x4321", "1 with characters outside"),
    ("{protect: tokenize, alphabet: digits, keep: '-'}", "98-76-5", "1 of fewer than 6 ch"),
    ("{protect: tokenize, alphabet: digits, length: 8}", "9876543", "the stated length"),
    ("{protect: tokenize, alphabet: digits, tweak: t}", "9876543", "none in the tweak column"),
    ("{protect: encrypt_deterministic, bind: [t]}", "9876543", "null in a bound column"),
]


def test_what_cannot_be_taken_stops_the_job(home: Home, folder: Path) -> None:
    for at, (rule, value, message) in enumerate(CANNOT):
        df = home.spark.sql(
            f"select '{value}' as a, cast(null as string) as t union all select null, null"
        )
        place = folder / f"cannot{at}"
        with pytest.raises(InvalidValue) as caught:
            home.protect(policy("apart.cannot", {"a": rule, "t": "keep"}, folder), df, place)
        told = str(caught.value)
        assert message in told, rule
        assert "<policy>:4 column a: " in told, rule
        assert not value or value not in told, rule
        assert not list(place.glob("_delta_log/*.json"))
    assert {run.error_code for run in home.catalog.runs() if "cannot" in run.target} == {
        "PP-DAT-09"
    }


def test_a_null_beside_a_null_is_fine(home: Home, folder: Path) -> None:
    df = home.spark.sql(
        "select cast(null as string) as a, cast(null as string) as t, "
        "cast(array() as array<string>) as l, 1 as id"
    )
    rules = {
        "a": "{protect: tokenize, alphabet: digits, tweak: t}",
        "'l[]'": "{protect: encrypt, bind: [t]}",
        "t": "keep",
        "id": "keep",
    }
    home.protect(policy("apart.nulls", rules, folder), df, folder / "nulls")
    assert home.reveal(folder / "nulls", ["a", "l"], "test").collect() == df.collect()
    assert home.verify(folder / "nulls").ok


def test_a_column_beside_that_is_gone_is_told(home: Home, folder: Path) -> None:
    df = home.spark.sql("select 1 as id, 'x' as a, 'y' as b")
    rules = {"id": "keep", "a": "{protect: encrypt, bind: [ID]}", "b": "encrypt"}
    place = folder / "gone"
    home.protect(policy("apart.gone", rules, folder), df, place)
    # Whoever takes a column away must take it off the ones with statistics first.
    home.spark.sql(
        f"alter table delta.`{place}` unset tblproperties ('delta.dataSkippingStatsColumns')"
    )
    stored(home, place).drop("id").write.format("delta").mode("overwrite").option(
        "overwriteSchema", "true"
    ).save(str(place))
    assert home.reveal(place, ["b"], "test").collect()[0]["b"] == "y"
    with pytest.raises(SchemaError) as caught:
        home.reveal(place, ["a"], "test")
    assert caught.value.where == "column a"
    assert "ID" in caught.value.message


def test_what_is_bound_names_its_columns(home: Home, folder: Path) -> None:
    """Whoever can write table and catalog has another column of the same values to offer."""
    df = home.spark.sql(
        "select id, id as same, cast(id as int) as small, cast(id as string) as text, "
        "concat('n', id) as a, array(concat('t', id)) as tags from range(20)"
    )
    rules = {
        **dict.fromkeys(("id", "same", "small", "text"), "keep"),
        "a": "{protect: encrypt, bind: [id, same]}",
        "'tags[]'": "{protect: encrypt_deterministic, bind: [ID]}",
    }
    place = folder / "bound"
    home.protect(policy("apart.bound", rules, folder), df, place)
    facts = {fact.path: fact for fact in facts_of(home.catalog, "./bound")}

    def told(path: str, *names: str, table: DataFrame | None = None) -> DataFrame:
        changed = {**facts, path: replace(facts[path], settings=json.dumps({"bind": names}))}
        there = stored(home, place) if table is None else table
        return reveal(
            there.withMetadata(path.removesuffix("[]"), {}),
            [path],
            list(changed.values()),
            home.keys,
        )

    assert told("a", "ID", "same").select("a").exceptAll(df.select("a")).isEmpty()
    assert told("tags[]", "id").select("tags").exceptAll(df.select("tags")).isEmpty()
    for names in (["same", "id"], ["id"], ["id", "small"], ["id", "id"], ["id", "text"]):
        with refused(DecryptionError, "did not authenticate"):
            told("a", *names).collect()
    with refused(DecryptionError, "did not authenticate"):
        told("tags[]", "same").collect()
    # A column that grew, or is spelt otherwise, is the same one.
    narrow = stored(home, place).withColumn("id", F.col("id").cast("int"))
    assert told("a", "id", "same", table=narrow).select("a").exceptAll(df.select("a")).isEmpty()
    renamed = stored(home, place).withColumnRenamed("id", "other")
    with refused(DecryptionError, "did not authenticate"):
        told("a", "other", "same", table=renamed).collect()


def test_a_subject_is_read_in_the_source_and_a_row_key_in_the_table(
    home: Home, folder: Path
) -> None:
    """Both are the same column, under two readings, in one column's UDF."""
    df = home.spark.sql(
        "select concat('c', id % 7) as customer, date'2026-01-01' as born, "
        "array(named_struct('at', date'2026-01-01', 'note', concat('n', id))) as visits "
        "from range(40)"
    )
    rules = {
        "customer": "pseudonymize",
        "born": "{protect: shift, days: 200, subject: customer}",
        "'visits[].at'": "{protect: shift, days: 200, subject: customer}",
        "'visits[].note'": "{protect: encrypt, bind: [customer]}",
    }
    place = folder / "subject"
    home.protect(policy("apart.subject", rules, folder), df, place)
    table = stored(home, place)
    assert table.where("born <> visits[0].at").isEmpty()
    moved = table.select("customer", "born").distinct()
    assert moved.count() == moved.select("customer").distinct().count() == 7
    assert moved.select("born").distinct().count() > 1
    back = home.reveal(place, ["visits[].note"], "test")
    assert sorted(row[0] for row in back.select("visits.note").collect()) == sorted(
        row[0] for row in df.select("visits.note").collect()
    )


def test_a_list_and_a_pseudonym_of_one_domain_tell_nothing_of_each_other(
    home: Home, folder: Path
) -> None:
    df = home.spark.sql("select concat('c', id) as k, concat('c', id) as l from range(400)")
    rules = {
        "k": "{protect: pseudonymize, domain: one}",
        "l": "{protect: replace, dictionary: ['0', '1', '2', '3'], domain: one}",
    }
    home.protect(policy("apart.list", rules, folder), df, folder / "list")
    rows = stored(home, folder / "list").collect()
    assert {row.l for row in rows} == set("0123")
    # Under one key the list's place is the tag's first half, modulo four.
    same = sum(int(row.k[:16], 16) % 4 == int(row.l) for row in rows)
    assert 40 < same < 180


def test_sealed_columns_open_with_the_right_key_alone(home: Home, folder: Path) -> None:
    key, public = generate_pair("x25519")
    pem(folder / "pub.pem", public)
    right = pem(folder / "right.pem", key)
    wrong = pem(folder / "wrong.pem", generate_pair("x25519")[0])
    rule = "{protect: seal, public_key: pub.pem}"
    df = home.spark.sql("select id, concat('n', id) as a, array(id, null) as l from range(30)")
    place = folder / "sealed"
    made = policy("apart.sealed", {"id": "keep", "a": rule, "'l[]'": rule}, folder)
    home.protect(made, df, place)
    right.unlink()
    home.protect(made, df, place, mode="append")  # who writes has no private key
    right = pem(right, key)

    with pytest.raises(KeysetNotFound, match="private key alone"):
        home.reveal(place, ["a"], "test")
    back = home.reveal(place, ["a", "l"], "test", opener=right)
    assert back.exceptAll(df.unionAll(df)).isEmpty()
    assert home.verify(place, opener=right).values == 60 + 60
    # Told on the driver, before a job begins, and whatever is to become of damage.
    said = f"sealed for the private key {key_fingerprint(public)}"
    ways: list[Callable[[], object]] = [
        lambda: home.reveal(place, ["a"], "test", opener=wrong),
        lambda: home.reveal(place, ["a"], "test", "null", opener=wrong),
        lambda: home.verify(place, opener=wrong),
    ]
    for way in ways:
        with pytest.raises(KeysetError, match=said):
            way()
    assert home.verify(place).values == 0

    right.chmod(0o644)
    with pytest.raises(KeysetError, match=r"0644|others"):
        home.reveal(place, ["a"], "test", opener=right)
    for text in (public, b"", b"no PEM"):
        with pytest.raises(PrivpipeError):
            home.reveal(place, ["a"], "test", opener=pem(folder / "other.pem", text))


def test_a_fernet_token_that_is_too_old(home: Home, folder: Path) -> None:
    df = home.spark.sql("select 1 as id, 'x' as a, 'y' as b")
    rules = {"id": "keep", "a": "{protect: fernet, ttl: 1}", "b": "fernet"}
    home.protect(policy("apart.fernet", rules, folder), df, folder / "fernet")
    time.sleep(2.1)
    assert home.reveal(folder / "fernet", ["b"], "test").collect()[0]["b"] == "y"
    with refused(DecryptionError, "older than its ttl of 1 seconds"):
        home.reveal(folder / "fernet", ["a"], "test").collect()
    assert home.reveal(folder / "fernet", ["a"], "test", "null").collect()[0]["a"] is None


FIRST = {
    "id": "keep",
    "name": "{protect: encrypt, bind: [id]}",
    "card": "{protect: tokenize, alphabet: digits, preserve: {first: 6}, tweak: id}",
    "phone": "{protect: mask, show: {last: 3}}",
    "number": "{protect: pseudonymize, output: int64}",
    "born": "{protect: generalize, to: year}",
    "raw": "{protect: encrypt, prefix: raw}",
    "fixed": "{protect: replace, value: '?'}",
    "old": "{protect: fernet, ttl: 3600}",
    "note": "{protect: seal, public_key: one.pem}",
    "first": "{protect: replace, dictionary: names}",
}
OTHERS = {
    "name": "{protect: encrypt, bind: [id, phone]}",
    "card": "{protect: tokenize, alphabet: digits, preserve: {first: 5}, tweak: id}",
    "phone": "{protect: mask, show: {last: 2}}",
    "number": "pseudonymize",
    "born": "{protect: generalize, to: month}",
    "raw": "encrypt",
    "fixed": "{protect: replace, value: '!'}",
    "old": "fernet",
    "note": "{protect: seal, public_key: two.pem}",
}


def test_an_append_takes_the_same_settings_and_no_others(home: Home, folder: Path) -> None:
    for name in ("one.pem", "two.pem"):
        pem(folder / name, generate_pair("x25519")[1])
    (folder / "names").write_text("Ada\nBob\n", encoding="utf-8")
    df = home.spark.sql(
        "select 1 as id, 'n' as name, '4111111111111111' as card, '12345' as phone, 7 as number, "
        "date'2026-02-03' as born, 'r' as raw, 'f' as fixed, 'o' as old, 'n' as note, 'x' as first"
    )
    place = folder / "append"
    home.protect(policy("apart.append", FIRST, folder), df, place)
    home.protect(policy("apart.append", FIRST, folder), df, place, mode="append")
    table = stored(home, place)
    for name in ("card", "phone", "number", "born", "fixed", "first"):
        assert table.select(name).distinct().count() == 1, name
    for name in ("name", "raw", "old", "note.ct"):
        assert table.select(name).distinct().count() == 2, name
    back = home.reveal(place, ["name", "card", "raw", "old"], "test")
    assert back.select("name", "card", "raw", "old").distinct().collect() == [
        Row(name="n", card="4111111111111111", raw="r", old="o")
    ]

    (folder / "names").write_text("Ada\nBob\nEve\n", encoding="utf-8")
    with pytest.raises(AppendMismatch) as caught:
        home.protect(policy("apart.append", FIRST | OTHERS, folder), df, place, mode="append")
    told = {line.strip().partition(":")[0] for line in caught.value.message.splitlines()[1:]}
    assert told == {*OTHERS, "first"}


@pytest.fixture
def older(tmp_path: Path, spark: SparkSession) -> Home:
    """A project that an earlier version made, whose `columns` table knows no settings."""
    shutil.copytree(GOLDEN / "project", tmp_path / "project")
    (tmp_path / "project" / "secrets" / "kek.json").chmod(0o600)
    return open_home(tmp_path / "project" / "privpipe.yaml", spark)


def test_a_catalog_of_an_earlier_version_grows(older: Home) -> None:
    base = older.project.path.parent
    catalog = base / "warehouse" / "catalog"
    assert "settings" not in stored(older, catalog / "columns").columns
    before = older.catalog.columns("./warehouse/people")
    # A run of then that died is settled where its table has no place for what has come since.
    runs = stored(older, catalog / "runs")
    assert "reads" not in runs.columns
    died = runs.limit(1).withColumns({"run_id": F.lit("died"), "state": F.lit("PENDING")})
    died.write.format("delta").mode("append").save(str(catalog / "runs"))
    pending = older.catalog.run("died")
    assert pending is not None
    failed = older.catalog.update_run(replace(pending, state="FAILED"), held_by=pending.owner)
    assert (failed.state, failed.reads) == ("FAILED", None)
    df = older.spark.sql("select 1 as id, '4111111111111111' as card, 'x' as mail, '12' as phone")
    rules = {
        "id": "keep",
        "card": "{protect: tokenize, alphabet: digits, tweak: id}",
        "mail": "{protect: pseudonymize, domain: mail}",
        "phone": "{protect: mask, show: {last: 1}}",
    }
    older.protect(policy("golden.more", rules, base), df, base / "warehouse" / "more")
    assert older.reveal(base / "warehouse" / "more", ["card"], "test").collect()[0]["card"] == (
        "4111111111111111"
    )
    with pytest.raises(NotProtected):
        older.reveal(base / "warehouse" / "more", ["mail"], "test")
    told = {fact.path: fact.settings for fact in older.catalog.columns("./warehouse/more")}
    assert told == {
        "card": '{"alphabet": "digits", "tweak": "id"}',
        "mail": None,
        "phone": '{"show": {"last": 1}}',
    }
    # What was there is what it was, for Spark and for the reader without a JVM.
    assert older.catalog.columns("./warehouse/people") == before
    folder = open_folder(catalog)
    for target in ("./warehouse/people", "./warehouse/more"):
        assert sorted(f.path for f in current_columns(folder, target)) == sorted(
            f.path for f in older.catalog.columns(target)
        )
    assert older.verify(base / "warehouse" / "people").ok
    people = older.reveal(base / "warehouse" / "people", ["r_text", "mail"], "test")
    assert people.where(F.col("mail") == "ada@example.org").count() == 1


def test_a_run_of_an_earlier_version_may_begin_again(older: Home) -> None:
    """The `runs` table of its time knows nothing of what was read, and gets it by an update."""
    runs = older.project.path.parent / "warehouse" / "catalog" / "runs"
    assert "reads" not in stored(older, runs).columns
    older.spark.sql(
        f"UPDATE delta.`{runs}` SET state = 'PENDING' WHERE target = './warehouse/people'"
    )
    known = len(older.catalog.runs())
    pending = next(each for each in older.catalog.runs() if each.state == "PENDING")
    assert pending.reads is None
    again = older.catalog.update_run(replace(pending, reads='{"./a": 1}'), held_by=None)
    assert again == replace(pending, reads='{"./a": 1}')
    # From here on it is written without Spark.
    done = older.catalog.update_run(replace(again, state="COMMITTED"), held_by=again.owner)
    assert done == replace(again, state="COMMITTED")
    assert len(older.catalog.runs()) == known
    assert open_folder(runs.parent).run(done.run_id) == done
