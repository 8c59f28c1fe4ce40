"""The real library beside ours: each reads what the other writes, over fresh keysets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
import tink
from hypothesis import given, settings
from hypothesis import strategies as st
from tink import aead, daead

from privpipe.keys import associated_data, generate_kek, generate_wrapped, open_kek, open_ref
from privpipe.keys._keyset import open_wrapped
from privpipe.testing import TestKey, keyset_json
from tests.interop.support import Tink

LENGTHS = [0, 1, 5, 11, 15, 16, 17, 31, 32, 33, 64, 100, 255, 256, 257, 1000, 4096, 5000]


@pytest.mark.parametrize("primitive", ["AES256_GCM", "AES256_SIV"])
def test_a_keyset_of_ours_in_tinks_hands(primitive: str, tmp_path: Path) -> None:
    """Wrapped by us, opened by Tink from the catalog's text: ciphertexts pass both ways."""
    kek = generate_kek(tmp_path / "kek.json")
    ref = generate_wrapped("table:clinic.patients", primitive, kek)
    handle = tink.json_proto_keyset_format.parse_encrypted(
        ref.wrapped, open_kek(kek), associated_data(ref.scope, ref.primitive)
    )
    if primitive == "AES256_SIV":
        siv = handle.primitive(daead.DeterministicAead)
        seal, unseal = siv.encrypt_deterministically, siv.decrypt_deterministically
    else:
        gcm = handle.primitive(aead.Aead)
        seal, unseal = gcm.encrypt, gcm.decrypt
    keyset = open_ref(ref)
    plain = [os.urandom(length) for length in LENGTHS]
    context = b"pp1:c:clinic.patients/surname:string"
    ours = keyset.encrypt(pa.array(plain), context).to_pylist()
    assert [unseal(value, context) for value in ours] == plain
    theirs = [seal(value, context) for value in plain]
    assert keyset.decrypt(pa.array(theirs), context).to_pylist() == plain
    if primitive == "AES256_SIV":
        assert theirs == ours


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from([("AesGcmKey", 16), ("AesGcmKey", 32), ("AesSivKey", 64)]),
    prefix=st.sampled_from(["TINK", "RAW", "CRUNCHY", "LEGACY"]),
    key_id=st.integers(1, 2**32 - 1),
    context=st.binary(max_size=60),
    plain=st.lists(st.binary(max_size=80), min_size=1, max_size=8),
)
def test_any_keyset_passes_both_ways(
    kind: tuple[str, int], prefix: str, key_id: int, context: bytes, plain: list[bytes]
) -> None:
    from privpipe.keys import load_keyset

    key = TestKey(key_id=key_id, raw=os.urandom(kind[1]), type=kind[0], prefix=prefix)
    text = keyset_json([key], primary=key_id)
    judge = Tink(text, deterministic=kind[0] == "AesSivKey")
    keyset = load_keyset(text)
    ours = keyset.encrypt(pa.array(plain, pa.binary()), context).to_pylist()
    assert [judge.decrypt(value, context) for value in ours] == plain
    theirs = pa.array([judge.encrypt(value, context) for value in plain], pa.binary())
    assert keyset.decrypt(theirs, context).to_pylist() == plain


def test_a_kek_of_tinks_making(tmp_path: Path) -> None:
    """Any AEAD keyset of Tink may be the KEK, not ours alone."""
    key = TestKey(key_id=3_000_000_000, raw=os.urandom(16), prefix="RAW")
    path = tmp_path / "kek.json"
    path.write_text(keyset_json([key], primary=key.key_id), "utf-8")
    path.chmod(0o600)
    ref = generate_wrapped("domain:email", "AES256_SIV", f"file:{path}")
    assert open_wrapped(ref).key_id == ref.key_id
    assert "keysetInfo" in json.loads(ref.wrapped)
