"""Keysets and ciphertexts that tink-py made, through OpenKeyset: whole batches, and one by one."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from privpipe.errors import DecryptionError, KeysetError, UnwrapError
from privpipe.kernels import AesCmac, HmacSha256, HmacSha512
from privpipe.keys import KeyRef, associated_data, keyset_info, load_keyset, open_kek, open_ref
from privpipe.keys._tink import unwrap
from tests.interop.support import Record, Tink, json_keyset, records

DEFAULT_AAD = "schema.table.column"


@pytest.fixture(scope="module")
def keysets(vectors: Path) -> list[Record]:
    """The AEAD and DAEAD keysets, each with some 40 ciphertexts."""
    every = records(vectors, "tink_interop", "keysets")
    return [record for record in every if record["primitive"] in ("aead", "daead")]


@pytest.fixture(scope="module")
def keks(vectors: Path) -> dict[str, Record]:
    """The three KEKs by name."""
    found: dict[str, Record] = json.loads((vectors / "tink_interop.json").read_text("utf-8"))[
        "keks"
    ]
    return found


def columns(record: Record) -> tuple[pa.Array, pa.Array, list[bytes | None]]:
    """Ciphertexts, contexts, and what each opens to (None: it must not)."""
    samples = record["samples"]
    return (
        pa.array([base64.b64decode(sample["ct"]) for sample in samples], pa.binary()),
        pa.array([sample.get("aad", DEFAULT_AAD).encode() for sample in samples], pa.binary()),
        [
            base64.b64decode(sample["pt"]) if sample["result"] == "valid" else None
            for sample in samples
        ],
    )


def test_all_keysets_are_there(keysets: list[Record]) -> None:
    assert len(keysets) == 34
    kinds = {(record["type"], key["prefix"]) for record in keysets for key in record["keys"]}
    assert {("AES256_SIV", "RAW"), ("AES128_GCM", "CRUNCHY"), ("AES256_GCM", "TINK")} <= kinds


def test_a_mixed_batch_opens_what_tink_opens(keysets: list[Record]) -> None:
    for record in keysets:
        values, contexts, expected = columns(record)
        keyset = load_keyset(json.dumps(record["keyset"]))
        plain, mask = keyset.open_each(values, contexts)
        assert plain.to_pylist() == expected, record["name"]
        assert mask.tolist() == [each is not None for each in expected], record["name"]
        assert None in expected
        with pytest.raises(DecryptionError):
            keyset.decrypt(values, contexts)


def test_a_batch_of_one_context_decrypts(keysets: list[Record]) -> None:
    for record in keysets:
        values, contexts, expected = columns(record)
        rows = [
            at
            for at, plain in enumerate(expected)
            if plain is not None and contexts[at].as_py() == DEFAULT_AAD.encode()
        ]
        keyset = load_keyset(json.dumps(record["keyset"]))
        plain = keyset.decrypt(values.take(pa.array(rows)), DEFAULT_AAD.encode())
        assert plain.to_pylist() == [expected[at] for at in rows], record["name"]


def test_each_value_alone(keysets: list[Record]) -> None:
    for record in keysets:
        values, contexts, expected = columns(record)
        keyset = load_keyset(json.dumps(record["keyset"]))
        for at, plain in enumerate(expected):
            value, context = values.slice(at, 1), contexts[at].as_py()
            if plain is None:
                with pytest.raises(DecryptionError):
                    keyset.decrypt(value, context)
            else:
                assert keyset.decrypt(value, context).to_pylist() == [plain], record["name"]


def test_deterministic_values_come_out_byte_for_byte(keysets: list[Record]) -> None:
    compared = 0
    for record in keysets:
        if record["primitive"] != "daead":
            continue
        values, contexts, expected = columns(record)
        primary = [
            at
            for at, sample in enumerate(record["samples"])
            if sample["result"] == "valid" and "key_id" not in sample
        ]
        rows = pa.array(primary)
        keyset = load_keyset(json.dumps(record["keyset"]))
        plain = pa.array([expected[at] for at in primary], pa.binary())
        assert keyset.encrypt(plain, contexts.take(rows)).equals(values.take(rows))
        compared += len(primary)
    assert compared > 300


def test_tink_reads_what_we_write(keysets: list[Record]) -> None:
    for record in keysets:
        text = json.dumps(record["keyset"])
        keyset = load_keyset(text)
        judge = Tink(text, deterministic=record["primitive"] == "daead")
        assert keyset.deterministic == (record["primitive"] == "daead")
        _, contexts, expected = columns(record)
        plain = pa.array(expected, pa.binary())
        sealed = keyset.encrypt(plain, contexts)
        for value, context, want in zip(
            sealed.to_pylist(), contexts.to_pylist(), expected, strict=True
        ):
            assert value is None if want is None else judge.decrypt(value, context) == want


def test_key_ids_are_the_enabled_ones(keysets: list[Record]) -> None:
    for record in keysets:
        keyset = load_keyset(json.dumps(record["keyset"]))
        assert keyset.key_id == record["primary_key_id"]
        enabled = tuple(key["id"] for key in record["keys"] if key["status"] == "ENABLED")
        assert keyset.key_ids == enabled


def kek_files(keks: dict[str, Record], folder: Path) -> dict[str, str]:
    uris: dict[str, str] = {}
    for name, kek in keks.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(kek["keyset"]), "utf-8")
        path.chmod(0o600)
        uris[name] = f"file:{path}"
    return uris


def test_encrypted_keysets_open_under_their_kek(
    keysets: list[Record], keks: dict[str, Record], tmp_path: Path
) -> None:
    """Three KEKs of the file door (256 bits TINK and RAW, 128 bits RAW), each with its binding."""
    from privpipe.keys._keyset import _open

    uris = kek_files(keks, tmp_path)
    opened = 0
    for record in keysets:
        for form in record["encrypted"]:
            wrapped = json.dumps(form["encrypted_json"])
            kek = open_kek(uris[form["kek"]])
            values, contexts, expected = columns(record)
            keyset = _open(unwrap(wrapped, kek, form["aad"].encode()))
            assert keyset.open_each(values, contexts)[0].to_pylist() == expected
            infos = keyset_info(wrapped)
            assert [(i.key_id, i.status, i.prefix) for i in infos] == [
                (key["id"], key["status"], key["prefix"]) for key in record["keys"]
            ]
            assert [i.key_id for i in infos if i.primary] == [record["primary_key_id"]]
            with pytest.raises(UnwrapError):
                unwrap(wrapped, kek, b"another binding")
            opened += 1
    assert opened == 3 * len(keysets)


def test_a_foreign_binding_does_not_pass_as_ours(
    keysets: list[Record], keks: dict[str, Record], tmp_path: Path
) -> None:
    uris = kek_files(keks, tmp_path)
    form = keysets[0]["encrypted"][0]
    ref = KeyRef(
        scope="table:a",
        primitive="AES256_GCM",
        wrapped=json.dumps(form["encrypted_json"]),
        kek_uri=uris[form["kek"]],
        key_id=keysets[0]["primary_key_id"],
    )
    for each in (ref, replace(ref, kek_uri=uris["kek_raw_128"])):
        with pytest.raises(UnwrapError, match="table:a AES256_GCM"):
            open_ref(each)


def test_rotated_keysets_behind_a_ref(
    keysets: list[Record], keks: dict[str, Record], tmp_path: Path
) -> None:
    """Every shape of keyset, wrapped by Tink with our binding, opens by its ref."""
    import tink
    from tink import cleartext_keyset_handle

    uri = kek_files(keks, tmp_path)["kek_tink_256"]
    for record in keysets:
        primitive = "AES256_SIV" if record["primitive"] == "daead" else "AES256_GCM"
        text = json.dumps(record["keyset"])
        wrapped = tink.json_proto_keyset_format.serialize_encrypted(
            cleartext_keyset_handle.read(tink.JsonKeysetReader(text)),
            open_kek(uri),
            associated_data("domain:x", primitive),
        )
        ref = KeyRef(
            scope="domain:x",
            primitive=primitive,
            wrapped=wrapped,
            kek_uri=uri,
            key_id=record["primary_key_id"],
        )
        values, contexts, expected = columns(record)
        assert open_ref(ref).open_each(values, contexts)[0].to_pylist() == expected


def test_edge_keysets_are_refused_as_tink_does(vectors: Path) -> None:
    """Except that a keyset of SIV keys alone, which Tink refuses as an AEAD, has its own use."""
    edges = records(vectors, "tink_interop", "edge_keysets")
    assert len(edges) == 15
    for edge in edges:
        text = json_keyset(edge["keyset_proto_b64"])
        if edge["result"] == "valid" or edge["name"] == "wrong_primitive":
            assert load_keyset(text).key_ids, edge["name"]
        else:
            with pytest.raises(KeysetError) as caught:
                load_keyset(text)
            assert caught.value.message, edge["name"]


def test_a_keyset_of_legacy_prefix_works_both_ways(vectors: Path) -> None:
    (edge,) = (
        edge
        for edge in records(vectors, "tink_interop", "edge_keysets")
        if edge["name"] == "legacy_prefix_aead"
    )
    text = json_keyset(edge["keyset_proto_b64"])
    judge, keyset = Tink(text, deterministic=False), load_keyset(text)
    sealed = keyset.encrypt(pa.array([b"x", b""]), b"y")
    assert [judge.decrypt(value, b"y") for value in sealed.to_pylist()] == [b"x", b""]
    theirs = pa.array([judge.encrypt(b"x", b"y")])
    assert theirs[0].as_py()[0] == 0
    assert keyset.decrypt(theirs, b"y").to_pylist() == [b"x"]


def test_prf_keysets_compute_what_tink_computes(vectors: Path) -> None:
    kernels = {
        "AES_CMAC_PRF": AesCmac,
        "HMAC_SHA256_PRF": HmacSha256,
        "HMAC_SHA512_PRF": HmacSha512,
    }
    prfs = [
        record
        for record in records(vectors, "tink_interop", "keysets")
        if record["primitive"] not in ("aead", "daead")
    ]
    assert len(prfs) == 12
    for record in prfs:
        keyset = load_keyset(json.dumps(record["keyset"]))
        assert keyset.key_id == record["primary_key_id"]
        assert keyset.hash == ("SHA512" if "SHA512" in record["name"] else "SHA256")
        build: Any = kernels[record["type"]]
        kernel: AesCmac | HmacSha256 = keyset.built("plain", build)
        samples = record["samples"]
        tags = kernel.compute(pa.array([base64.b64decode(each["msg"]) for each in samples]))
        for tag, sample in zip(tags.to_pylist(), samples, strict=True):
            own = base64.b64decode(sample["out"][str(keyset.key_id)])
            assert tag[: len(own)] == own
