"""`AesGcm`, for arrays."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pyarrow as pa

from privpipe.arrow import Bound
from privpipe.errors import KeysetError, SecretTravels, UsageError
from privpipe.kernels._gcm import Gcm
from privpipe.kernels._mode import open_column, seal_column
from privpipe.kernels._pack import Bytes, Mask

__all__ = ["AesGcm"]


class AesGcm:
    """AES-GCM under random nonces: authenticated, and equal values do not look equal.

    Input: a string, binary, large, view, fixed-size binary or dictionary array; the key has 16 or
        32 bytes.
    Output: binary of the same length; a value of n bytes becomes `prefix`, a nonce of 12 bytes, n
        bytes of ciphertext and a tag of 16: n + 28 bytes and the prefix. (`large_binary` where that
        passes 2 GiB in all.)
    Nulls: stay null. An empty value is encrypted.
    Associated data: bytes for the whole column, or one for each row: a binary array, or what
        `arrow.bound` makes, which counts as its `plain()`; public, authenticated, not part of the
        output.
    Reveals: which values are null, and the length of each.
    Limits: at most 2^32 values under one key, for nonces are drawn at random (SP 800-38D, section
        8.3); a value has less than 2 GiB (the standard's own limit is 64 GiB).
    Raises: KeysetError for a key of another length, SchemaError for an array of another type,
        EncodingError for a value that is too long, UsageError for associated data or nonces that do
        not fit the values, DecryptionError, SecretTravels when pickled.
    Source: NIST SP 800-38D, sections 6.4, 7.1 and 7.2; output as Tink's AES-GCM keys write it.

    >>> import pyarrow as pa
    >>> kernel = AesGcm(bytes(32))  # a key of zeros: for this example alone
    >>> sealed = kernel.encrypt(pa.array(["Ada", None, ""]), b"patients/name")
    >>> [value and len(value) for value in sealed.to_pylist()]
    [31, None, 28]
    >>> kernel.decrypt(sealed, b"patients/name").to_pylist()
    [b'Ada', None, b'']
    """

    __slots__ = ("_bits", "_mode")

    def __init__(self, key: bytes) -> None:
        if len(key) not in (16, 32):
            raise KeysetError("an AES-GCM key has 16 or 32 bytes", where=f"{len(key)} bytes")
        self._bits = 8 * len(key)
        self._mode = Gcm(bytes(key))

    def encrypt(
        self,
        values: pa.Array,
        aad: bytes | pa.Array | Bound,
        *,
        prefix: bytes = b"",
        nonces: bytes | None = None,
    ) -> pa.Array:
        """`prefix`, nonce, ciphertext and tag of each value.

        `nonces`, 12 bytes for each row, are there for published vectors alone: a nonce that is used
        twice under one key gives the key's authentication away.
        """
        return seal_column(self._mode, values, aad, prefix, _nonces(nonces, len(values)))

    def decrypt(
        self, values: pa.Array, aad: bytes | pa.Array | Bound, *, prefix: bytes = b""
    ) -> pa.Array:
        """The plaintexts; DecryptionError where one value fails, and then none is released."""
        return open_column(self._mode, values, aad, prefix, strict=True)[0]

    def open_each(
        self, values: pa.Array, aad: bytes | pa.Array | Bound, *, prefix: bytes = b""
    ) -> tuple[pa.Array, Mask]:
        """The plaintexts, null where a value fails, and the mask of those that opened."""
        return open_column(self._mode, values, aad, prefix, strict=False)

    def __repr__(self) -> str:
        return f"AesGcm({self._bits}-bit key)"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("an AES-GCM kernel holds a key", hint="send its `KeyRef` instead")


def _nonces(nonces: bytes | None, count: int) -> Bytes | None:
    if nonces is None:
        return None
    if len(nonces) != 12 * count:
        raise UsageError(f"{len(nonces)} bytes of nonces for {count} values of 12 each")
    return np.frombuffer(nonces, dtype=np.uint8).reshape(count, 12)
