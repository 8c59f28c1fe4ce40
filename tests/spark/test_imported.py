"""Keys of other programs out of the catalog: columns written and read, and each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet as Theirs
from pyspark import cloudpickle
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession

from privpipe import parse_policy
from privpipe.catalog import Catalog, KeysetRecord
from privpipe.errors import (
    KekError,
    KeysetError,
    KeysetNotFound,
    PrivpipeError,
    UnwrapError,
    UsageError,
    from_text,
)
from privpipe.kernels import generate_pair, key_fingerprint
from privpipe.keys import KeyRef, generate_kek, read_key_file
from privpipe.policy import Policy
from privpipe.spark import Home, open_foreign
from privpipe.spark._facts import facts_of
from privpipe.spark._keyring import CatalogKeyring
from privpipe.spark._reveal import columns_to_open
from privpipe.spark._udf import reveal_udf
from tests.spark._project import make_home, policy_text

SECRET = Theirs.generate_key()
PRIVATE, PUBLIC = generate_pair("x25519")
OTHER_PRIVATE, OTHER_PUBLIC = generate_pair("rsa2048")
RULES = {
    "id": "keep",
    "token": "{protect: fernet, key: 'imported:legacy', ttl: 3600}",
    "'items[].note'": "{protect: fernet, key: 'imported:legacy'}",
    "'items[].at'": "keep",
    "sealed": "{protect: seal, public_key: public.pem}",
    "other": "{protect: seal, public_key: other.pem}",
}
SOURCE = """
select 1 as id, 'Ada' as token, array(named_struct('note', 'x', 'at', 1), null) as items,
  date'2026-02-03' as sealed, 'o' as other
union all select 2, null, array(), null, null
"""


def secret(folder: Path, content: bytes) -> Path:
    path = folder / f"secret{len(list(folder.iterdir()))}"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def replaced(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def add(home: Home, name: str, kind: str, content: bytes) -> tuple[KeyRef, bool]:
    """Imports a key, whose file is gone afterwards."""
    path = secret(home.project.path.parent, content)
    key = read_key_file(path, kind)
    path.unlink()
    return home.keys.add_imported(key, name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    made = make_home(tmp_path_factory.mktemp("imported"), spark)
    folder = made.project.path.parent
    (folder / "public.pem").write_bytes(PUBLIC)
    (folder / "other.pem").write_bytes(OTHER_PUBLIC)
    return made


def policy(home: Home, rules: dict[str, str]) -> Policy:
    return parse_policy(policy_text("t.imported", rules), base=home.project.path.parent)


@pytest.fixture(scope="module")
def target(home: Home) -> str:
    """A table under imported keys, none of whose files is left."""
    place = str(home.project.path.parent / "table")
    source = home.spark.sql(SOURCE)
    with pytest.raises(KeysetNotFound) as caught:
        home.protect(policy(home, RULES), source, place)
    assert (caught.value.where, caught.value.hint) == (
        "imported:legacy",
        "privpipe keys import legacy --fernet FILE",
    )
    assert not Path(place).exists()
    fernet, made = add(home, "legacy", "FERNET", SECRET)
    assert made
    run = home.protect(policy(home, RULES), source, place)
    assert fernet.key_id in run.key_ids
    return place


def test_they_write_and_read_with_no_key_on_the_way(home: Home, target: str) -> None:
    source = home.spark.sql(SOURCE)
    stored = home.spark.read.format("delta").load(target)
    tokens = [row.token for row in stored.orderBy("id").collect()]
    assert Theirs(SECRET).decrypt(tokens[0]) == b"Ada"
    assert tokens[1] is None
    assert add(home, "archive", "PEM", PRIVATE)[0].key_id == key_fingerprint(PUBLIC)
    columns = ["token", "items", "sealed"]
    back = home.reveal(target, columns, "test", opener="imported:archive")
    assert back.select("id", *columns).exceptAll(source.select("id", *columns)).isEmpty()
    assert back.count() == 2
    report = home.verify(target, opener="imported:archive")
    assert report.ok
    assert report.not_judged == ("other",)
    assert home.verify(target).not_judged == ("other", "sealed")

    foreign = open_foreign(stored, "token", format="fernet", key="imported:legacy", keys=home.keys)
    assert [row.token for row in foreign.orderBy("id").collect()] == ["Ada", None]

    keys = home.keys.with_opener(home._keys_with("imported:archive").opener)
    opened = columns_to_open(stored.schema, columns, facts_of(home.catalog, "./table"), keys)
    closures = [reveal_udf(each.tasks, each.moved).func for each in opened]
    travels: bytes = cloudpickle.dumps(closures)  # type: ignore[no-untyped-call]
    shown = back._jdf.queryExecution().toString() + foreign._jdf.queryExecution().toString()
    raw = Theirs(SECRET)._signing_key + Theirs(SECRET)._encryption_key
    for word in (SECRET, raw[:16], raw[16:], PRIVATE.splitlines()[1]):
        assert word not in travels
        assert word not in shown.encode()
    assert b"encryptedKeyset" in travels


def test_an_opener_on_a_producer_is_warned_of(home: Home, target: str) -> None:
    add(home, "archive", "PEM", PRIVATE)
    planned = home.plan(policy(home, RULES), home.spark.sql(SOURCE))
    found = [text for text in planned.warnings if "opener's key on a producer" in text]
    assert [text.partition(": ")[0] for text in found] == ["<policy>:8 columns.sealed"]
    assert "imported:archive" in found[0]


def test_wrong_keys_are_told_on_the_driver(home: Home, target: str) -> None:
    add(home, "archive", "PEM", PRIVATE)
    add(home, "second", "PEM", OTHER_PRIVATE)
    add(home, "third", "PEM", generate_pair("x25519")[0])
    stored = home.spark.read.format("delta").load(target)

    def foreign(**more: Any) -> DataFrame:
        asked = {"format": "fernet", "key": "imported:legacy", "keys": home.keys, **more}
        return open_foreign(stored, "token", **asked)

    refused: list[tuple[type[PrivpipeError], str, Callable[[], object]]] = [
        (KeysetError, "is a Fernet key, where a private key is wanted",
         lambda: home.reveal(target, ["sealed"], "t", opener="imported:legacy")),
        (KeysetNotFound, "no such key; a private key is wanted",
         lambda: home.reveal(target, ["sealed"], "t", opener="imported:none")),
        (KeysetError, "a key's name",
         lambda: home.reveal(target, ["sealed"], "t", opener="imported:")),
        (KeysetError, str(key_fingerprint(PUBLIC)),
         lambda: home.reveal(target, ["sealed"], "t", opener="imported:second")),
        (KeysetError, str(key_fingerprint(OTHER_PUBLIC)),
         lambda: home.reveal(target, ["sealed", "other"], "t", opener="imported:archive")),
        (KeysetError, "sealed for the private key",
         lambda: home.verify(target, opener="imported:third")),
        (KeysetError, "is a private key, where a Fernet key is wanted",
         lambda: foreign(key="imported:archive")),
        (KeysetNotFound, "no such key", lambda: foreign(key="imported:none")),
        (UsageError, "keys=home.keys", lambda: foreign(keys=None)),
        (UsageError, "opens no vault", lambda: foreign(format="vault")),
        (KeysetError, "is a private key, where a Fernet key is wanted",
         lambda: home.protect(
             policy(home, {**RULES, "token": "{protect: fernet, key: 'imported:archive'}"}),
             home.spark.sql(SOURCE), f"{target}_not")),
    ]  # fmt: skip
    for kind, said, call in refused:
        with pytest.raises(kind) as caught:
            call()
        assert said in str(caught.value)
    assert not Path(f"{target}_not").exists()


def test_a_name_stands_for_one_key(home: Home, target: str) -> None:
    ref, made = add(home, "legacy", "FERNET", SECRET + b"\n")
    assert not made
    assert ref == home.keys.find("imported:legacy", "FERNET")
    for kind, content in (("FERNET", Theirs.generate_key()), ("PEM", PRIVATE)):
        with pytest.raises(KeysetError, match="never overwritten"):
            add(home, "legacy", kind, content)
    # Another name for it is another row.
    assert add(home, "legacy2", "FERNET", SECRET)[0].key_id == ref.key_id


class Swapped:
    """A catalog in whose rows two blobs have changed places."""

    def __init__(self, catalog: Catalog, first: str, second: str) -> None:
        self._catalog = catalog
        self._names = {first: second, second: first}
        self.location = catalog.location

    def keysets(self) -> tuple[KeysetRecord, ...]:
        rows = {record.scope: record for record in self._catalog.keysets()}
        return tuple(
            replace(record, wrapped=rows[self._names.get(record.scope, record.scope)].wrapped)
            for record in rows.values()
        )


def test_another_kek_and_swapped_blobs_open_nothing(home: Home, target: str) -> None:
    add(home, "legacy2", "FERNET", SECRET)
    stored = home.spark.read.format("delta").load(target)
    swapped: Any = Swapped(home.catalog, "imported:legacy", "imported:legacy2")
    stranger = generate_kek(secret(home.project.path.parent, b"").with_suffix(".json"))
    for keys, kind in (
        (CatalogKeyring(swapped, home.project.kek), UnwrapError),
        (CatalogKeyring(home.catalog, stranger), UnwrapError),
        (CatalogKeyring(home.catalog, "file:/nowhere/kek.json"), KekError),
    ):
        with pytest.raises(kind):
            open_foreign(stored, "token", format="fernet", key="imported:legacy", keys=keys)
        with pytest.raises(kind):
            keys.check([("imported:legacy", "FERNET", None)])
    # Under a strange KEK nothing is added to what it does not open.
    path = secret(home.project.path.parent, Theirs.generate_key())
    with pytest.raises(UnwrapError, match="none of the catalog's"):
        CatalogKeyring(home.catalog, stranger).add_imported(read_key_file(path, "FERNET"), "new")


def test_a_private_key_is_gone_from_workers_once_its_file_is(home: Home, target: str) -> None:
    """Workers are reused; what one of them opened is not kept beyond its file."""
    path = secret(home.project.path.parent, OTHER_PRIVATE)
    revealed = home.reveal(target, ["other"], "test", opener=path)
    assert sorted(row.other or "" for row in revealed.collect()) == ["", "o"]
    other = secret(home.project.path.parent, generate_pair("rsa2048")[0]).read_bytes()
    changes: list[tuple[Callable[[], object], str]] = [
        (lambda: path.chmod(0o640), "0640"),
        (lambda: replaced(path, other), "where the job began"),
        (path.unlink, "no key file"),
    ]
    for change, said in changes:
        change()
        with pytest.raises(PythonException) as caught:
            revealed.collect()
        error = from_text(str(caught.value))
        assert isinstance(error, KeysetError)
        assert said in str(error)
        assert "column other" in str(error)


def test_what_the_catalog_has_of_them(home: Home, target: str) -> None:
    facts = {fact.path: fact for fact in facts_of(home.catalog, "./table")}
    assert (facts["token"].scope, facts["token"].primitive) == ("imported:legacy", "FERNET")
    assert json.loads(facts["token"].settings or "") == {"key": "imported:legacy", "ttl": 3600}
    rows = [record for record in home.catalog.keysets() if record.scope == "imported:legacy"]
    assert [record.key_id for record in rows] == [facts["token"].key_id]
    assert all(SECRET.decode() not in record.wrapped for record in rows)
