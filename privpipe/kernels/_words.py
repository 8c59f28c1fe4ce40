"""Texts looked up by their places in a list."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privpipe.errors import UsageError

__all__ = ["take_words", "word_list"]

LARGE = 2**31 - 1
"""The last offset of a `string` array"""


def word_list(words: list[str]) -> pa.Array:
    """The words as a string array; UsageError where one is no Unicode text."""
    try:
        return pa.array(words, pa.string())
    except (UnicodeEncodeError, pa.ArrowInvalid):
        # Both messages may hold the word.
        raise UsageError("a text is not of Unicode characters, or not a text at all") from None


def take_words(words: pa.Array, places: pa.Array) -> pa.Array:
    """The word at each place, null where that is null: `string`, or `large_string` past 2 GiB."""
    longest = pc.max(pc.binary_length(words)).as_py() or 0
    if longest * len(places) > LARGE:
        lengths = pc.binary_length(words).to_numpy().astype(np.int64)
        found = places.drop_null().to_numpy()
        if int(lengths[found].sum()) > LARGE:
            words = words.cast(pa.large_string())
    return words.take(places)
