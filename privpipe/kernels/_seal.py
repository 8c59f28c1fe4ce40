"""`Sealer` and `Opener`: columns that whoever writes them cannot read."""

from __future__ import annotations

import os
from functools import partial
from threading import Lock
from typing import NoReturn

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from privpipe.arrow import build
from privpipe.errors import DecryptionError, KeysetError, SecretTravels
from privpipe.kernels import _hpke, _rsa_oaep
from privpipe.kernels._aesgcm import AesGcm
from privpipe.kernels._pack import Mask
from privpipe.kernels._pem import (
    Private,
    Public,
    fingerprint_of,
    load_private,
    load_public,
)
from privpipe.kernels._unseal import DataKeys, open_rows

__all__ = ["Opener", "SealedKey", "Sealer"]

INFO = b"pp1:s"
"""HPKE's info: a data key that was sealed for anything else does not open here"""

_MOST = 2**32


class Sealer:
    """Write-only columns: seals under a public key what its private key alone opens.

    A fresh AES-256 data key (`fresh`) is sealed under the public key once, and its `encrypt` then
    seals any number of columns. HPKE for an X25519 key, RSA-OAEP for an RSA key.

    Input: for `encrypt` a string, binary, large, view, fixed-size binary or dictionary array; the
        public key is PEM, X25519 or RSA of 2048 to 4096 bits.
    Output: `struct<key: binary, ct: binary>` of the same length. `key` is the sealed data key, the
        same in every row: 80 bytes, or as many as the RSA modulus has. `ct` is a nonce of 12 bytes,
        n bytes of ciphertext and a tag of 16. (`large_binary` where one passes 2 GiB in all.)
    Nulls: stay null: the struct is. An empty value is encrypted.
    Associated data: bytes for the whole column, or a binary array with one for each row; public,
        authenticated with each value, not part of the output.
    Reveals: which values are null, the length of each, and which were sealed under one data key.
    Limits: at most 2^32 values a data key, which are counted, in the process that drew it. Who
        holds the public key can seal values of their own: nothing tells who sealed one.
    Raises: KeysetError for a PEM file that holds no such key or a private one, and for a data key
        that is used up; SchemaError, EncodingError and UsageError as `AesGcm`; SecretTravels when
        pickled.
    Source: RFC 9180, base mode (DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM); RFC 8017,
        section 7.1; NIST SP 800-38D.

    >>> import pyarrow as pa
    >>> public = b"-----BEGIN PUBLIC KEY-----\\n" \\
    ...     b"MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\\n" \\
    ...     b"-----END PUBLIC KEY-----\\n"
    >>> sealed = Sealer(public).fresh().encrypt(pa.array(["Ada", None, ""]), b"patients/name")
    >>> [row and (len(row["key"]), len(row["ct"])) for row in sealed.to_pylist()]
    [(80, 31), None, (80, 28)]
    """

    __slots__ = ("_public",)

    def __init__(self, public_pem: bytes) -> None:
        self._public: Public = load_public(public_pem)

    @property
    def fingerprint(self) -> int:
        """The id of the key pair, as its `Opener` has it."""
        return fingerprint_of(self._public)

    def fresh(self) -> SealedKey:
        """A data key of its own, sealed: for one task, say, which keeps it for its batches."""
        data_key = os.urandom(32)
        return SealedKey(data_key, _seal_key(self._public, data_key))

    def __repr__(self) -> str:
        return f"Sealer({self.fingerprint:#010x})"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels(
            "a sealer stays in its process", hint="send the public key's PEM, which is no secret"
        )


class SealedKey:
    """A data key, and the same key sealed, which goes with every row."""

    __slots__ = ("_kernel", "_left", "_lock", "_sealed")

    def __init__(self, data_key: bytes, sealed: bytes) -> None:
        self._kernel = AesGcm(data_key)
        self._sealed = np.frombuffer(sealed, dtype=f"V{len(sealed)}")
        self._left = _MOST
        self._lock = Lock()

    @property
    def remaining(self) -> int:
        """How many values more it may encrypt."""
        return self._left

    def encrypt(self, values: pa.Array, aad: bytes | pa.Array) -> pa.StructArray:
        """Sealed key, and nonce, ciphertext and tag, of each value that is not null.

        KeysetError where they are more than remain, and then none is encrypted.
        """
        self._count(len(values) - values.null_count)
        sealed = self._kernel.encrypt(values, aad)
        valid = sealed.is_valid().to_numpy(zero_copy_only=False) if sealed.null_count else None
        return pa.StructArray.from_arrays(
            [self._keys(len(sealed), valid), sealed],
            names=["key", "ct"],
            mask=None if valid is None else pa.array(~valid),
        )

    def _count(self, values: int) -> None:
        with self._lock:
            if values > self._left:
                raise KeysetError(
                    f"a data key with {self._left} values left of 2^32, for a column of {values}",
                    hint="draw a fresh one",
                )
            self._left -= values

    def _keys(self, count: int, valid: Mask | None) -> pa.Array:
        """The sealed key in every row; a null row is empty."""
        size = self._sealed.itemsize
        if valid is None:
            offsets = np.arange(0, size * count + 1, size, dtype=np.int64)
        else:
            offsets = np.zeros(count + 1, dtype=np.int64)
            np.cumsum(valid, out=offsets[1:])
            offsets *= size
        data = np.repeat(self._sealed, int(offsets[-1]) // size).view(np.uint8)
        return build(data, offsets, valid)

    def __repr__(self) -> str:
        return f"SealedKey({self._left} values left)"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels(
            "a sealed key holds its data key", hint="send the public key's PEM, and draw there"
        )


class Opener:
    """Opens what was sealed for a private key, with whichever data keys.

    Input: `struct<key: binary, ct: binary>`, as `Sealer` has it; the private key is PEM (PKCS#8, or
        PKCS#1 for RSA), without a passphrase, X25519 or RSA of 2048 to 4096 bits.
    Output: binary of the same length, each value 28 bytes shorter than its `ct`.
    Nulls: a null struct is null; a struct with a null in it fails.
    Associated data: as it was when the values were sealed.
    Reveals: nothing is released where one value fails, and no more is said than that one did.
    Limits: each distinct sealed key costs one opening, 50 us by HPKE and up to 2 ms by RSA; the
        last 256 data keys are kept.
    Raises: KeysetError for a PEM file that holds no such key, SchemaError for an array of another
        type, UsageError for associated data that does not fit the values, DecryptionError,
        SecretTravels when pickled.
    Source: as `Sealer`.

    >>> import pyarrow as pa
    >>> from base64 import b64decode
    >>> private = b"-----BEGIN PRIVATE KEY-----\\n" \\
    ...     b"MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\\n" \\
    ...     b"-----END PRIVATE KEY-----\\n"  # out of RFC 7748: for this example alone
    >>> row = {
    ...     "key": b64decode("7vssVA/5FkxqkgZ1FyzMORJnedhl5sIgnp1YkAi2Q1+lvC8g1mpnulvnPg5Cjj2Z"
    ...                      "pQOB8nB3GhqXAVq/ejDdTeOukZsh3MC/REnqkGH3geY="),
    ...     "ct": b64decode("r/fAx3EEe8Y9MMw7Hh4z1B0NzVbAaxlTHplppK6KhQ=="),
    ... }
    >>> column = pa.array([row, None], pa.struct({"key": pa.binary(), "ct": pa.binary()}))
    >>> Opener(private).decrypt(column, b"patients/name").to_pylist()
    [b'Ada', None]
    """

    __slots__ = ("_fingerprint", "_keys")

    def __init__(self, private_pem: bytes) -> None:
        private = load_private(private_pem)
        self._fingerprint = fingerprint_of(private.public_key())
        self._keys = DataKeys(partial(_open_key, private), _sealed_size(private))

    @property
    def fingerprint(self) -> int:
        """The id of the key pair, as its `Sealer` has it."""
        return self._fingerprint

    def decrypt(self, values: pa.StructArray, aad: bytes | pa.Array) -> pa.Array:
        """The plaintexts; DecryptionError where one value fails, and then none is released."""
        plain, opened = self.open_each(values, aad)
        if not opened.all():
            # One answer, whether it was the sealed key or the value itself.
            raise DecryptionError(
                "a value did not authenticate: another key or context, or altered bytes",
                hint="`privpipe verify` says which files hold damage",
            )
        return plain

    def open_each(self, values: pa.StructArray, aad: bytes | pa.Array) -> tuple[pa.Array, Mask]:
        """The plaintexts, null where a value fails, and the mask of those that opened."""
        return open_rows(self._keys, values, aad)

    def __repr__(self) -> str:
        return f"Opener({self._fingerprint:#010x})"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("an opener holds a private key", hint="send the path of its PEM file")


def _seal_key(public: Public, data_key: bytes) -> bytes:
    if isinstance(public, X25519PublicKey):
        return _hpke.seal_key(public, INFO, data_key)
    return _rsa_oaep.seal_key(public, data_key)


def _open_key(private: Private, sealed: bytes) -> bytes:
    if isinstance(private, X25519PrivateKey):
        return _hpke.open_key(private, INFO, sealed)
    return _rsa_oaep.open_key(private, sealed)


def _sealed_size(private: Private) -> int:
    return 80 if isinstance(private, X25519PrivateKey) else (private.key_size + 7) // 8
