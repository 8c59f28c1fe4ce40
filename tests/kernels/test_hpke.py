"""Data keys sealed by HPKE: published vectors, the twin, and Tink."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.bindings._rust import openssl as rust_openssl
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import DecryptionError, KeysetError
from privpipe.kernels._hpke import check_public, open_key, seal_key
from privpipe.kernels._reference_seal import HpkeTwin, shared_secret

Record = dict[str, Any]

INFO = b"pp1:s"
X25519 = 0x20
CURVES = {0x10: ec.SECP256R1(), 0x11: ec.SECP384R1(), 0x12: ec.SECP521R1()}
KEMS = {X25519: KEM.X25519, 0x10: KEM.P256, 0x11: KEM.P384, 0x12: KEM.P521}
KDFS = {1: KDF.HKDF_SHA256, 2: KDF.HKDF_SHA384, 3: KDF.HKDF_SHA512}
AEADS = {1: AEAD.AES_128_GCM, 2: AEAD.AES_256_GCM, 3: AEAD.CHACHA20_POLY1305}


def records(vectors: Path, family: str) -> Iterator[Record]:
    data = json.loads((vectors / f"{family}.json").read_text("utf-8"))
    for group in data["groups"]:
        common = {name: value for name, value in group.items() if name != "tests"}
        for test in group["tests"]:
            yield {**common, **test}


def suite_of(record: Record) -> Suite:
    return Suite(KEMS[record["kem_id"]], KDFS[record["kdf_id"]], AEADS[record["aead_id"]])


def private_of(record: Record) -> X25519PrivateKey | ec.EllipticCurvePrivateKey:
    key = bytes.fromhex(record["key"])
    if record["kem_id"] == X25519:
        return X25519PrivateKey.from_private_bytes(key)
    return ec.derive_private_key(int.from_bytes(key, "big"), CURVES[record["kem_id"]])


def unhex(record: Record, *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(record[name]) for name in names)


def test_the_twin_opens_every_x25519_vector(vectors: Path) -> None:
    cases = [case for case in records(vectors, "hpke") if case["kem_id"] == X25519]
    assert len(cases) > 5
    for case in cases:
        key, info, enc, text, aad, plain = unhex(case, "key", "info", "enc", "ct", "aad", "pt")
        twin = HpkeTwin(kdf_id=case["kdf_id"], aead_id=case["aead_id"])
        opened = twin.open(key, info, enc + text, aad=aad, seq=case["seq"])
        assert opened == plain, case["id"]
        if case["seq"] == 0:
            assert twin.seal(bytes.fromhex(case["shared_secret"]), info, plain, aad=aad) == text


def test_the_library_opens_the_first_message_of_every_setup(vectors: Path) -> None:
    """All suites; with associated data, which the published messages have and data keys do not."""
    cases = [case for case in records(vectors, "hpke") if case["seq"] == 0]
    assert len(cases) > 5
    for case in cases:
        info, enc, text, aad, plain = unhex(case, "info", "enc", "ct", "aad", "pt")
        opened = rust_openssl.hpke._decrypt_with_aad(
            suite_of(case), enc + text, private_of(case), info, aad
        )
        assert opened == plain, case["id"]


def test_a_published_tink_ciphertext_opens(vectors: Path) -> None:
    items = json.loads((vectors / "tink_published.json").read_text("utf-8"))["items"]
    cases = [item for item in items if item["kind"] == "hpke"]
    assert any(case["kem_id"] == X25519 for case in cases)
    for case in cases:
        info, text, plain = unhex(case, "info", "ct", "pt")
        if case["prefix"] != "RAW":
            text = text[5:]
        private = private_of(case)
        if isinstance(private, X25519PrivateKey):
            opened = open_key(private, info, text, suite=suite_of(case))
        else:
            opened = suite_of(case).decrypt(text, private, info)
        assert opened == plain, case["id"]


def test_x25519_vectors_decide_what_opens(vectors: Path) -> None:
    """Each public point as an encapsulated key: the published shared secret must be ours."""
    low = 0
    for case in records(vectors, "x25519"):
        key, enc, dh = unhex(case, "private", "public", "shared")
        private = X25519PrivateKey.from_private_bytes(key)
        own = private.public_key().public_bytes_raw()
        sealed = enc + HpkeTwin().seal(shared_secret(dh, enc, own), INFO, bytes(32))
        if "ZeroSharedSecret" in case["flags"]:
            low += 1
            with pytest.raises(DecryptionError):
                open_key(private, INFO, sealed)
            with pytest.raises(KeysetError, match="low order"):
                check_public(X25519PublicKey.from_public_bytes(enc))
            with pytest.raises(KeysetError, match="low order"):
                seal_key(X25519PublicKey.from_public_bytes(enc), INFO, bytes(32))
        else:
            assert open_key(private, INFO, sealed) == bytes(32), case["id"]
            check_public(X25519PublicKey.from_public_bytes(enc))
    assert low > 5


@given(private=st.binary(min_size=32, max_size=32), info=st.binary(max_size=40),
       data_key=st.binary(max_size=64))  # fmt: skip
def test_it_agrees_with_its_twin(private: bytes, info: bytes, data_key: bytes) -> None:
    key = X25519PrivateKey.from_private_bytes(private)
    sealed = seal_key(key.public_key(), info, data_key)
    assert len(sealed) == 48 + len(data_key)
    assert HpkeTwin().open(private, info, sealed) == data_key
    ephemeral = X25519PrivateKey.from_private_bytes(bytes(31) + b"\x01")
    enc = ephemeral.public_key().public_bytes_raw()
    secret = shared_secret(
        ephemeral.exchange(key.public_key()), enc, key.public_key().public_bytes_raw()
    )
    assert open_key(key, info, enc + HpkeTwin().seal(secret, info, data_key)) == data_key


def test_an_example_of_the_standard() -> None:
    """RFC 9180, A.1.1: DHKEM(X25519), HKDF-SHA256, AES-128-GCM; of the setup, key and nonce."""
    secret = bytes.fromhex("fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc")
    text = HpkeTwin(aead_id=1).seal(
        secret,
        b"Ode on a Grecian Urn",
        b"Beauty is truth, truth beauty",
        aad=b"Count-0",
    )
    assert text.hex() == (
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
    )


def test_whatever_is_altered_does_not_open() -> None:
    private = X25519PrivateKey.generate()
    sealed = seal_key(private.public_key(), INFO, os.urandom(32))
    for place in range(len(sealed)):
        for bit in (0, 7):
            # X25519 ignores the highest bit of a point; the shared secret is bound to its bytes.
            other = bytearray(sealed)
            other[place] ^= 1 << bit
            with pytest.raises(DecryptionError):
                open_key(private, INFO, bytes(other))
    for broken in (b"", sealed[:31], sealed[:32], sealed[:47], sealed[:-1], sealed + b"\0"):
        with pytest.raises(DecryptionError):
            open_key(private, INFO, broken)
    with pytest.raises(DecryptionError):
        open_key(private, b"pp1:t", sealed)
    with pytest.raises(DecryptionError):
        open_key(X25519PrivateKey.generate(), INFO, sealed)


def test_each_sealing_differs() -> None:
    public = X25519PrivateKey.generate().public_key()
    assert len({seal_key(public, INFO, bytes(32)) for _ in range(50)}) == 50


def test_tink_opens_it_and_is_opened() -> None:
    from tink import cleartext_keyset_handle, hybrid
    from tink.proto import hpke_pb2, tink_pb2

    hybrid.register()
    private = X25519PrivateKey.generate()
    params = hpke_pb2.HpkeParams(
        kem=hpke_pb2.DHKEM_X25519_HKDF_SHA256,
        kdf=hpke_pb2.HKDF_SHA256,
        aead=hpke_pb2.AES_256_GCM,
    )
    public = hpke_pb2.HpkePublicKey(
        params=params, public_key=private.public_key().public_bytes_raw()
    )
    key = hpke_pb2.HpkePrivateKey(public_key=public, private_key=private.private_bytes_raw())
    data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.HpkePrivateKey",
        value=key.SerializeToString(),
        key_material_type=tink_pb2.KeyData.ASYMMETRIC_PRIVATE,
    )
    entry = tink_pb2.Keyset.Key(
        key_data=data, status=tink_pb2.ENABLED, key_id=7, output_prefix_type=tink_pb2.RAW
    )
    handle = cleartext_keyset_handle.from_keyset(tink_pb2.Keyset(primary_key_id=7, key=[entry]))
    data_key = os.urandom(32)
    sealed = seal_key(private.public_key(), INFO, data_key)
    assert handle.primitive(hybrid.HybridDecrypt).decrypt(sealed, INFO) == data_key
    theirs = handle.public_keyset_handle().primitive(hybrid.HybridEncrypt).encrypt(data_key, INFO)
    assert open_key(private, INFO, theirs) == data_key
