"""`Ff1`, for arrays."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pyarrow as pa

from privpipe.errors import InvalidValue, KeysetError, SecretTravels, UsageError
from privpipe.kernels._alphabets import LEAST, LONGEST
from privpipe.kernels._column import take_in
from privpipe.kernels._ff1_digits import Permutation
from privpipe.kernels._groups import gather, gather_ends, groups, put, rank
from privpipe.kernels._head import RowAad, joined
from privpipe.kernels._letters import Coded, Letters
from privpipe.kernels._radix import digit_type
from privpipe.kernels._texts import check_text, text_column

__all__ = ["MOST_TWEAK", "Ff1"]

MOST_TWEAK = 1 << 16
"""The most bytes of a tweak"""


class Ff1:
    """FF1, format-preserving: a value becomes another of the same length over the same alphabet.

    Input: a string, large, view or dictionary array; the key has 16, 24 or 32 bytes, the alphabet
        2 to 65,536 distinct characters, in their order as digits.
    Output: a string array of the same length; a value of n characters becomes n characters of the
        alphabet. (`large_string` where that passes 2 GiB in all.)
    Nulls: stay null.
    Associated data: the tweak, for the whole column, and `tweaks`, a binary array with bytes for
        each row, which follow it; public, not part of the output, and not authenticated.
    Reveals: which values are null, the length of each, and which are equal under equal tweaks.
        Nothing is authenticated: an altered value, or another key or tweak, decrypts to some value.
    Limits: values of at most 4,096 characters, and of so many that the alphabet has 1,000,000
        values of that length; tweaks of at most 65,536 bytes.
    Raises: KeysetError for a key of another length, UsageError for an alphabet or tweaks that will
        not do, SchemaError for an array of another type, InvalidValue for values outside the
        alphabet, too short or too long, SecretTravels when pickled.
    Source: NIST SP 800-38G, algorithms 7 and 8, with the least domain of its Revision 1.

    >>> import pyarrow as pa
    >>> kernel = Ff1(bytes(32), tweak=b"cards")  # a key of zeros: for this example alone
    >>> tokens = kernel.encrypt(pa.array(["4111111111111111", None]))
    >>> [value and len(value) for value in tokens.to_pylist()]
    [16, None]
    >>> kernel.decrypt(tokens).to_pylist()
    ['4111111111111111', None]
    """

    __slots__ = ("_letters", "_permutation", "_shortest", "_tweak")

    def __init__(self, key: bytes, alphabet: str = "0123456789", tweak: bytes = b"") -> None:
        if len(key) not in (16, 24, 32):
            raise KeysetError("an FF1 key has 16, 24 or 32 bytes", where=f"{len(key)} bytes")
        if len(tweak) > MOST_TWEAK:
            raise UsageError("a tweak has at most 65,536 bytes", where=f"{len(tweak)} bytes")
        self._letters = Letters(alphabet)
        self._permutation = Permutation(bytes(key), len(alphabet))
        self._shortest = shortest(len(alphabet))
        self._tweak = bytes(tweak)

    def encrypt(self, values: pa.Array, *, tweaks: pa.Array | None = None) -> pa.Array:
        """The value that stands for each; InvalidValue where one cannot be taken."""
        return self._run(values, tweaks, inverse=False)

    def decrypt(self, values: pa.Array, *, tweaks: pa.Array | None = None) -> pa.Array:
        """The inverse of `encrypt` under the same key, alphabet and tweaks."""
        return self._run(values, tweaks, inverse=True)

    def _run(self, values: pa.Array, tweaks: pa.Array | None, *, inverse: bool) -> pa.Array:
        check_text(values)
        column = take_in(values, b"" if tweaks is None else tweaks)
        own = joined(column.aad) if isinstance(column.aad, RowAad) else None
        facts = [] if own is None else [rank(own.lengths)]
        if own is not None and len(own) and int(own.lengths.max()) + len(self._tweak) > MOST_TWEAK:
            raise UsageError("a tweak has at most 65,536 bytes")
        coded = self._letters.encode(column.rows)
        self._check(coded)
        run = self._permutation.decrypt if inverse else self._permutation.encrypt
        kind, out = digit_type(self._permutation.radix), np.empty_like(coded.codes)
        for rows in groups(coded.lengths, *facts):
            length = int(coded.lengths[rows][0])
            digits = gather(coded.codes, coded.starts, length, rows).astype(kind, copy=False)
            ends = (None, None) if own is None else gather_ends(own, rows)
            put(run(digits, self._tweak, *ends), out, coded.starts, rows)
        return text_column(column, *self._letters.decode(out, coded.lengths))

    def _check(self, coded: Coded) -> None:
        """How many values are at fault, and none of them."""
        faults = {
            "with characters outside the alphabet": coded.outside,
            f"of fewer than {self._shortest} characters": coded.lengths < self._shortest,
            f"of more than {LONGEST:,} characters": coded.lengths > LONGEST,
        }
        found = [f"{mask.sum()} {words}" for words, mask in faults.items() if mask.any()]
        if found:
            raise InvalidValue(f"values that FF1 cannot take: {', '.join(found)}")

    def __repr__(self) -> str:
        return f"Ff1(radix {self._permutation.radix})"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("an FF1 kernel holds a key", hint="send its `KeyRef` instead")


def shortest(radix: int) -> int:
    """The fewest characters of a value: at least two, for there are two halves."""
    length = 2
    while radix**length < LEAST:
        length += 1
    return length
