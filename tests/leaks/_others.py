"""What the leak search plants in a table of every protection but plain encryption."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from tink.proto import aes_cmac_prf_pb2, common_pb2, hkdf_prf_pb2, hmac_prf_pb2

__all__ = ["COLUMNS", "KEYS", "POLICY", "REVERSIBLE", "VALUES", "keysets", "write"]

ROWS = 300

# A column, its rule, and the value that stands in some of its rows.
COLUMNS: dict[str, tuple[str, str]] = {
    "token": ("{protect: tokenize, alphabet: digits, length: 16, tweak: id}", "9316475028813364"),
    "vaulted": ("{protect: vault, vault: leaks}", "~~Vaulted-Canary-1182"),
    "named": ("{protect: pseudonymize, domain: people}", "~~Pseudonym-Canary-4093"),
    "hashed": ("{protect: pseudonymize, algorithm: hmac}", "~~Hashed-Canary-7725"),
    "masked": ("{protect: mask, show: {first: 2}}", "~~Masked-Canary-3346"),
    "redacted": ("redact", "~~Redacted-Canary-9981"),
    "replaced": ("{protect: replace, value: x}", "~~Replaced-Canary-6617"),
    "listed": ("{protect: replace, dictionary: [Ada, Bob, Eve]}", "~~Listed-Canary-5508"),
    "coarse": ("{protect: generalize, prefix: 2}", "~~Coarse-Canary-2230"),
    "fernet": ("fernet", "~~Fernet-Canary-8854"),
    "legacy": ("{protect: fernet, key: 'imported:legacy'}", "~~Legacy-Canary-5129"),
    "sealed": ("{protect: seal, public_key: public.pem}", "~~Sealed-Canary-1479"),
    "raw": ("{protect: encrypt, prefix: raw}", "~~Raw-Canary-3061"),
    "bound": ("{protect: encrypt, bind: [named]}", "~~Bound-Canary-7493"),
}
REVERSIBLE = ["token", "vaulted", "fernet", "legacy", "sealed", "raw", "bound"]
MOVED = date(1907, 3, 29)
"""A date that no clock of a run shows."""

POLICY = "".join(
    [
        "version: 1\ntable: leaks.others\ncolumns:\n  id: keep\n",
        *(f"  {name}: {rule}\n" for name, (rule, _) in COLUMNS.items()),
        "  born: {protect: shift, days: 900, subject: named}\n",
    ]
)
VALUES: dict[str, str] = {
    **{f"{name}'s value": value for name, (_, value) in COLUMNS.items()},
    "born's value": MOVED.isoformat(),
}

_PRIVATE = bytes((at * 83 + 61) % 256 for at in range(32))
_LEGACY = bytes((at * 89 + 17) % 256 for at in range(32))
_DERIVING = bytes((at * 73 + 119) % 256 for at in range(32))


def _derived(info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(_DERIVING)


_PRFS: Mapping[str, bytes] = MappingProxyType(
    {
        "AES_CMAC_PRF": bytes((at * 61 + 7) % 256 for at in range(32)),
        "HMAC_SHA256_PRF": bytes((at * 113 + 29) % 256 for at in range(32)),
        "HKDF_SHA256_PRF": _DERIVING,
    }
)
KEYS: dict[str, bytes] = {
    "the private key": _PRIVATE,
    "the imported key": _LEGACY,
    **{f"the key of {primitive}": key for primitive, key in _PRFS.items()},
    "the tokens' derived key": _derived(b"pp1:ff1"),
    "the Fernet tokens' derived key": _derived(b"pp1:fernet"),
    "the list's derived key": _derived(b"pp1:dictionary"),
}


def write(folder: Path) -> None:
    """Source, policy, key pair and Fernet key, in the folder that `_scene` builds."""
    rows = range(ROWS)
    columns: dict[str, list[object]] = {"id": [f"r{at}" for at in rows]}
    for name, (_, canary) in COLUMNS.items():
        other = f"{{:0{len(canary)}d}}" if name == "token" else f"{name} {{}}"
        columns[name] = [
            canary if at % 100 == 7 else None if at % 100 == 9 else other.format(at) for at in rows
        ]
    columns["born"] = [MOVED if at % 100 == 7 else date(2000, 1, 1) + timedelta(at) for at in rows]
    columns["named"] = [value or "nobody" for value in columns["named"]]
    pq.write_table(pa.table(columns), folder / "source" / "others.parquet")
    unfit = {**columns, "token": [f"{COLUMNS['token'][1]}x"] * ROWS}
    pq.write_table(pa.table(unfit), folder / "source" / "unfit.parquet")
    (folder / "others.yaml").write_text(POLICY, encoding="utf-8")

    private = X25519PrivateKey.from_private_bytes(_PRIVATE)
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "secrets" / "private.pem"
    path.touch(mode=0o600)
    path.write_bytes(pem)
    path = folder / "secrets" / "fernet"
    path.touch(mode=0o600)
    path.write_bytes(base64.urlsafe_b64encode(_LEGACY))
    (folder / "public.pem").write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def keysets() -> list[tuple[str, str, str | None, int, str]]:
    """Scope, primitive, family, key id and cleartext keyset of each PRF key that is planted."""
    scopes = [
        ("domain:people", "AES_CMAC_PRF", "text"),
        ("table:leaks.others", "AES_CMAC_PRF", None),
        ("table:leaks.others", "HMAC_SHA256_PRF", None),
        ("table:leaks.others", "HKDF_SHA256_PRF", None),
        ("vault:leaks", "HKDF_SHA256_PRF", None),
    ]
    return [
        (scope, primitive, family, key_id, _keyset(primitive, key_id))
        for key_id, (scope, primitive, family) in enumerate(scopes, start=801)
    ]


def _keyset(primitive: str, key_id: int) -> str:
    key, sha = _PRFS[primitive], common_pb2.SHA256
    messages = {
        "AES_CMAC_PRF": aes_cmac_prf_pb2.AesCmacPrfKey(key_value=key),
        "HMAC_SHA256_PRF": hmac_prf_pb2.HmacPrfKey(
            key_value=key, params=hmac_prf_pb2.HmacPrfParams(hash=sha)
        ),
        "HKDF_SHA256_PRF": hkdf_prf_pb2.HkdfPrfKey(
            key_value=key, params=hkdf_prf_pb2.HkdfPrfParams(hash=sha)
        ),
    }
    message = messages[primitive]
    data = {
        "typeUrl": f"type.googleapis.com/{message.DESCRIPTOR.full_name}",
        "value": base64.b64encode(message.SerializeToString()).decode(),
        "keyMaterialType": "SYMMETRIC",
    }
    entry = {"keyData": data, "status": "ENABLED", "keyId": key_id, "outputPrefixType": "RAW"}
    return json.dumps({"primaryKeyId": key_id, "key": [entry]})
