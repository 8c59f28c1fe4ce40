"""Public and private keys in PEM files, and what may stand in their place.

A file comes from a person, so each mistake has its own message. No byte of the file is in any.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from privpipe.errors import KeysetError, UsageError
from privpipe.kernels._hpke import check_public
from privpipe.kernels._rsa_oaep import check_size

__all__ = [
    "Private",
    "Public",
    "fingerprint_of",
    "generate_pair",
    "is_locked",
    "key_fingerprint",
    "load_private",
    "load_public",
    "unlocked",
]

Public: TypeAlias = X25519PublicKey | RSAPublicKey
Private: TypeAlias = X25519PrivateKey | RSAPrivateKey

_RSA_BITS = {"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_LOCKED = re.compile(rb"BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: ?4, ?ENCRYPTED", re.MULTILINE)
_PUBLIC = {b"PUBLIC KEY", b"RSA PUBLIC KEY"}
_PRIVATE = {b"PRIVATE KEY", b"RSA PRIVATE KEY"}
_PEER = "`openssl genpkey -algorithm X25519 -out private.pem` makes one that will do"


def load_public(pem: bytes) -> Public:
    """The X25519 or RSA public key of a file; KeysetError for anything else."""
    labels = _labels(pem)
    if any(label.endswith(b"PRIVATE KEY") for label in labels):
        raise KeysetError(
            "an opener's key on a producer: this private key opens all that was sealed for it",
            hint="take it off this machine; where it belongs, `openssl pkey -in private.pem "
            "-pubout -out public.pem` writes the public key, which alone is needed here",
        )
    _only_one(labels, _PUBLIC)
    return _fit_public(_parsed(load_pem_public_key, pem))


def load_private(pem: bytes) -> Private:
    """The X25519 or RSA private key of a file; KeysetError for anything else."""
    labels = _labels(pem)
    if labels and set(labels) <= _PUBLIC:
        raise KeysetError(
            "a public key, which seals; to open takes the private key of its pair",
            hint="the file that begins with PRIVATE KEY",
        )
    if _LOCKED.search(pem):
        raise KeysetError(
            "a private key with a passphrase",
            hint="`privpipe keys import NAME --pem locked.pem` keeps it in the catalog; or "
            "`openssl pkey -in locked.pem -out private.pem` takes it off: keep that file readable "
            "by its owner alone (mode 0600)",
        )
    _only_one(labels, _PRIVATE)
    return _fit_private(_parsed(lambda text: load_pem_private_key(text, password=None), pem))


def is_locked(pem: bytes) -> bool:
    """Whether a private key of this file has a passphrase."""
    return _LOCKED.search(pem) is not None


def unlocked(pem: bytes, passphrase: bytes | None = None) -> bytes:
    """A private key's file as PKCS#8 without a passphrase; KeysetError for anything else, and where
    the passphrase is missing or not the one."""
    if passphrase is None:
        return _pkcs8(load_private(pem))
    if not is_locked(pem):
        load_private(pem)
        raise KeysetError("a passphrase for a private key that has none", hint="leave it out")
    _only_one(_labels(pem), _PRIVATE | {b"ENCRYPTED PRIVATE KEY"})
    try:
        key: object = load_pem_private_key(pem, password=passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeysetError(
            "this passphrase does not open the private key, or its file is damaged",
            hint="`openssl pkey -in locked.pem -noout` asks for the passphrase and says more",
        ) from None
    return _pkcs8(_fit_private(key))


def _pkcs8(private: Private) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def fingerprint_of(public: Public) -> int:
    """The first 4 bytes of SHA-256 over the key's SubjectPublicKeyInfo in DER, big-endian."""
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return int.from_bytes(hashlib.sha256(der).digest()[:4], "big")


def key_fingerprint(pem: bytes) -> int:
    """The id of a pair, 32 bits: the same for the public key and for its private key."""
    if any(label.endswith(b"PRIVATE KEY") for label in _labels(pem)):
        return fingerprint_of(load_private(pem).public_key())
    return fingerprint_of(load_public(pem))


def generate_pair(kind: str) -> tuple[bytes, bytes]:
    """A new pair, private PEM (PKCS#8) and public PEM (SubjectPublicKeyInfo).

    `kind` is `x25519`, `rsa2048`, `rsa3072` or `rsa4096`.
    """
    private: Private
    if kind == "x25519":
        private = X25519PrivateKey.generate()
    elif kind in _RSA_BITS:
        private = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[kind])
    else:
        known = ", ".join(["x25519", *_RSA_BITS])
        raise UsageError("no such kind of key pair", hint=f"one of {known}")
    public = private.public_key()
    return (
        _pkcs8(private),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def _labels(pem: bytes) -> list[bytes]:
    if not isinstance(pem, bytes):
        raise UsageError("a PEM file is given as bytes")
    return _BEGIN.findall(pem)


def _only_one(labels: list[bytes], wanted: set[bytes]) -> None:
    if not labels:
        raise KeysetError(
            "no PEM: nothing begins with -----BEGIN",
            hint="`openssl pkey -inform DER` reads DER, with -pubin a public key; "
            "both write PEM to -out",
        )
    if set(labels) == {b"CERTIFICATE"}:
        raise KeysetError(
            "a certificate, not a key",
            hint="`openssl x509 -in certificate.pem -noout -pubkey > public.pem` takes out its key",
        )
    if any(label.startswith(b"EC ") for label in labels):
        raise KeysetError("an elliptic curve key; X25519 and RSA are taken", hint=_PEER)
    if len(labels) > 1:
        raise KeysetError("several keys in one file", hint="one key a file")
    if labels[0] not in wanted:
        raise KeysetError("a PEM file that holds no key of the kind wanted", hint=_PEER)


def _parsed(load: Callable[[bytes], object], pem: bytes) -> object:
    try:
        return load(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeysetError(
            "a PEM file whose key cannot be read: it is damaged, or of a kind unknown here",
            hint="`openssl pkey -in private.pem -check -noout` says more; with -pubin for a "
            "public key",
        ) from None


def _fit_private(key: object) -> Private:
    if not isinstance(key, X25519PrivateKey | RSAPrivateKey):
        raise _other_kind(key)
    _fit_public(key.public_key())
    return key


def _fit_public(key: object) -> Public:
    if isinstance(key, X25519PublicKey):
        check_public(key)
        return key
    if isinstance(key, RSAPublicKey):
        check_size(key.key_size)
        return key
    raise _other_kind(key)


def _other_kind(key: object) -> KeysetError:
    # The class is the library's own: `Ed25519PublicKey`, `ECPrivateKey`.
    kind = type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey")
    return KeysetError(f"a key of kind {kind}; X25519 and RSA are taken", hint=_PEER)
