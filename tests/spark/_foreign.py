"""What other programs leave behind: keysets in files, and values that those programs encrypted."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import tink
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tink import aead, daead, secret_key_access

from privpipe.kernels import _reference_foreign
from privpipe.testing import TestKey, keyset_json

aead.register()
daead.register()

KEY_A = keyset_json([TestKey(key_id=1_000_000_001, raw=bytes(range(16)))], primary=1_000_000_001)
KEY_B = keyset_json(
    [TestKey(key_id=7, raw=bytes(range(64)), type="AesSivKey", prefix="TINK")], primary=7
)
NONCE = bytes(12)


def secret(path: Path, text: str) -> str:
    """A file that its owner alone may read."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return str(path)


def k2(schema: Any, value: Any, *, name: str = "keyA", keyset: str = KEY_A) -> str:
    """A field as Kryptonite writes it, sealed by Tink itself."""
    handle = tink.json_proto_keyset_format.parse(keyset, secret_key_access.TOKEN)
    plain = _reference_foreign.avro_write(schema, value)
    if name == "keyB":
        sealed = handle.primitive(daead.DeterministicAead).encrypt_deterministically(
            plain, b"k203" + name.encode()
        )
        return _reference_foreign.k2_write(b"01", b"03", name, sealed).decode()
    sealed = handle.primitive(aead.Aead).encrypt(plain, b"k202" + name.encode())
    return _reference_foreign.k2_write(b"01", b"02", name, sealed).decode()


def vault(value: str, key: bytes, version: int, aad: bytes = b"") -> str:
    """A ciphertext of Vault's transit engine."""
    sealed = NONCE + AESGCM(key).encrypt(NONCE, value.encode(), aad)
    return f"vault:v{version}:{base64.b64encode(sealed).decode()}"
