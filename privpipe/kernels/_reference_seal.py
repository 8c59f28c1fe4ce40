"""Scalar twins of sealing: HPKE by the formulas of RFC 9180, and one row opened alone.

They share no code with the kernel, which leaves HPKE to the library.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from privpipe.errors import DecryptionError, KeysetError

__all__ = ["HpkeTwin", "shared_secret", "unseal"]

_KEM = b"KEM\x00\x20"
_HASHES = {1: "sha256", 3: "sha512"}
_AEADS: dict[int, tuple[type[AESGCM | ChaCha20Poly1305], int]] = {
    1: (AESGCM, 16),
    2: (AESGCM, 32),
    3: (ChaCha20Poly1305, 32),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HpkeTwin:
    """Base mode over DHKEM(X25519, HKDF-SHA256), by the registered ids of the suite."""

    kdf_id: int = 1
    aead_id: int = 2

    def open(
        self, private: bytes, info: bytes, sealed: bytes, *, aad: bytes = b"", seq: int = 0
    ) -> bytes:
        """The plaintext of encapsulated key and ciphertext; DecryptionError."""
        enc, text = sealed[:32], sealed[32:]
        key = X25519PrivateKey.from_private_bytes(private)
        try:
            shared = key.exchange(X25519PublicKey.from_public_bytes(enc))
            cipher, nonce = self._context(
                shared_secret(shared, enc, key.public_key().public_bytes_raw()), info, seq
            )
            return cipher.decrypt(nonce, text, aad)
        except (InvalidTag, ValueError):
            raise DecryptionError("a sealed data key does not open") from None

    def seal(self, secret: bytes, info: bytes, plain: bytes, *, aad: bytes = b"") -> bytes:
        """The first ciphertext under a KEM's shared secret."""
        cipher, nonce = self._context(secret, info, 0)
        return cipher.encrypt(nonce, plain, aad)

    def _context(
        self, secret: bytes, info: bytes, seq: int
    ) -> tuple[AESGCM | ChaCha20Poly1305, bytes]:
        """Key schedule (section 5.1) and nonce (section 5.2)."""
        name = _HASHES[self.kdf_id]
        kind, size = _AEADS[self.aead_id]
        suite = b"HPKE\x00\x20" + bytes([0, self.kdf_id, 0, self.aead_id])
        context = (
            b"\x00"
            + _extract(name, suite, b"", b"psk_id_hash", b"")
            + _extract(name, suite, b"", b"info_hash", info)
        )
        prk = _extract(name, suite, secret, b"secret", b"")
        nonce = _expand(name, suite, prk, b"base_nonce", context, 12)
        turned = int.from_bytes(nonce, "big") ^ seq
        return kind(_expand(name, suite, prk, b"key", context, size)), turned.to_bytes(12, "big")


def shared_secret(dh: bytes, enc: bytes, public: bytes) -> bytes:
    """The KEM's shared secret, from that of the exchange (section 4.1)."""
    prk = _extract("sha256", _KEM, b"", b"eae_prk", dh)
    return _expand("sha256", _KEM, prk, b"shared_secret", enc + public, 32)


def unseal(private_pem: bytes, key: bytes, ct: bytes, aad: bytes) -> bytes:
    """One row: the value; DecryptionError."""
    private = load_pem_private_key(private_pem, password=None)
    try:
        if isinstance(private, RSAPrivateKey):
            data_key = private.decrypt(key, OAEP(MGF1(SHA256()), SHA256(), None))
        elif isinstance(private, X25519PrivateKey):
            data_key = HpkeTwin().open(private.private_bytes_raw(), b"pp1:s", key)
        else:
            raise KeysetError("neither X25519 nor RSA")
        return AESGCM(data_key).decrypt(ct[:12], ct[12:], aad)
    except (InvalidTag, ValueError):
        raise DecryptionError("a value did not authenticate") from None


def _extract(name: str, suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    """LabeledExtract (section 4)."""
    size = hashlib.new(name).digest_size
    return hmac.digest(salt or bytes(size), b"HPKE-v1" + suite + label + ikm, name)


def _expand(name: str, suite: bytes, prk: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """LabeledExpand (section 4); one block of the hash is enough for every size here."""
    text = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, text + b"\x01", name)[:size]
