"""`AesCmac`, for arrays."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pyarrow as pa

from privpipe.errors import KeysetError, SecretTravels
from privpipe.kernels._batches import batches
from privpipe.kernels._cmac import Cmac
from privpipe.kernels._column import take_in
from privpipe.kernels._tags import check_size, tag_array

__all__ = ["AesCmac"]


class AesCmac:
    """AES-CMAC as a pseudorandom function: one way, and equal values have equal tags.

    Input: a string, binary, large, view, fixed-size binary or dictionary array; the key has 16, 24
        or 32 bytes.
    Output: fixed-size binary of the same length: the first `size` bytes (1 to 16) of each tag.
    Nulls: stay null. An empty value has a tag.
    Associated data: none beside the value. `head` stands before every value: where heads have one
        length or begin with it, no value under one is taken for a value under another. A head of
        whole blocks of 16 bytes costs nothing a row.
    Reveals: which values are null, and which are equal. Who holds the key can try values until one
        fits, so that what was guessable is found.
    Limits: at most 2^48 values under one key (SP 800-38B, appendix B); a tag cut to `size` bytes is
        shared by two of n values with a chance of about n^2 / 2^(8 size + 1); a value has less than
        2 GiB.
    Raises: KeysetError for a key of another length, SchemaError for an array of another type,
        EncodingError for a value that is too long, UsageError for another size, SecretTravels when
        pickled.
    Source: RFC 4493 and NIST SP 800-38B, section 6.2; output as Tink's AES-CMAC-PRF keys, which
        have 32 bytes, compute it.

    >>> import pyarrow as pa
    >>> kernel = AesCmac(bytes(32))  # a key of zeros: for this example alone
    >>> tags = kernel.compute(pa.array(["Ada", None, "Ada"]), size=8)
    >>> tags[0] == tags[2], len(tags[0].as_py()), tags.null_count
    (True, 8, 1)
    """

    __slots__ = ("_bits", "_cmac")

    def __init__(self, key: bytes, *, head: bytes = b"") -> None:
        if len(key) not in (16, 24, 32):
            raise KeysetError("an AES-CMAC key has 16, 24 or 32 bytes", where=f"{len(key)} bytes")
        self._bits = 8 * len(key)
        self._cmac = Cmac(bytes(key), bytes(head))

    def compute(self, values: pa.Array, *, size: int = 16) -> pa.Array:
        """The tag of each value."""
        check_size(size, 16)
        column, cmac = take_in(values, b""), self._cmac
        tags = np.empty((len(column.rows), 16), dtype=np.uint8)
        for batch in batches(cmac.blocks(column.rows.lengths), cmac.cost):
            short = column.rows.only(batch.short)
            if len(short):
                tags[batch.short] = cmac.sums(short)
            if len(batch.long):
                found = b"".join(cmac.sums_alone(column.rows.only(batch.long)))
                tags[batch.long] = np.frombuffer(found, dtype=np.uint8).reshape(-1, 16)
        return tag_array(tags, size, column)

    def __repr__(self) -> str:
        return f"AesCmac({self._bits}-bit key)"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("an AES-CMAC kernel holds a key", hint="send its `KeyRef` instead")
