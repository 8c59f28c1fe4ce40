"""What Tink's repositories, BigQuery and others publish, through OpenKeyset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from privpipe.errors import DecryptionError, KeysetError, UnwrapError
from privpipe.keys import KeyRef, keyset_info, load_keyset, open_kek, open_ref
from privpipe.keys._tink import unwrap
from tests.interop.support import Record, Tink, records

OURS = ("AesGcmKey", "AesSivKey")


@pytest.fixture(scope="module")
def published(vectors: Path) -> dict[str, list[Record]]:
    """The records by kind."""
    kinds: dict[str, list[Record]] = {}
    for record in records(vectors, "tink_published", "items"):
        kinds.setdefault(record["kind"], []).append(record)
    return kinds


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def usable(record: Record) -> bool:
    """AES-SIV keys of 32 and 48 bytes are RFC 5297's; tink-py refuses them."""
    return record["key_type"] == "AesGcmKey" or (
        record["key_type"] == "AesSivKey" and len(unhex(record["key"])) == 64
    )


def test_published_ciphertexts(published: dict[str, list[Record]]) -> None:
    tried = [record for record in published["ciphertext"] if usable(record)]
    assert {(r["key_type"], r["prefix"]) for r in tried} >= {
        ("AesGcmKey", "RAW"),
        ("AesGcmKey", "CRUNCHY"),
        ("AesGcmKey", "TINK"),
        ("AesSivKey", "RAW"),
        ("AesSivKey", "TINK"),
        ("AesSivKey", "CRUNCHY"),
    }
    for record in tried:
        keyset = load_keyset(json.dumps(record["keyset"]))
        value = pa.array([unhex(record["ct"])])
        plain, context = unhex(record["pt"]), unhex(record["aad"])
        assert keyset.decrypt(value, context).to_pylist() == [plain]
        column = pa.array([unhex(record["ct"]), None] * 40)
        assert keyset.decrypt(column, context).to_pylist() == [plain, None] * 40
        if keyset.deterministic:
            assert keyset.encrypt(pa.array([plain]), context).equals(value)
        with pytest.raises(DecryptionError):
            keyset.decrypt(column, context + b"x")


def test_published_keys_that_are_none_of_ours(published: dict[str, list[Record]]) -> None:
    others = [record for record in published["ciphertext"] if not usable(record)]
    assert len(others) == 6
    for record in others:
        with pytest.raises(KeysetError) as caught:
            load_keyset(json.dumps(record["keyset"]))
        assert str(caught.value.where).startswith("key ")
    for record in published["mac"]:
        with pytest.raises(KeysetError, match="not one that privpipe can use"):
            load_keyset(json.dumps(record["keyset"]))
    # PRFs over SHA-256, and AES-CMAC under 256 bits, as Tink itself takes.
    taken = []
    for record in published["prf"]:
        try:
            taken.append(load_keyset(json.dumps(record["keyset"])).type_url.rpartition(".")[2])
        except KeysetError as error:
            assert error.where == "key 1"  # noqa: PT017 (which of them fail is the next line's)
    assert sorted(taken) == ["AesCmacPrfKey", "HmacPrfKey"]


def test_published_keysets_with_their_ciphertexts(published: dict[str, list[Record]]) -> None:
    """BigQuery's own output, googlesql's compliance keysets, kryptonite's samples."""
    found = published["keyset_ciphertexts"]
    assert {"bq query output" in record["source"] for record in found} == {True, False}
    seen = 0
    for record in found:
        keyset = load_keyset(json.dumps(record["keyset"]))
        samples: list[dict[str, Any]] = record["samples"]
        values = pa.array([unhex(sample["ct"]) for sample in samples])
        contexts = pa.array([unhex(sample["aad"]) for sample in samples])
        plain = [unhex(sample["pt"]) for sample in samples]
        assert keyset.decrypt(values, contexts).to_pylist() == plain
        for at, sample in enumerate(samples):
            alone = keyset.decrypt(values.slice(at, 1), unhex(sample["aad"]))
            assert alone.to_pylist() == [plain[at]]
        judge = Tink(json.dumps(record["keyset"]), deterministic=record["primitive"] == "daead")
        sealed = keyset.encrypt(pa.array(plain), contexts).to_pylist()
        for value, context, want in zip(sealed, contexts.to_pylist(), plain, strict=True):
            assert judge.decrypt(value, context) == want
        seen += len(samples)
    assert seen >= 30


def test_published_encrypted_keysets(published: dict[str, list[Record]], tmp_path: Path) -> None:
    for at, record in enumerate(published["encrypted_keyset"]):
        kek = tmp_path / f"{at}.json"
        kek.write_text(json.dumps(record["kek_keyset"]), "utf-8")
        kek.chmod(0o600)
        aead, wrapped = open_kek(f"file:{kek}"), record["encrypted"]
        handle = unwrap(wrapped, aead, unhex(record["aad"]))
        info: Any = handle.keyset_info()
        expected = record["expect_keyset"]
        assert info.primary_key_id == expected["primaryKeyId"]
        assert [key.key_id for key in info.key_info] == [k["keyId"] for k in expected["key"]]
        with pytest.raises(UnwrapError):
            unwrap(wrapped, aead, unhex(record["aad"]) + b"x")
        ref = KeyRef(
            scope="table:a",
            primitive="AES256_GCM",
            wrapped=wrapped,
            kek_uri=f"file:{kek}",
            key_id=info.primary_key_id,
        )
        with pytest.raises(UnwrapError):  # made with another binding than ours
            open_ref(ref)


def test_keyset_info_of_published_encrypted_keysets(published: dict[str, list[Record]]) -> None:
    with_info, without = published["encrypted_keyset"]
    assert [(i.key_id, i.type, i.primary) for i in keyset_info(with_info["encrypted"])] == [
        (102, "AesGcmKey", True),
        (103, "AesSivKey", False),
    ]
    with pytest.raises(KeysetError, match="carries no keysetInfo"):
        keyset_info(without["encrypted"])


def test_a_published_keyset_of_two_primitives_is_refused(
    published: dict[str, list[Record]],
) -> None:
    expected = published["encrypted_keyset"][0]["expect_keyset"]
    with pytest.raises(KeysetError, match="key 102, key 103: the keyset mixes 2 types"):
        load_keyset(json.dumps(expected))


def test_json_keysets_parse_as_tink_py_parses_them(published: dict[str, list[Record]]) -> None:
    assert len(published["keyset_parse"]) == 9
    for record in published["keyset_parse"]:
        if record["tink_py_accepts"]:
            assert load_keyset(record["json_keyset"]).key_id == 42, record["id"]
        else:
            with pytest.raises(KeysetError):
                load_keyset(record["json_keyset"])
