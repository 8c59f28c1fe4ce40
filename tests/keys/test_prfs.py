"""Keysets whose keys are PRFs: what is built of them, against Tink's own PRFs."""

from __future__ import annotations

import base64
import json
import pickle
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
import tink
from tink import prf, secret_key_access
from tink.proto import common_pb2, hkdf_prf_pb2

from privpipe.errors import KeysetError, SecretTravels
from privpipe.kernels import AesCmac, HmacSha256
from privpipe.keys import (
    PRIMITIVES,
    KeyRef,
    associated_data,
    generate_wrapped,
    keyset_info,
    load_keyset,
    open_kek,
    open_ref,
)

prf.register()

PRFS = sorted(name for name, found in PRIMITIVES.items() if found.kernel is None)
VALUES = [b"", b"Baker", "Ünal".encode(), b"x" * 500]


def judge(ref: KeyRef) -> Any:
    """Tink's primary PRF of the same wrapped keyset."""
    handle = tink.json_proto_keyset_format.parse_encrypted(
        ref.wrapped, open_kek(ref.kek_uri), associated_data(ref.scope, ref.primitive)
    )
    return handle.primitive(prf.PrfSet).primary()


@pytest.mark.parametrize(
    ("primitive", "kernel", "size"),
    [("AES_CMAC_PRF", AesCmac, 16), ("HMAC_SHA256_PRF", HmacSha256, 32)],
)
def test_what_is_built_of_a_key_is_tinks(
    primitive: str, kernel: type[AesCmac | HmacSha256], size: int, kek: str
) -> None:
    ref = generate_wrapped("domain:email", primitive, kek)
    built: Any = open_ref(ref).built("plain", kernel)
    made = built.compute(pa.array(VALUES))
    assert made.to_pylist() == [judge(ref).compute(value, size) for value in VALUES]


@pytest.mark.parametrize("size", [16, 32, 64, 8160])
def test_what_is_derived_of_a_key_is_tinks(size: int, kek: str) -> None:
    ref = generate_wrapped("domain:email", "HKDF_SHA256_PRF", kek)
    for info in (b"", b"pp1:ff1", b"x" * 500):
        assert open_ref(ref).derived(info, size, "bytes", bytes) == judge(ref).compute(info, size)


@pytest.mark.parametrize("name", ["SHA256", "SHA512", "SHA1", "SHA384"])
@pytest.mark.parametrize("salt", [b"", b"some salt"])
def test_hkdf_keys_that_others_made(name: str, salt: bytes) -> None:
    """With the hash function and the salt that they say, where Tink takes these too."""
    params = hkdf_prf_pb2.HkdfPrfParams(hash=common_pb2.HashType.Value(name), salt=salt)
    key = hkdf_prf_pb2.HkdfPrfKey(params=params, key_value=bytes(range(32)))
    data = {
        "typeUrl": "type.googleapis.com/google.crypto.tink.HkdfPrfKey",
        "value": base64.b64encode(key.SerializeToString()).decode(),
        "keyMaterialType": "SYMMETRIC",
    }
    entry = {"keyData": data, "status": "ENABLED", "keyId": 5, "outputPrefixType": "RAW"}
    text = json.dumps({"primaryKeyId": 5, "key": [entry]})
    if name not in {"SHA256", "SHA512"}:
        with pytest.raises(KeysetError, match="only SHA-256 and SHA-512"):
            load_keyset(text)
        return
    theirs = tink.json_proto_keyset_format.parse(text, secret_key_access.TOKEN)
    made = load_keyset(text).derived(b"pp1:ff1", 100, "bytes", bytes)
    assert made == theirs.primitive(prf.PrfSet).primary().compute(b"pp1:ff1", 100)


@pytest.mark.parametrize("primitive", PRFS)
def test_a_prf_neither_encrypts_nor_travels(primitive: str, kek: str) -> None:
    ref = generate_wrapped("table:a", primitive, kek)
    keyset = open_ref(ref)
    assert keyset.key_ids == (ref.key_id,)
    assert keyset.deterministic
    (info,) = keyset_info(ref.wrapped)
    assert (info.key_id, info.prefix, info.primary) == (ref.key_id, "RAW", True)
    for act in (keyset.encrypt, keyset.decrypt, keyset.open_each):
        with pytest.raises(KeysetError, match="encrypts nothing"):
            act(pa.array(VALUES), b"")
    with pytest.raises(SecretTravels):
        pickle.dumps(keyset)


def _second(at: int, key: bytes) -> int:
    assert key
    return at


def test_things_are_built_once_for_each_name(kek: str) -> None:
    keyset = open_ref(generate_wrapped("table:a", "HKDF_SHA256_PRF", kek))
    first = keyset.built(("kernel", 1), lambda _: object())
    assert keyset.built(("kernel", 1), lambda _: object()) is first
    assert keyset.built(("kernel", 2), lambda _: object()) is not first
    other = keyset.derived(b"info", 32, ("kernel", 1), lambda _: object())
    assert other is not first
    assert keyset.derived(b"info", 32, ("kernel", 1), lambda _: object()) is other
    assert keyset.derived(b"other", 32, ("kernel", 1), lambda _: object()) is not other
    # However many there are, what is asked for is what is given.
    made = [keyset.built(("many", at), partial(_second, at)) for at in range(600)]
    assert made == list(range(600))
