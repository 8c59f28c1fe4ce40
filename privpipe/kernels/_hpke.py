"""A data key sealed under an X25519 public key by HPKE (RFC 9180): base mode, one message each."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from privpipe.errors import DecryptionError, KeysetError

__all__ = ["check_public", "open_key", "seal_key"]

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def seal_key(public: X25519PublicKey, info: bytes, data_key: bytes) -> bytes:
    """The encapsulated key, 32 bytes, and the sealed data key, 16 bytes longer than it is."""
    try:
        return _SUITE.encrypt(data_key, public, info)
    except ValueError:
        raise _low_order() from None


def open_key(
    private: X25519PrivateKey, info: bytes, sealed: bytes, *, suite: Suite = _SUITE
) -> bytes:
    """The data key; DecryptionError whatever the reason. `suite` is for published vectors alone."""
    try:
        return suite.decrypt(sealed, private, info)
    except (InvalidTag, ValueError):
        # An encapsulated key of low order fails like a tag (RFC 9180, section 7.1.4).
        raise DecryptionError("a sealed data key does not open") from None


def check_public(public: X25519PublicKey) -> None:
    """KeysetError for a point of low order: what it seals, everyone opens (RFC 7748, section 6.1).

    Sealing would refuse too, but with a table at hand.
    """
    try:
        X25519PrivateKey.generate().exchange(public)
    except ValueError:
        raise _low_order() from None


def _low_order() -> KeysetError:
    return KeysetError("an X25519 public key of low order: what it seals, everyone could open")
