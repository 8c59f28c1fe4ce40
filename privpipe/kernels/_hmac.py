"""`HmacSha256`, and `HmacSha512` for keys that others made, for arrays."""

from __future__ import annotations

from typing import ClassVar, NoReturn

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from privpipe.arrow import encode
from privpipe.errors import KeysetError, SecretTravels
from privpipe.kernels._column import take_in
from privpipe.kernels._pack import Bytes
from privpipe.kernels._tags import check_size, tag_array

__all__ = ["HmacSha256", "HmacSha512"]

_LONG = 256
"""Bytes of a mean value up to which equal ones are looked for and hashed once.

That costs an eighth of the hashing where none are equal, and saves nearly all of it where few are
distinct; long values are rarely equal, and to look for them costs more.
"""


class HmacSha256:
    """HMAC-SHA256 as a pseudorandom function: one way, and equal values have equal tags.

    HMAC does not vectorize: the rounds of SHA-256 are a long chain of small steps, dearer in numpy
    than in the library's call for each value. So this is a loop, some forty times slower than
    `AesCmac` on short values: prefer that, and take this for what other systems computed.

    Input: a string, binary, large, view, fixed-size binary or dictionary array; the key has at
        least one byte.
    Output: fixed-size binary of the same length: the first `size` bytes (1 to 32) of each tag.
    Nulls: stay null. An empty value has a tag.
    Associated data: none beside the value. `head` stands before every value: where heads have one
        length or begin with it, no value under one is taken for a value under another. Whole blocks
        of 64 bytes of it cost nothing a row.
    Reveals: which values are null, and which are equal. Who holds the key can try values until one
        fits, so that what was guessable is found.
    Limits: a key is as strong as it is long, up to 32 bytes (Tink refuses less than 16); a tag cut
        to `size` bytes is shared by two of n values with a chance of about n^2 / 2^(8 size + 1); a
        value has less than 2 GiB.
    Raises: KeysetError for an empty key, SchemaError for an array of another type, EncodingError
        for a value that is too long, UsageError for another size, SecretTravels when pickled.
    Source: RFC 2104 and FIPS 180-4; output as Tink's HMAC-PRF keys over SHA-256 compute it.

    >>> import pyarrow as pa
    >>> kernel = HmacSha256(bytes(32))  # a key of zeros: for this example alone
    >>> tags = kernel.compute(pa.array(["Ada", None, "Ada"]))
    >>> tags[0] == tags[2], len(tags[0].as_py()), tags.null_count
    (True, 32, 1)
    """

    __slots__ = ("_begun",)

    _hash: ClassVar[type[hashes.SHA256 | hashes.SHA512]] = hashes.SHA256

    def __init__(self, key: bytes, *, head: bytes = b"") -> None:
        if len(key) == 0:
            raise KeysetError("an HMAC key has at least one byte")
        self._begun = HMAC(bytes(key), self._hash())
        self._begun.update(bytes(head))

    def compute(self, values: pa.Array, *, size: int | None = None) -> pa.Array:
        """The tag of each value, cut to `size` bytes where that is given."""
        size = self._hash.digest_size if size is None else size
        check_size(size, self._hash.digest_size)
        column = take_in(values, b"")
        rows = encode(values)
        if column.valid is not None:
            rows = rows.drop_null()
        if int(column.rows.lengths.sum()) > _LONG * len(rows):
            return tag_array(self._tags(rows), size, column)
        words = rows.dictionary_encode()
        tags = self._tags(words.dictionary).take(words.indices.to_numpy(), axis=0)
        return tag_array(tags, size, column)

    def _tags(self, values: pa.Array) -> Bytes:
        """The tag of each value. Copies of one begun HMAC: its inner and outer states are there."""
        tags = []
        begin = self._begun.copy
        for value in values.to_pylist():
            context = begin()
            context.update(value)
            tags.append(context.finalize())
        return np.frombuffer(b"".join(tags), dtype=np.uint8).reshape(-1, self._hash.digest_size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key)"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("an HMAC kernel holds a key", hint="send its `KeyRef` instead")


class HmacSha512(HmacSha256):
    """HMAC-SHA512 as a pseudorandom function, for values that others computed with it.

    Input: as `HmacSha256`.
    Output: fixed-size binary of the same length: the first `size` bytes (1 to 64) of each tag.
    Nulls: stay null. An empty value has a tag.
    Associated data: as `HmacSha256`; a block has 128 bytes.
    Reveals: as `HmacSha256`.
    Limits: a key is as strong as it is long, up to 64 bytes; else as `HmacSha256`.
    Raises: as `HmacSha256`.
    Source: RFC 2104 and FIPS 180-4; output as Tink's HMAC-PRF keys over SHA-512 compute it.

    >>> import pyarrow as pa
    >>> kernel = HmacSha512(bytes(32))  # a key of zeros: for this example alone
    >>> tags = kernel.compute(pa.array(["Ada", None, "Ada"]))
    >>> tags[0] == tags[2], len(tags[0].as_py()), tags.null_count
    (True, 64, 1)
    """

    __slots__ = ()

    _hash = hashes.SHA512
