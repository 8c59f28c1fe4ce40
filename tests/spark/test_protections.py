"""Every protection of the vocabulary over one table: what comes back, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.errors import (
    DecryptionError,
    NotProtected,
    PrivpipeError,
    from_text,
)
from privpipe.kernels import generate_pair, key_fingerprint
from privpipe.policy import Policy
from privpipe.spark import Home
from tests.spark._project import make_home, policy_text

# A value in the first row; the second has what is behind the bar, the third nulls.
SOURCE = """
select 1 as id, 'DE' as country, 'Ærø' as name, 'ada@example.org' as mail, 4711 as joins,
  '4111111111111111' as card, '123-45-6789' as ssn, '79927398713' as checked,
  '+49 170 123' as phone, 'c1' as customer, cast(-5 as bigint) as number, 1.50BD as hashed,
  date'2026-02-03' as note, named_struct('a', 1, 'b', array('x', null)) as old, 'raw' as raw,
  date'1980-05-17' as born, 42 as age, '10115 Berlin' as place,
  named_struct('s', 1) as secret, 'k' as fixed,
  named_struct('a', 'x', 'b', 'Baker', 'c', 7, 'd', 'gone') as nest,
  array(named_struct('x', 'x1', 'y', 1, 'z', 'z1', 'w', '1234567'),
        null,
        named_struct('x', 'x2', 'y', 1, 'z', null, 'w', '7654321')) as items,
  map('k', 'v', 'l', 'w') as attrs, map(1, array(1.5D, null)) as tags
union all
select 2, 'FR', '', '', 4711, '4111111111111111', '123-45-6789', '79927398713', '', '', -5,
  1.50BD, date'2026-02-03', null, '', date'1979-12-31', 0, '', null, '',
  named_struct('a', '', 'b', '', 'c', null, 'd', null), array(), map(), map()
union all
select 3, 'DE', null, null, null, null, null, null, null, null, null, null, null, null, null,
  null, null, null, null, null, null, null, null, null
"""

RULES = {
    "id": "keep",
    "country": "keep",
    "name": "{protect: encrypt, bind: [id]}",
    "mail": "{protect: encrypt_deterministic, bind: [ID, age]}",
    "joins": "encrypt_deterministic",
    "card": "{protect: tokenize, alphabet: digits, preserve: {first: 6, last: 2}, length: 16, "
    "tweak: country}",
    "ssn": "{protect: tokenize, alphabet: digits, keep: '-', domain: ssn}",
    "checked": "{protect: tokenize, alphabet: digits, luhn: true}",
    "phone": "{protect: mask, show: {last: 3}, keep: '+ '}",
    "customer": "{protect: pseudonymize, domain: customer, output: uuid}",
    "number": "{protect: pseudonymize, output: int64, distinct: 1000}",
    "hashed": "{protect: pseudonymize, algorithm: hmac, output: base64}",
    "note": "{protect: seal, public_key: pub.pem}",
    "old": "{protect: fernet, ttl: 3600}",
    "raw": "{protect: encrypt, prefix: raw}",
    "born": "{protect: generalize, to: year}",
    "age": "{protect: bucket, width: 10}",
    "place": "{protect: generalize, prefix: 2}",
    "secret": "redact",
    "fixed": "{protect: replace, value: '?'}",
    "nest.a": "encrypt",
    "nest.b": "{protect: mask, show: {first: 1}}",
    "nest.c": "keep",
    "nest.d": "redact",
    "'items[].x'": "{protect: encrypt, bind: [id]}",
    "'items[].y'": "pseudonymize",
    "'items[].z'": "{protect: seal, public_key: pub.pem}",
    "'items[].w'": "{protect: tokenize, alphabet: digits, tweak: country}",
    "'attrs{}'": "{protect: encrypt, bind: [id]}",
    "'tags{}[]'": "fernet",
}
BACK = [
    "name", "mail", "joins", "card", "ssn", "checked", "note", "old", "raw", "nest.a", "items",
    "attrs{}", "tags{}[]",
]  # fmt: skip
ONE_WAY = [
    "phone", "customer", "number", "hashed", "born", "age", "place", "secret", "fixed", "nest.b",
    "nest.d", "items[].y",
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("protections"), spark)


@pytest.fixture(scope="module")
def folder(home: Home) -> Path:
    return home.project.path.parent


@pytest.fixture(scope="module")
def private(folder: Path) -> Path:
    """The private key of the pair whose public key the policies name."""
    key, public = generate_pair("x25519")
    (folder / "pub.pem").write_bytes(public)
    path = folder / "private.pem"
    path.write_bytes(key)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def source(home: Home) -> DataFrame:
    return home.spark.sql(SOURCE)


@pytest.fixture(scope="module")
def target(home: Home, folder: Path, private: Path, source: DataFrame) -> str:
    """The table that all of this is done to, once."""
    del private
    place = str(folder / "all")
    run = home.protect(policy("shop.all", RULES, folder), source, place)
    assert run.rows == 3
    return place


def policy(table: str, rules: dict[str, str], folder: Path) -> Policy:
    return parse_policy(policy_text(table, rules), base=folder)


def stored(home: Home, place: str) -> DataFrame:
    return home.spark.read.format("delta").load(place)


def rows(df: DataFrame, *columns: str) -> list[Row]:
    return df.orderBy("id").select(*columns).collect()


def row(df: DataFrame, number: int) -> Row:
    return rows(df, "*")[number - 1]


def test_what_can_come_back_does_and_exactly(
    home: Home, target: str, source: DataFrame, private: Path
) -> None:
    back = home.reveal(target, BACK, "test", opener=private)
    whole = ["id", "name", "mail", "joins", "card", "ssn", "checked", "note", "old", "raw", "attrs"]
    assert rows(back, *whole, "tags") == rows(source, *whole, "tags")
    kept = ["nest.a", "nest.c", "items.x", "items.z", "items.w"]
    assert rows(back, *kept) == rows(source, *kept)
    assert [dict(back.dtypes)[name] for name in whole] == [dict(source.dtypes)[n] for n in whole]
    assert home.verify(target, opener=private).ok
    there = stored(home, target)
    assert rows(there, "name")[0]["name"] != rows(there, "name")[1]["name"]
    kinds = dict(there.dtypes)
    assert kinds["note"] == "struct<key:binary,ct:binary>"
    assert kinds["items"] == (
        "array<struct<x:binary,y:string,z:struct<key:binary,ct:binary>,w:string>>"
    )
    assert (kinds["tags"], kinds["number"]) == ("map<int,array<string>>", "bigint")


def test_what_is_stored(home: Home, target: str) -> None:
    first, second, third = (row(stored(home, target), number) for number in (1, 2, 3))
    assert first.card[:6] + first.card[-2:] == "41111111"
    assert first.card != "4111111111111111"
    # Another country, another token; the same value elsewhere, the same.
    assert second.card != first.card
    assert second.ssn == first.ssn
    assert (first.ssn[3::3] + first.ssn[:3].strip("0123456789"))[:2] == "-" + first.ssn[6]
    assert _luhn(first.checked)
    assert first.checked != "79927398713"
    assert (first.phone, second.phone) == ("+** *** 123", "")
    assert len(first.customer) == 36
    assert second.customer not in {"", None, first.customer}
    assert first.number == second.number != -5
    assert first.hashed == second.hashed
    assert str(first.born) == "1980-01-01"
    assert (first.place, second.place) == ("10", "")
    assert (first.secret, second.secret) == (None, None)
    assert (first.fixed, second.fixed) == ("?", "?")
    assert (first.nest.b, first.nest.c, first.nest.d) == ("B****", 7, None)
    assert [item and item.y for item in first["items"]][::2] == [first["items"][0].y] * 2
    assert first["items"][1] is None
    # Each value of a task's attempt is sealed under one data key, with a nonce of its own.
    assert first.note.ct != second.note.ct
    assert bytes(first.raw)[:1] != b"\x01" or len(first.raw) == 12 + 3 + 16
    assert set(third.asDict().values()) == {3, "DE", None}


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + at % 2) for at, d in enumerate(reversed(digits))]
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


@pytest.mark.parametrize("column", ONE_WAY)
def test_what_has_no_way_back_says_so(home: Home, target: str, column: str) -> None:
    with pytest.raises(NotProtected, match="no way back") as caught:
        home.reveal(target, [column], "test")
    assert caught.value.where == f"column {column}"


def test_the_catalog_has_what_each_column_was_told(home: Home, target: str, folder: Path) -> None:
    facts = {fact.path: fact for fact in home.catalog.columns("./all")}
    assert len(facts) == len(RULES) - 3
    assert facts["raw"].settings == '{"prefix": "raw"}'
    assert (facts["raw"].primitive, facts["joins"].settings) == ("AES256_GCM_RAW", None)
    assert json.loads(facts["card"].settings or "")["preserve"] == {"first": 6, "last": 2}
    sealed = json.loads(facts["note"].settings or "")
    assert sealed.keys() == {"public_key", "sha256"}
    assert (facts["note"].scope, facts["note"].primitive) == ("", "")
    public = key_fingerprint((folder / "pub.pem").read_bytes())
    assert facts["note"].key_id == facts["items[].z"].key_id == public
    assert {path for path, fact in facts.items() if fact.key_id == 0} == {
        "phone", "born", "age", "place", "secret", "fixed", "nest.b", "nest.d",
    }  # fmt: skip
    (run,) = (run for run in home.catalog.runs() if run.target == "./all")
    history = home.spark.sql(f"describe history delta.`{target}`").first()
    assert history is not None
    told = json.loads(history["userMetadata"])
    assert told["run_uid"] == run.run_uid
    assert set(told["key_ids"]) == {fact.key_id for fact in facts.values()} - {0}


# What a table is changed to by someone who has no key, and the bound columns that this breaks.
# Rows 1 and 2 trade places there; `id` and `age` stay in theirs.
MOVED: dict[str, tuple[Callable[[DataFrame], DataFrame], set[str]]] = {}


def moved(name: str, *broken: str) -> Callable[[Callable[[DataFrame], DataFrame]], None]:
    def add(change: Callable[[DataFrame], DataFrame]) -> None:
        MOVED[name] = (change, set(broken))

    return add


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


def traded(df: DataFrame, *columns: str) -> DataFrame:
    """`df` with `columns` of rows 1 and 2 in each other's place."""
    other = df.select(
        (F.lit(3) - F.col("id")).alias("id"), *(F.col(c).alias(f"o_{c}") for c in columns)
    )
    joined = df.join(other, "id", "left")
    values = [
        F.when(F.col("id") < 3, F.col(f"o_{c}")).alias(c) if c in columns else F.col(c)
        for c in df.columns
    ]
    return joined.select(*values)


@moved("values of two rows", "name", "mail", "attrs", "items")
def _(df: DataFrame) -> DataFrame:
    return traded(df, "name", "mail", "attrs", "items")


@moved("the rows' key", "name", "mail", "attrs", "items")
def _(df: DataFrame) -> DataFrame:
    return df.withColumn("id", F.when(F.col("id") == 1, 9).otherwise(F.col("id")))


@moved("what a protected column beside is", "mail")
def _(df: DataFrame) -> DataFrame:
    return traded(df, "age")


@moved("places in an array", "items")
def _(df: DataFrame) -> DataFrame:
    return df.withColumn("items", F.reverse("items"))


@moved("an element left out", "items")
def _(df: DataFrame) -> DataFrame:
    return df.withColumn("items", F.filter("items", lambda item: item.isNotNull()))


@moved("keys of a map", "attrs")
def _(df: DataFrame) -> DataFrame:
    return df.withColumn(
        "attrs", F.transform_keys("attrs", lambda key, _: F.when(key == "k", "l").otherwise("k"))
    )


@pytest.mark.parametrize("case", MOVED)
def test_what_was_moved_is_refused(
    home: Home, target: str, tmp_path: Path, case: str, private: Path
) -> None:
    change, broken = MOVED[case]
    before = stored(home, target)
    version = home.spark.sql(f"describe history delta.`{target}`").count() - 1
    home.spark.createDataFrame(change(before).collect(), before.schema).write.format("delta").mode(
        "overwrite"
    ).save(target)
    try:
        for column in ("name", "mail", "attrs", "items[].x"):
            revealed = home.reveal(target, [column], "test")
            if column.partition("[")[0] in broken:
                with refused(DecryptionError):
                    revealed.collect()
            else:
                revealed.collect()
        report = home.verify(target, opener=private)
        assert {damage.column for damage in report.files} == broken
    finally:
        home.spark.sql(f"restore table delta.`{target}` to version as of {version}")


def test_a_token_whose_tweak_was_edited_is_another_value(home: Home, target: str) -> None:
    """Nothing tells, as the plan warns."""
    before = stored(home, target)
    edited = before.withColumn("country", F.lit("IT")).where("id = 1")
    place = f"{target}_edited"
    edited.write.format("delta").save(place)
    facts = home.catalog.columns("./all")
    from privpipe.spark._reveal import reveal, reveal_each

    df = stored(home, place)
    got = reveal(df, ["card"], facts, home.keys).collect()[0]["card"]
    assert got != "4111111111111111"
    assert (got[:6], got[-2:], len(got)) == ("411111", "11", 16)
    none = df.withColumn("country", F.lit(None).cast("string"))
    with refused(PrivpipeError, "did not authenticate"):
        reveal(none, ["card"], facts, home.keys).collect()
    assert reveal_each(none, ["card"], facts, home.keys).collect()[0]["card"] is None


def test_domains_join_and_others_show_no_relation(home: Home, folder: Path) -> None:
    df = home.spark.sql(
        "select id, concat('c', id % 5) as k, lpad(cast(id % 5 as string), 9, '0') as n "
        "from range(20)"
    )
    kept = {}
    for table, domain in (("a", "one"), ("b", "one"), ("c", "two")):
        rules = {
            "id": "keep",
            "k": f"{{protect: pseudonymize, domain: {domain}}}",
            "n": f"{{protect: tokenize, alphabet: digits, domain: {domain}}}",
        }
        home.protect(policy(f"join.{table}", rules, folder), df, str(folder / f"join_{table}"))
        kept[table] = stored(home, str(folder / f"join_{table}"))
    for column in ("k", "n"):
        values = {t: [r[column] for r in rows(d, column)] for t, d in kept.items()}
        assert values["a"] == values["b"]
        assert len(set(values["a"])) == 5
        assert not set(values["a"]) & set(values["c"])
        # Nor at the places of one value: a sixteenth of the digits meet by chance, not a half.
        same = sum(
            x == y
            for a, c in zip(values["a"], values["c"], strict=True)
            for x, y in zip(a, c, strict=True)
        )
        assert same < len(values["a"]) * len(values["a"][0]) / 2
    assert kept["a"].join(kept["b"], ["k", "n"]).count() == 20 * 4
