"""The keyset builder: what it builds, Tink reads."""

from __future__ import annotations

import pytest
import tink
from tink import aead, cleartext_keyset_handle, daead

from privpipe.testing import TestKey, keyset_json

aead.register()
daead.register()


@pytest.mark.parametrize("prefix", ["TINK", "RAW", "CRUNCHY", "LEGACY"])
@pytest.mark.parametrize("size", [16, 32])
def test_tink_reads_a_built_aead_keyset(size: int, prefix: str) -> None:
    keys = [
        TestKey(key_id=2**32 - 1, raw=bytes(size), prefix=prefix),
        TestKey(key_id=5, raw=b"5" * 32, status="DISABLED"),
        TestKey(key_id=6, raw=b"6" * 32, status="DESTROYED"),
    ]
    text = keyset_json(keys, primary=2**32 - 1)
    handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(text))
    sealed = handle.primitive(aead.Aead).encrypt(b"x", b"y")
    assert len(sealed) == 1 + 28 + (0 if prefix == "RAW" else 5)
    assert [key.status for key in handle.keyset_info().key_info] == [1, 2, 3]


def test_tink_reads_a_built_daead_keyset() -> None:
    text = keyset_json([TestKey(key_id=1, raw=bytes(range(64)), type="AesSivKey")], primary=1)
    handle = cleartext_keyset_handle.read(tink.JsonKeysetReader(text))
    siv = handle.primitive(daead.DeterministicAead)
    assert siv.decrypt_deterministically(siv.encrypt_deterministically(b"x", b""), b"") == b"x"
