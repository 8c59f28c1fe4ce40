"""`Dictionary`, for arrays."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from privpipe.errors import UsageError
from privpipe.kernels._aescmac import AesCmac
from privpipe.kernels._draws import draws
from privpipe.kernels._holder import holds_key
from privpipe.kernels._words import take_words, word_list

__all__ = ["Dictionary"]


@holds_key
class Dictionary:
    """Values replaced by entries of a list, drawn by AES-CMAC as a pseudorandom function.

    Input: a string, binary, large, view, fixed-size binary or dictionary array; the key has 16, 24
        or 32 bytes, and there are two entries or more.
    Output: a string array of the same length. Equal values have equal entries, in every column and
        every run under one key, head and list.
    Nulls: stay null. An empty value has an entry.
    Associated data: none beside the value. `head` stands before every value, as in `AesCmac`.
    Reveals: which values are null. Equal values stay equal, so that how often each occurs shows as
        far as there are more entries than values; values that share an entry are told apart no
        more. Who holds the key and the list can try values, and rule out those that do not fit.
    Limits: n entries are not quite equally likely, since 2^64 is no multiple of n: no entry is
        drawn oftener than another by a share of more than n / 2^64. A value that is itself on the
        list comes to itself once in n times. With another list, or the same in another order,
        values have other entries.
    Raises: KeysetError for a key of another length, UsageError for fewer than two entries, an empty
        one, or one that is listed twice, SchemaError for an array of another type, EncodingError
        for a value of 2 GiB or more, SecretTravels when pickled.
    Source: our own: RFC 4493 for the tag, whose first 8 bytes as an unsigned big-endian number,
        modulo the number of entries, are the entry's place on the list, counted from 0.

    >>> import pyarrow as pa
    >>> kernel = Dictionary(bytes(32), ["Alpha", "Beta", "Gamma"])  # zeros: for this example alone
    >>> names = kernel.replace(pa.array(["Ada", None, "Ada"]))
    >>> names[0] == names[2], names[0].as_py() in ["Alpha", "Beta", "Gamma"], names.null_count
    (True, True, 1)
    """

    __slots__ = ("_entries", "_prf")

    def __init__(self, key: bytes, entries: Sequence[str], *, head: bytes = b"") -> None:
        self._prf = AesCmac(key, head=head)
        listed = list(entries)
        if len(listed) < 2:
            raise UsageError(f"a dictionary of {len(listed)} entries", hint="give two or more")
        if not all(listed):
            raise UsageError("a dictionary has an entry that is empty")
        if len(set(listed)) < len(listed):
            raise UsageError("a dictionary lists an entry twice", hint="leave one of them out")
        self._entries = word_list(listed)

    def replace(self, values: pa.Array) -> pa.Array:
        """The entry of each value."""
        return take_words(self._entries, draws(self._prf, values, len(self._entries)))

    def __repr__(self) -> str:
        return f"Dictionary({len(self._entries)} entries)"
