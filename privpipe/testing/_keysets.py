"""Keysets with chosen keys, as no one should make them outside a test."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

_URL = "type.googleapis.com/google.crypto.tink."

# The tag of the field that holds the key in Tink's message: field 3 of AesGcmKey, 2 of AesSivKey.
_FIELD = MappingProxyType({"AesGcmKey": 0x1A, "AesSivKey": 0x12})


@dataclass(frozen=True, slots=True, kw_only=True)
class TestKey:
    """One key of a keyset to build.

    `raw`: 16 or 32 bytes for AesGcmKey, 64 for AesSivKey. `prefix`: TINK, RAW, CRUNCHY or LEGACY.
    `status`: ENABLED, DISABLED or DESTROYED.
    """

    __test__ = False  # pytest, this is no test

    key_id: int
    raw: bytes
    type: str = "AesGcmKey"
    prefix: str = "TINK"
    status: str = "ENABLED"


def keyset_json(keys: Iterable[TestKey], *, primary: int) -> str:
    """A cleartext Tink JSON keyset of these keys: what `load_keyset` and every Tink read.

    >>> text = keyset_json([TestKey(key_id=7, raw=bytes(32))], primary=7)
    >>> json.loads(text)["primaryKeyId"]
    7
    """
    return json.dumps({"primaryKeyId": primary, "key": [_key(key) for key in keys]})


def _key(key: TestKey) -> dict[str, object]:
    value = bytes([_FIELD[key.type], len(key.raw)]) + key.raw
    return {
        "keyData": {
            "typeUrl": _URL + key.type,
            "value": base64.b64encode(value).decode(),
            "keyMaterialType": "SYMMETRIC",
        },
        "status": key.status,
        "keyId": key.key_id,
        "outputPrefixType": key.prefix,
    }
