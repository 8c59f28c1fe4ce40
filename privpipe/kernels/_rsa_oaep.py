"""A data key sealed under an RSA public key by RSAES-OAEP (RFC 8017, section 7.1).

SHA-256 throughout, MGF1 with SHA-256, and the empty label, which is what key services offer.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from privpipe.errors import DecryptionError, KeysetError

__all__ = ["check_size", "open_key", "seal_key"]

_OAEP = OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None)
_SMALLEST, _LARGEST = 2048, 4096


def seal_key(public: RSAPublicKey, data_key: bytes) -> bytes:
    """The sealed data key, as long as the modulus."""
    return public.encrypt(data_key, _OAEP)


def open_key(private: RSAPrivateKey, sealed: bytes, *, padding: OAEP = _OAEP) -> bytes:
    """The data key; DecryptionError whatever the reason. `padding` is for published vectors alone.

    That one answer for every reason is what keeps a padding oracle shut (section 7.1.2, step 3).
    """
    try:
        return private.decrypt(sealed, padding)
    except ValueError:
        raise DecryptionError("a sealed data key does not open") from None


def check_size(bits: int) -> None:
    """KeysetError for a modulus of a size that is not in use here."""
    if not _SMALLEST <= bits <= _LARGEST:
        raise KeysetError(
            f"an RSA key of {bits} bits; {_SMALLEST} to {_LARGEST} are taken",
            hint="make a new pair: 3072 bits, or X25519, which is faster and shorter",
        )
