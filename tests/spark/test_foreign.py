"""Columns of other programs: k2, Vault, Fernet, and Spark's own AES both ways."""

from __future__ import annotations

import base64
import datetime
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tink
from cryptography.fernet import Fernet
from pyspark.sql import DataFrame, SparkSession
from tink import secret_key_access

from privpipe.catalog import KeysetRecord
from privpipe.errors import (
    DecryptionError,
    EncodingError,
    InvalidValue,
    KeysetError,
    KeysetNotFound,
    PrivpipeError,
    SchemaError,
    UsageError,
    from_text,
)
from privpipe.keys import associated_data, load_keyset, open_kek
from privpipe.policy import parse_policy
from privpipe.spark import inspect, open_foreign, open_k2, reveal
from privpipe.testing import TestKey, keyset_json
from tests.spark._foreign import KEY_A, KEY_B, k2, secret, vault
from tests.spark._project import make_home

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
NOON = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)


def failure(df: DataFrame) -> PrivpipeError:
    """The coded error that reading it ends in."""
    with pytest.raises(Exception, match=r"\[PP-") as caught:
        df.collect()
    found = from_text(str(caught.value))
    assert found is not None
    return found


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    return {
        "keyA": secret(tmp_path / "keyA.json", KEY_A),
        "keyB": "file:" + secret(tmp_path / "keyB.json", KEY_B),
    }


@pytest.fixture
def records(spark: SparkSession) -> DataFrame:
    at = int(NOON.timestamp() * 1000)
    rows = [
        (
            1,
            k2("string", "Ada"),
            k2(["null", "int"], (1, 36)),
            k2(MILLIS, at),
            k2("int", 5),
            [(k2("string", "ill", name="keyB", keyset=KEY_B), "ward"), (None, "home")],
        ),
        (2, None, k2(["null", "int"], (0, None)), None, k2("boolean", True), []),
        (3, k2("string", "", name="keyB", keyset=KEY_B), None, None, k2("string", "x"), None),
    ]
    return spark.createDataFrame(
        rows,
        "id int not null, name string, age string, seen string, mixed string, "
        "visits array<struct<note:string,place:string>>",
    )


def test_k2_fields_open_to_their_types(
    records: DataFrame, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_k2(
        records,
        ["name", "age", "seen", "mixed", "VISITS[].note"],
        {**keys, "keyA": "keyA.json"},
        {"age": "bigint", "seen": "timestamp", "mixed": "json"},
    )
    assert [kind for _, kind in opened.dtypes] == [
        "int", "string", "bigint", "timestamp", "string",
        "array<struct<note:string,place:string>>",
    ]  # fmt: skip
    found = {row.id: row for row in opened.collect()}
    assert [found[each].name for each in (1, 2, 3)] == ["Ada", None, ""]
    assert [found[each].age for each in (1, 2, 3)] == [36, None, None]
    assert found[1].seen.astimezone(datetime.UTC) == NOON
    assert [found[each].mixed for each in (1, 2, 3)] == ["5", "true", '"x"']
    assert [tuple(each) for each in found[1].visits] == [("ill", "ward"), (None, "home")]
    assert (found[2].visits, found[3].visits) == ([], None)
    plan = opened._jdf.queryExecution().toString()
    assert "keyData" not in plan
    assert "Ada" not in plan


def test_k2_fields_that_do_not_open(
    spark: SparkSession, records: DataFrame, keys: dict[str, str], tmp_path: Path
) -> None:
    only_a = {"keyA": keys["keyA"]}
    error = failure(open_k2(records, ["name"], only_a, on_error="null"))
    assert isinstance(error, KeysetNotFound)
    assert "column name" in str(error)
    assert "keyB" not in str(error)
    error = failure(open_k2(records, ["age"], only_a, {"age": "string"}, on_error="null"))
    assert isinstance(error, EncodingError)
    other = keyset_json([TestKey(key_id=1_000_000_001, raw=bytes(16))], primary=1_000_000_001)
    wrong = {"keyA": secret(tmp_path / "wrong.json", other)}
    assert isinstance(failure(open_k2(records, ["age"], wrong, {"age": "int"})), DecryptionError)
    damaged = spark.createDataFrame(
        [
            (k2("string", "Ada"),),
            ("Ada Lovelace",),
            (None,),
            (k2("string", "Bo")[:-8] + "AAAAAAA=",),
        ],
        "name string",
    ).coalesce(1)
    said = failure(open_k2(damaged, ["name"], keys))
    assert isinstance(said, InvalidValue)
    assert "Ada" not in str(said)
    rows = open_k2(damaged, ["name"], keys, on_error="null").collect()
    assert [row.name for row in rows] == ["Ada", None, None, None]
    # What is open is kept only while the file is its owner's alone.
    Path(keys["keyA"]).chmod(0o644)
    error = failure(open_k2(records, ["age"], keys, {"age": "int"}))
    assert isinstance(error, KeysetError)
    assert "0644" in str(error)
    Path(keys["keyA"]).unlink()
    assert "no key file" in str(failure(open_k2(records, ["age"], keys, {"age": "int"})))


def test_vault_and_fernet(spark: SparkSession, tmp_path: Path) -> None:
    first, second = bytes(range(32)), bytes(range(1, 17))
    text = [base64.b64encode(key).decode() for key in (first, second)]
    answer = json.dumps({"data": {"keys": {"1": text[0], "2": text[1]}, "name": "orders"}})
    both, one = secret(tmp_path / "both", answer), secret(tmp_path / "one", text[0] + "\n")
    token = Fernet.generate_key()
    fernet = secret(tmp_path / "fernet", token.decode())
    rows = [
        (vault("Ada", first, 1), Fernet(token).encrypt(b"Ada").decode()),
        (vault("Bo", second, 2), None),
        (None, Fernet(token).encrypt(b"").decode()),
    ]
    df = spark.createDataFrame(rows, "v string, f string").coalesce(1)
    opened = open_foreign(df, "v", format="vault", key=both)
    opened = open_foreign(opened, "f", format="fernet", key=fernet, type="binary")
    assert [tuple(row) for row in opened.collect()] == [
        ("Ada", b"Ada"), ("Bo", None), (None, b""),
    ]  # fmt: skip
    # A key without a version opens what it can.
    rest = open_foreign(df, "v", format="vault", key=one, on_error="null").collect()
    assert [row.v for row in rest] == ["Ada", None, None]
    assert isinstance(failure(open_foreign(df, "v", format="vault", key=one)), DecryptionError)
    lone = secret(tmp_path / "lone", json.dumps({"1": text[0]}))
    error = failure(open_foreign(df, "v", format="vault", key=lone, on_error="null"))
    assert isinstance(error, KeysetNotFound)
    assert "no version 2" in str(error)
    bound = spark.createDataFrame([(vault("Ada", first, 1, b"ctx"),)], "v string")
    for aad, want in ((b"ctx", "Ada"), (b"", None)):
        tried = open_foreign(bound, "v", format="vault", key=one, aad=aad, on_error="null")
        assert tried.first().v == want  # type: ignore[union-attr]
    # A token that is too old, or from the future, is none.
    now, tokens = int(time.time()), Fernet(token)
    made = [tokens.encrypt_at_time(b"Ada", at).decode() for at in (now, now - 900, now + 900)]
    aged = spark.createDataFrame([(each,) for each in made], "f string").coalesce(1)
    for ttl, opens in ((600, ["Ada", None, None]), (None, ["Ada", "Ada", None])):
        read = partial(open_foreign, aged, "f", format="fernet", key=fernet, ttl=ttl)
        assert isinstance(failure(read()), DecryptionError)
        assert [row.f for row in read(on_error="null").collect()] == opens
    said = failure(open_foreign(df, "f", format="fernet", key=both))
    assert isinstance(said, KeysetError)
    assert text[0] not in str(said)


def test_calls_that_are_off(records: DataFrame, keys: dict[str, str]) -> None:
    refused: list[tuple[type[PrivpipeError], str, Callable[[], Any]]] = [
        (UsageError, "no keyset", lambda: open_k2(records, ["name"], {})),
        (UsageError, "no column", lambda: open_k2(records, [], keys)),
        (UsageError, "not opened", lambda: open_k2(records, ["name"], keys, {"age": "int"})),
        (SchemaError, "no such column", lambda: open_k2(records, ["nam"], keys)),
        (SchemaError, "no ciphertexts", lambda: open_k2(records, ["visits"], keys)),
        (SchemaError, "no Spark type", lambda: open_k2(records, ["age"], keys, {"age": "it"})),
        (UsageError, "on_error", lambda: open_k2(records, ["age"], keys, on_error="x")),  # type: ignore[arg-type]
        (UsageError, "not public", lambda: open_foreign(records, "name", format="dlp", key="k")),
        (
            UsageError,
            "a ttl of 5 for vault",
            lambda: open_foreign(records, "name", format="vault", key="k", ttl=5),
        ),
        (
            UsageError,
            "a ttl of -1",
            lambda: open_foreign(records, "name", format="fernet", key="k", ttl=-1),
        ),
        (UsageError, "a sample", lambda: inspect(records, sample=0)),
    ]
    for kind, said, call in refused:
        with pytest.raises(kind, match=said):
            call()


RAW = bytes(range(32))
POLICY = """
version: 1
table: clinic.notes
columns:
  id: keep
  note: {protect: encrypt, prefix: raw, context: "clinic notes"}
"""


def test_sparks_aes_both_ways(spark: SparkSession, tmp_path: Path) -> None:
    """`prefix: raw` is what `aes_decrypt` reads and `aes_encrypt` writes, under one key."""
    home = make_home(tmp_path, spark)
    text = keyset_json([TestKey(key_id=5, raw=RAW, prefix="RAW")], primary=5)
    assert load_keyset(text).key_id == 5
    scope, primitive = "table:clinic.notes", "AES256_GCM_RAW"
    wrapped = tink.json_proto_keyset_format.serialize_encrypted(
        tink.json_proto_keyset_format.parse(text, secret_key_access.TOKEN),
        open_kek(home.project.kek),
        associated_data(scope, primitive),
    )
    record = KeysetRecord(
        scope=scope, primitive=primitive, family=None, wrapped=wrapped,
        kek_uri=home.project.kek, key_id=5, created_at=datetime.datetime.now(datetime.UTC),
    )  # fmt: skip
    home.catalog.add_keysets([record])
    source = spark.createDataFrame([(1, "Ada"), (2, ""), (3, None)], "id int, note string")
    target = str(tmp_path / "warehouse" / "notes")
    home.protect(parse_policy(POLICY), source, target)

    arguments = f"unhex('{RAW.hex()}'), 'GCM', 'DEFAULT'"
    theirs = spark.read.format("delta").load(target)
    read = theirs.selectExpr(
        "id", f"cast(aes_decrypt(note, {arguments}, 'clinic notes') as string) note"
    )
    assert sorted(map(tuple, read.collect())) == [(1, "Ada"), (2, ""), (3, None)]

    written = source.selectExpr("id", f"aes_encrypt(note, {arguments}, '', 'clinic notes') note")
    facts = home.catalog.columns()
    ours = reveal(written, ["note"], facts, home.keys)
    assert sorted(map(tuple, ours.collect())) == [(1, "Ada"), (2, ""), (3, None)]
    moved = reveal(
        source.selectExpr("id", f"aes_encrypt(note, {arguments}, '', 'other') note"),
        ["note"],
        facts,
        home.keys,
    )
    assert isinstance(failure(moved), DecryptionError)
