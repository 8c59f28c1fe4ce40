"""`Tokens`: FF1 within a format, for arrays.

The tweak of a row is built of these parts, in this order; each but the first and the last has its
length before it, as u32 big-endian:

    tweak                                      the column's own
    places, u32 each; characters, UTF-8        of what is kept: where `keep` names any
    first characters; last characters          of what is preserved: where `first` or `last` is set
    tweaks                                     the row's own

A preserved character stands as its place in the alphabet, in one byte, or in two big-endian where
the alphabet has more than 256. Where nothing is to be kept or preserved, a token is FF1 alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pyarrow as pa

from privpipe.errors import InvalidValue, KeysetError, SecretTravels, UsageError
from privpipe.kernels._alphabets import ALPHABETS, LONGEST
from privpipe.kernels._column import Column, take_in
from privpipe.kernels._ff1 import MOST_TWEAK, shortest
from privpipe.kernels._ff1_digits import Permutation
from privpipe.kernels._groups import gather_ends, put, rank
from privpipe.kernels._head import RowAad, joined
from privpipe.kernels._letters import Coded, Letters
from privpipe.kernels._luhn import luhn_digits
from privpipe.kernels._pack import Bytes, Ints, Mask, Slices
from privpipe.kernels._patterns import Pattern, patterns
from privpipe.kernels._radix import Digits, digit_type
from privpipe.kernels._texts import check_text, text_column

__all__ = ["Tokens"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A column laid bare, by patterns; `faults` marks its rows by what is wrong with them."""

    column: Column
    coded: Coded
    patterns: list[Pattern]
    faults: dict[str, Mask]

    def sound(self) -> Mask:
        """The rows with no fault."""
        sound = np.ones(len(self.coded.lengths), dtype=np.bool_)
        for mask in self.faults.values():
            sound &= ~mask
        return sound


class Tokens:
    """Stand-ins that keep a format: FF1 on a value's data, all else staying where it is.

    Input: a string, large, view or dictionary array; the key has 16, 24 or 32 bytes. Characters of
        `alphabet` are data, those of `keep` stay in their places; of the data, `first` and `last`
        characters at the ends stay too. With `luhn` the last digit is a Luhn check digit.
    Output: a string array of the same length; a value of n characters becomes n characters of the
        same format, its check digit right. (`large_string` where that passes 2 GiB in all.)
    Nulls: stay null, and count as valid.
    Associated data: the tweak, for the whole column, and `tweaks`, a binary array with bytes for
        each row; what is kept and preserved enters the tweak too; not authenticated.
    Reveals: which values are null, the length of each, what is kept and preserved, and which are
        equal under equal tweaks. Nothing is authenticated, as with `Ff1`.
    Limits: values of at most 4,096 characters, whose data that is encrypted has at least 1,000,000
        values; tweaks of at most 65,536 bytes.
    Raises: KeysetError for a key of another length, UsageError for a format or tweaks that will not
        do, SchemaError for an array of another type, InvalidValue for values that `valid` does not
        mark, SecretTravels when pickled.
    Source: NIST SP 800-38G, algorithms 7 and 8, with the least domain of its Revision 1; ISO/IEC
        7812-1, annex B, for the check digit.

    >>> import pyarrow as pa
    >>> kernel = Tokens(bytes(32), alphabet="0123456789", keep="-", last=3)  # a key of zeros
    >>> tokens = kernel.encrypt(pa.array(["123-45-6789", None]))
    >>> [value and value[3::3] + value[-3:] for value in tokens.to_pylist()]
    ['--8789', None]
    >>> kernel.decrypt(tokens).to_pylist()
    ['123-45-6789', None]
    """

    __slots__ = (
        "_first",
        "_keep",
        "_last",
        "_least",
        "_letters",
        "_luhn",
        "_permutation",
        "_tweak",
    )

    def __init__(
        self,
        key: bytes,
        *,
        alphabet: str,
        keep: str = "",
        first: int = 0,
        last: int = 0,
        luhn: bool = False,
        tweak: bytes = b"",
    ) -> None:
        if len(key) not in (16, 24, 32):
            raise KeysetError("a token key has 16, 24 or 32 bytes", where=f"{len(key)} bytes")
        if first < 0 or last < 0:
            raise UsageError("`first` and `last` count characters: they are 0 or more")
        if luhn and alphabet != ALPHABETS["digits"]:
            raise UsageError("a Luhn check digit needs the alphabet of digits")
        if luhn and last:
            raise UsageError("a Luhn check digit is computed anew, so that `last` cannot hold it")
        if len(tweak) > MOST_TWEAK:
            raise UsageError("a tweak has at most 65,536 bytes", where=f"{len(tweak)} bytes")
        self._letters = Letters(alphabet, keep)
        self._permutation = Permutation(bytes(key), len(alphabet))
        self._keep, self._first, self._last, self._luhn = keep, first, last, luhn
        self._least = shortest(len(alphabet)) + first + last + luhn
        self._tweak = bytes(tweak)

    def encrypt(self, values: pa.Array, *, tweaks: pa.Array | None = None) -> pa.Array:
        """The token of each value; InvalidValue where one has not the format."""
        return self._run(values, tweaks, inverse=False)

    def decrypt(self, values: pa.Array, *, tweaks: pa.Array | None = None) -> pa.Array:
        """The inverse of `encrypt` under the same key, format and tweaks."""
        return self._run(values, tweaks, inverse=True)

    def valid(self, values: pa.Array) -> Mask:
        """The rows that can be encrypted, or are null."""
        taken = self._take(values, None)
        sound = taken.sound()
        if taken.column.valid is None:
            return sound
        mask = ~taken.column.valid
        mask[taken.column.valid] = sound
        return mask

    def _run(self, values: pa.Array, tweaks: pa.Array | None, *, inverse: bool) -> pa.Array:
        taken = self._take(values, tweaks)
        found = [f"{mask.sum()} {words}" for words, mask in taken.faults.items() if mask.any()]
        if found:
            raise InvalidValue(f"values that are not of the token's format: {', '.join(found)}")
        coded, aad = taken.coded, taken.column.aad
        own = joined(aad) if isinstance(aad, RowAad) else None
        out = np.empty_like(coded.codes)
        for pattern in taken.patterns:
            token = self._token(pattern, own, inverse=inverse)
            put(token, out, coded.starts, pattern.rows)
        return text_column(taken.column, *self._letters.decode(out, coded.lengths))

    def _take(self, values: pa.Array, tweaks: pa.Array | None) -> _Taken:
        check_text(values)
        column = take_in(values, b"" if tweaks is None else tweaks)
        facts: list[Ints] = []
        if isinstance(column.aad, RowAad):
            lengths = joined(column.aad).lengths
            facts = [rank(lengths)]
            if (lengths > MOST_TWEAK - len(self._tweak)).any():
                raise UsageError("a tweak has at most 65,536 bytes")
        coded, radix = self._letters.encode(column.rows), self._permutation.radix
        size = coded.sizes(radix) if self._keep else coded.lengths
        faults = {
            "with characters outside the alphabet": coded.outside,
            f"of fewer than {self._least} characters that are data": size < self._least,
            f"of more than {LONGEST:,} characters": coded.lengths > LONGEST,
        }
        taken = _Taken(column=column, coded=coded, patterns=[], faults=faults)
        sizes = self._letters.kept_sizes(radix)
        taken.patterns.extend(patterns(coded, radix, sizes, taken.sound(), facts))
        if self._luhn:
            faults["with a wrong check digit"] = self._unchecked(taken)
        return taken

    def _unchecked(self, taken: _Taken) -> Mask:
        wrong = np.zeros(len(taken.coded.lengths), dtype=np.bool_)
        for pattern in taken.patterns:
            data = pattern.data
            wrong[pattern.rows] = luhn_digits(data[:, :-1]) != data[:, -1]
        return wrong

    def _token(self, pattern: Pattern, own: Slices | None, *, inverse: bool) -> Digits:
        """The codes of the rows of one pattern."""
        run = self._permutation.decrypt if inverse else self._permutation.encrypt
        data = pattern.data.astype(digit_type(self._permutation.radix), copy=False)
        stop = data.shape[1] - self._last - self._luhn
        inner = data[:, self._first : stop]
        made = run(inner, *self._whole_tweak(pattern, data, own))
        if inner.shape == data.shape:
            return pattern.with_data(made)
        token = data.copy()
        token[:, self._first : stop] = made
        if self._luhn:
            token[:, -1] = luhn_digits(token[:, :-1])
        return pattern.with_data(token)

    def _whole_tweak(
        self, pattern: Pattern, data: Digits, own: Slices | None
    ) -> tuple[bytes, Bytes | None, Ints | None]:
        """What of the tweak all rows share, and what each has for itself, with its lengths."""
        parts = [*self._kept(pattern), *self._preserved(data)]
        head, count = self._tweak, len(data)
        while parts and len(parts[0]) == 1:
            head += parts.pop(0).tobytes()
        lengths = None
        if own is not None:
            ends, lengths = gather_ends(own, pattern.rows)
            lengths = lengths + sum(part.shape[1] for part in parts)
            parts.append(ends)
        if not parts:
            return head, None, None
        whole = [np.broadcast_to(part, (count, part.shape[1])) for part in parts]
        return head, np.concatenate(whole, axis=1), lengths

    def _kept(self, pattern: Pattern) -> list[Bytes]:
        """Parts of the tweak, of one row where all have the same."""
        if not self._keep:
            return []
        places, codes = pattern.held
        held, _ = self._letters.decode(codes.reshape(-1), np.array([codes.size]))
        return _sized(places.astype(">u4").view(np.uint8)) + _sized(held.reshape(len(codes), -1))

    def _preserved(self, data: Digits) -> list[Bytes]:
        if not (self._first or self._last):
            return []
        big = data.astype(data.dtype.newbyteorder(">"), copy=False)
        ends = (big[:, : self._first], big[:, data.shape[1] - self._last :])
        first, last = (np.ascontiguousarray(end).view(np.uint8) for end in ends)
        return _sized(first) + _sized(last)

    def __repr__(self) -> str:
        return f"Tokens(radix {self._permutation.radix})"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("a token kernel holds a key", hint="send its `KeyRef` instead")


def _sized(part: Bytes) -> list[Bytes]:
    size = np.frombuffer(part.shape[1].to_bytes(4, "big"), dtype=np.uint8)
    return [size.reshape(1, 4), part]
