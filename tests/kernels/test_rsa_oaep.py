"""Data keys sealed by RSA-OAEP: published vectors, and OpenSSL's own command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from privpipe.errors import DecryptionError, KeysetError
from privpipe.kernels._rsa_oaep import check_size, open_key, seal_key

Record = dict[str, Any]

HASHES = {
    "SHA-1": hashes.SHA1(),  # noqa: S303 -- the vectors' own
    "SHA-256": hashes.SHA256(),
    "SHA-512": hashes.SHA512(),
}


def records(vectors: Path) -> Iterator[Record]:
    data = json.loads((vectors / "rsa_oaep.json").read_text("utf-8"))
    for group in data["groups"]:
        common = {name: value for name, value in group.items() if name != "tests"}
        key = load_der_private_key(bytes.fromhex(group["key_pkcs8"]), password=None)
        for test in group["tests"]:
            yield {**common, **test, "private": key}


def is_ours(case: Record) -> bool:
    """SHA-256 twice, and the empty label."""
    return {case["hash"], case["mgf_hash"]} == {"SHA-256"} and not case["label"]


@pytest.fixture(scope="module")
def private() -> RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def opens(case: Record, **padding: OAEP) -> bool:
    """Whether a case opens; then to the published plaintext."""
    text = bytes.fromhex(case["ct"])
    try:
        plain = open_key(case["private"], text, **padding)
    except DecryptionError:
        return False
    assert plain == bytes.fromhex(case["pt"]), case["id"]
    return True


def test_published_ciphertexts(vectors: Path) -> None:
    cases = [case for case in records(vectors) if is_ours(case)]
    assert {case["key_bits"] for case in cases} == {2048, 3072, 4096}
    assert len(cases) > 30
    for case in cases:
        check_size(case["key_bits"])
        assert opens(case) == (case["result"] == "valid"), case["id"]


def test_published_ciphertexts_of_other_hashes_and_labels(vectors: Path) -> None:
    cases = [case for case in records(vectors) if not is_ours(case)]
    assert len(cases) > 60
    for case in cases:
        padding = OAEP(
            mgf=MGF1(HASHES[case["mgf_hash"]]),
            algorithm=HASHES[case["hash"]],
            label=bytes.fromhex(case["label"]) or None,
        )
        assert opens(case, padding=padding) == (case["result"] == "valid"), case["id"]
        if case["result"] == "valid":
            assert not opens(case), "another hash or label opens nothing of ours"


def test_it_comes_back_and_each_sealing_differs(private: RSAPrivateKey) -> None:
    data_key = os.urandom(32)
    sealed = {seal_key(private.public_key(), data_key) for _ in range(20)}
    assert len(sealed) == 20
    assert {len(one) for one in sealed} == {256}
    assert {open_key(private, one) for one in sealed} == {data_key}


def test_whatever_is_altered_fails_in_the_same_words(private: RSAPrivateKey) -> None:
    sealed = seal_key(private.public_key(), os.urandom(32))
    numbers = private.private_numbers().public_numbers
    # No padding at all, a leading byte that is not zero, the modulus itself, wrong sizes.
    broken = [b"", sealed[:-1], sealed + b"\0", bytes(256), b"\xff" * 256,
              numbers.n.to_bytes(256, "big"), pow(2, numbers.e, numbers.n).to_bytes(256, "big"),
              pow(numbers.n - 1, numbers.e, numbers.n).to_bytes(256, "big")]  # fmt: skip
    for place in (0, 1, 128, 255):
        other = bytearray(sealed)
        other[place] ^= 1
        broken.append(bytes(other))
    said = set()
    for one in broken:
        with pytest.raises(DecryptionError) as caught:
            open_key(private, one)
        assert caught.value.__cause__ is None
        said.add(str(caught.value))
    assert len(said) == 1
    with pytest.raises(DecryptionError):
        open_key(rsa.generate_private_key(65537, 2048), sealed)


@pytest.mark.parametrize("bits", [1024, 2047, 4097, 8192])
def test_other_sizes_are_refused_by_name(bits: int) -> None:
    with pytest.raises(KeysetError, match=f"{bits} bits"):
        check_size(bits)


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_the_sizes_in_use_are_taken(bits: int) -> None:
    check_size(bits)


def openssl(verb: str, key: Path, data: bytes, *more: str) -> bytes:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not on this machine: nothing else reads what we seal")
    options = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"]
    command = [program, "pkeyutl", verb, "-inkey", str(key), *more]
    for option in options:
        command += ["-pkeyopt", option]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def test_openssl_opens_it_and_is_opened(private: RSAPrivateKey, tmp_path: Path) -> None:
    secret, open_ = tmp_path / "private.pem", tmp_path / "public.pem"
    secret.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    open_.write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    data_key = os.urandom(32)
    sealed = seal_key(private.public_key(), data_key)
    assert openssl("-decrypt", secret, sealed) == data_key
    assert open_key(private, openssl("-encrypt", open_, data_key, "-pubin")) == data_key
