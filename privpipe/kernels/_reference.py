"""Scalar twins of the kernels, by the library's own calls: slow, and what the tests compare with.

Each takes one value and gives its ciphertext, or the other way round. They share no code with the
vectorized kernels.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

from privpipe.errors import DecryptionError

__all__ = ["gcm_decrypt", "gcm_encrypt", "siv_decrypt", "siv_encrypt"]


def gcm_encrypt(key: bytes, value: bytes, aad: bytes, nonce: bytes) -> bytes:
    """Nonce, ciphertext, tag."""
    return nonce + AESGCM(key).encrypt(nonce, value, aad)


def gcm_decrypt(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The value; DecryptionError where the tag does not fit."""
    if len(sealed) < 28:
        raise DecryptionError("a value did not authenticate")
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], aad)
    except InvalidTag:
        raise DecryptionError("a value did not authenticate") from None


def siv_encrypt(key: bytes, value: bytes, aad: bytes) -> bytes:
    """Synthetic IV, ciphertext; the associated data is one component, even if it is empty."""
    return AESSIV(key).encrypt(value, [aad])


def siv_decrypt(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The value; DecryptionError where the synthetic IV does not fit."""
    try:
        return AESSIV(key).decrypt(sealed, [aad])
    except InvalidTag:
        raise DecryptionError("a value did not authenticate") from None
