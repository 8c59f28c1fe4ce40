"""Characters hidden but for a few kinds of them, all rows at once."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.arrow import encode
from privpipe.errors import UsageError
from privpipe.kernels._base64 import flatten
from privpipe.kernels._column import take_in
from privpipe.kernels._pack import Bytes, Ints, Mask
from privpipe.kernels._texts import check_text, text_column
from privpipe.kernels._utf8 import (
    Points,
    code_points,
    malformed,
    point_counts,
    sums,
    utf8,
    utf8_sizes,
)

__all__ = ["masks"]

_PUNCTUATION = "punctuation"

# What the Unicode tables do not know yet is hidden, and so are combining marks, which are vowels in
# some scripts, and other symbols, which spell in Braille or circles: only what is known to be no
# part of a word stays.
_STAYS = frozenset({"Cc", "Sm", "Sc", "Sk"})


def masks(values: pa.Array, *, first: int, last: int, keep: str, char: str) -> pa.Array:
    """`char` for every character but those in `keep`, and the `first` and `last` ones.

    `punctuation` keeps what Unicode's tables have for punctuation, separators, control characters,
    and signs of sums, money and accents.

    Input: a string, large, view or dictionary array.
    Output: a string array of the same length; each value has as many characters as before.
        Characters are Unicode code points. All are counted, kept ones too; where there are no more
        than `first` and `last` together, all are hidden that are not kept. Bytes that are not UTF-8
        are U+FFFD first, and hidden as any other.
    Nulls: stay null; an empty value stays empty.
    Associated data: none.
    Reveals: which values are null, how many characters each has, where those in `keep` stand, and
        what stands at the ends.
    Raises: UsageError where `char` is not one character, or a number is negative; SchemaError for
        an array of another type.
    Source: our own; the tables are those of Python's `unicodedata`.

    >>> import pyarrow as pa
    >>> masks(pa.array(["12-34-56", None, "1-2"]), first=1, last=2, keep="-", char="#").to_pylist()
    ['1#-##-56', None, '#-#']
    """
    if len(char) != 1 or first < 0 or last < 0:
        raise UsageError("a mask has one character, and shows none or more of the value's")
    check_text(values)
    column = take_in(encode(values), b"")
    text, lengths = flatten(column.rows), column.rows.lengths
    if char.isascii() and int(text.max(initial=0)) < 0x80:
        return text_column(column, _of_ascii(text, lengths, first, last, keep, char), lengths)
    if malformed(text, lengths).any():
        text, lengths = _mended(text, lengths)
    points, counts = code_points(text), point_counts(text, lengths)
    made = np.where(_stay(points, keep), points, np.uint32(ord(char)))
    _show(made, points, counts, first, last)
    return text_column(column, utf8(made), sums(utf8_sizes(made), counts))


def _of_ascii(text: Bytes, lengths: Ints, first: int, last: int, keep: str, char: str) -> Bytes:
    table = np.full(128, ord(char), dtype=np.uint8)
    kept = np.flatnonzero(_stay(np.arange(128, dtype=np.uint32), keep))
    table[kept] = kept
    made: Bytes = table[text]
    _show(made, text, lengths, first, last)
    return made


def _mended(text: Bytes, lengths: Ints) -> tuple[Bytes, Ints]:
    """The rows with U+FFFD in the place of what is not UTF-8."""
    data, ends = text.tobytes(), np.cumsum(lengths)
    rows = [
        data[end - size : end].decode(errors="replace").encode()
        for end, size in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]
    sizes = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    return np.frombuffer(b"".join(rows), dtype=np.uint8), sizes


def _show(
    made: npt.NDArray[Any], clear: npt.NDArray[Any], lengths: Ints, first: int, last: int
) -> None:
    """Puts back the characters at the ends of the rows that have more than these."""
    long = lengths > first + last
    ends = np.cumsum(lengths)[long]
    starts = ends - lengths[long]
    for at in [*(starts + n for n in range(first)), *(ends - 1 - n for n in range(last))]:
        made[at] = clear[at]


def _stay(points: Points, keep: str) -> Mask:
    """Which characters are kept."""
    if keep != _PUNCTUATION:
        return np.isin(points, [ord(each) for each in keep])
    there, places = np.unique(points, return_inverse=True)
    kinds = (unicodedata.category(chr(point)) for point in there.tolist())
    stays = np.array([kind[0] in "PZ" or kind in _STAYS for kind in kinds], dtype=np.bool_)
    found: Mask = stays[places]
    return found
