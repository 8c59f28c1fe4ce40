"""`AesSiv`, for arrays."""

from __future__ import annotations

from typing import NoReturn

import pyarrow as pa

from privpipe.arrow import Bound
from privpipe.errors import KeysetError, SecretTravels
from privpipe.kernels._mode import open_column, seal_column
from privpipe.kernels._pack import Mask
from privpipe.kernels._siv import Siv

__all__ = ["AesSiv"]


class AesSiv:
    """AES-SIV: authenticated and deterministic, so that equal values can be joined.

    Input: a string, binary, large, view, fixed-size binary or dictionary array; the key has 64
        bytes, half of it for the synthetic IV, half for the ciphertext.
    Output: binary of the same length; a value of n bytes becomes `prefix`, a synthetic IV of 16
        bytes and n bytes of ciphertext: n + 16 bytes and the prefix. (`large_binary` where that
        passes 2 GiB in all.)
    Nulls: stay null. An empty value is encrypted.
    Associated data: bytes for the whole column, or one for each row: a binary array, or what
        `arrow.bound` makes, which counts as its `plain()`; always as one component (empty bytes are
        a component too); authenticated, not part of the output.
    Reveals: which values are null, the length of each, and which are equal under equal associated
        data.
    Limits: a value has less than 2 GiB (the standard's own limit is far above).
    Raises: KeysetError for a key of another length, SchemaError for an array of another type,
        EncodingError for a value that is too long, UsageError for associated data that does not fit
        the values, DecryptionError, SecretTravels when pickled.
    Source: RFC 5297, sections 2.4 to 2.7; output as Tink's AES-SIV keys write it.

    >>> import pyarrow as pa
    >>> kernel = AesSiv(bytes(64))  # a key of zeros: for this example alone
    >>> sealed = kernel.encrypt(pa.array(["Ada", None, "Ada"]), b"patients/name")
    >>> sealed[0] == sealed[2], len(sealed[0].as_py())
    (True, 19)
    >>> kernel.decrypt(sealed, b"patients/name").to_pylist()
    [b'Ada', None, b'Ada']
    """

    __slots__ = ("_mode",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 64:
            raise KeysetError("an AES-SIV key has 64 bytes", where=f"{len(key)} bytes")
        self._mode = Siv(bytes(key))

    def encrypt(
        self, values: pa.Array, aad: bytes | pa.Array | Bound, *, prefix: bytes = b""
    ) -> pa.Array:
        """`prefix`, synthetic IV and ciphertext of each value."""
        return seal_column(self._mode, values, aad, prefix)

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
        return "AesSiv(512-bit key)"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("an AES-SIV kernel holds a key", hint="send its `KeyRef` instead")
