"""Published vectors, singly and in batches (tests/vectors/SOURCES.md says where they are from)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from privpipe.errors import DecryptionError
from privpipe.kernels import AesGcm, AesSiv

pytestmark = pytest.mark.usefixtures("way")

Record = dict[str, Any]


def records(vectors: Path, family: str) -> Iterator[Record]:
    data = json.loads((vectors / f"{family}.json").read_text("utf-8"))
    for group in data["groups"]:
        common = {name: value for name, value in group.items() if name != "tests"}
        for test in group["tests"]:
            yield {**common, **test}


def unhex(record: Record, *names: str) -> tuple[bytes, ...]:
    """A forged ciphertext comes without a plaintext."""
    return tuple(bytes.fromhex(record.get(name, "")) for name in names)


def gcm_cases(vectors: Path) -> list[Record]:
    """What the kernel is for: 96-bit nonces, 128-bit tags, keys of 128 and 256 bits."""
    return [
        record
        for record in records(vectors, "aes_gcm")
        if record["nonce_bits"] == 96
        and record["tag_bits"] == 128
        and len(record["key"]) in (32, 64)
    ]


def siv_cases(vectors: Path) -> list[Record]:
    """Keys of 512 bits, and exactly one component of associated data."""
    return [
        record
        for record in records(vectors, "aes_siv")
        if len(record["key"]) == 128 and len(record["ads"]) == 1
    ]


def by_key(cases: list[Record], *names: str) -> dict[tuple[str, ...], list[Record]]:
    found: dict[tuple[str, ...], list[Record]] = {}
    for case in cases:
        found.setdefault(tuple(str(case[name]) for name in names), []).append(case)
    return found


def test_gcm_singly(vectors: Path) -> None:
    cases = gcm_cases(vectors)
    assert len(cases) > 100
    for case in cases:
        key, nonce, aad, value, ct, tag = unhex(case, "key", "nonce", "aad", "pt", "ct", "tag")
        kernel, sealed = AesGcm(key), pa.array([nonce + ct + tag])
        if case["result"] == "valid":
            made = kernel.encrypt(pa.array([value]), aad, nonces=nonce)
            assert made.equals(sealed), case["id"]
            assert kernel.decrypt(sealed, aad).to_pylist() == [value], case["id"]
        else:
            with pytest.raises(DecryptionError):
                kernel.decrypt(sealed, aad)


def test_gcm_in_batches(vectors: Path) -> None:
    """All cases of one key in one column, each row with its own nonce and associated data."""
    for (key,), cases in by_key(gcm_cases(vectors), "key").items():
        kernel = AesGcm(bytes.fromhex(key))
        rows = [unhex(case, "nonce", "aad", "pt", "ct", "tag") for case in cases] * 8
        good = [case["result"] == "valid" for case in cases] * 8
        aads = pa.array([row[1] for row in rows])
        sealed = pa.array([nonce + ct + tag for nonce, _, _, ct, tag in rows])
        plain, opened = kernel.open_each(sealed, aads)
        assert opened.tolist() == good
        assert plain.to_pylist() == [
            row[2] if ok else None for row, ok in zip(rows, good, strict=True)
        ]
        kept = pa.array(good)
        values = pa.array([row[2] for row in rows]).filter(kept)
        nonces = b"".join(row[0] for row, ok in zip(rows, good, strict=True) if ok)
        made = kernel.encrypt(values, aads.filter(kept), nonces=nonces)
        assert made.equals(sealed.filter(kept))


def test_gcm_in_batches_of_one_context(vectors: Path) -> None:
    for (key, aad), cases in by_key(gcm_cases(vectors), "key", "aad").items():
        kernel, context = AesGcm(bytes.fromhex(key)), bytes.fromhex(aad)
        valid = [case for case in cases if case["result"] == "valid"] * 200
        rows = [unhex(case, "nonce", "pt", "ct", "tag") for case in valid]
        sealed = pa.array([nonce + ct + tag for nonce, _, ct, tag in rows], pa.binary())
        values = pa.array([row[1] for row in rows], pa.binary())
        made = kernel.encrypt(values, context, nonces=b"".join(row[0] for row in rows))
        assert made.equals(sealed)
        assert kernel.decrypt(sealed, context).equals(values)


def test_siv_singly(vectors: Path) -> None:
    cases = siv_cases(vectors)
    assert len(cases) > 50
    for case in cases:
        key, value, siv, ct = unhex(case, "key", "pt", "siv", "ct")
        aad = bytes.fromhex(case["ads"][0])
        kernel, sealed = AesSiv(key), pa.array([siv + ct])
        if case["result"] == "valid":
            assert kernel.encrypt(pa.array([value]), aad).equals(sealed), case["id"]
            assert kernel.decrypt(sealed, aad).to_pylist() == [value], case["id"]
        else:
            with pytest.raises(DecryptionError):
                kernel.decrypt(sealed, aad)


def test_siv_in_batches(vectors: Path) -> None:
    for (key,), cases in by_key(siv_cases(vectors), "key").items():
        kernel = AesSiv(bytes.fromhex(key))
        rows = [unhex(case, "pt", "siv", "ct") for case in cases] * 200
        good = [case["result"] == "valid" for case in cases] * 200
        aads = pa.array([bytes.fromhex(case["ads"][0]) for case in cases] * 200)
        sealed = pa.array([siv + ct for _, siv, ct in rows])
        plain, opened = kernel.open_each(sealed, aads)
        assert opened.tolist() == good
        kept = pa.array(good)
        assert plain.filter(kept).to_pylist() == [
            row[0] for row, ok in zip(rows, good, strict=True) if ok
        ]
        values = pa.array([row[0] for row in rows]).filter(kept)
        assert kernel.encrypt(values, aads.filter(kept)).equals(sealed.filter(kept))


@pytest.mark.parametrize("copies", [1, 300])
def test_examples_of_the_standards(copies: int) -> None:
    """They stand here, so that this much is checked on a machine without the vectors."""
    # "The Galois/Counter Mode of Operation", test cases 4 (AES-128) and 14, 16 (AES-256).
    value = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    key, nonce = bytes.fromhex("feffe9928665731c6d6a8f9467308308"), "cafebabefacedbaddecaf888"
    text = (
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
    )
    check_gcm(key, nonce, aad, value, text + "5bc94fbc3221a5db94fae95ae7121a47", copies)
    text = (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
    )
    check_gcm(key * 2, nonce, aad, value, text + "76fc6ece0f4e1768cddf8853bb2d551b", copies)
    zeros = "cea7403d4d606b6e074ec5d3baf39d18" + "d0d1c8a799996bf0265b98b5d48ab919"
    check_gcm(bytes(32), "00" * 12, b"", bytes(16), zeros, copies)
    # OpenSSL's evpciph_aes_siv.txt: RFC 5297, A.1, with keys of 256 bits.
    descending = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0")
    ascending = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    siv = AesSiv(descending + ascending + ascending + descending)
    aad = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    values = pa.array([bytes.fromhex("112233445566778899aabbccddee")] * copies)
    text = "724dfb2eaf94dbb19b0ba3a299a0801e" + "f3b05a55498ec2552690b89810e4"
    cells = pa.array([bytes.fromhex(text)] * copies)
    assert siv.encrypt(values, aad).equals(cells)
    assert siv.decrypt(cells, aad).equals(values)


def check_gcm(key: bytes, nonce: str, aad: bytes, value: bytes, sealed: str, copies: int) -> None:
    kernel, values = AesGcm(key), pa.array([value] * copies)
    cells = pa.array([bytes.fromhex(nonce + sealed)] * copies)
    assert kernel.encrypt(values, aad, nonces=bytes.fromhex(nonce) * copies).equals(cells)
    assert kernel.decrypt(cells, aad).equals(values)
