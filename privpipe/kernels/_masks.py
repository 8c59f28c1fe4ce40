"""Characters hidden but for a few kinds of them, all rows at once."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.arrow import encode
from privpipe.errors import UsageError
from privpipe.kernels._column import Column, take_in
from privpipe.kernels._pack import Bytes, Ints, Mask, Slices
from privpipe.kernels._texts import check_text, text_column

__all__ = ["masks"]

PUNCTUATION = "punctuation"

# What the Unicode tables do not know yet is hidden, and so are combining marks, which are vowels in
# some scripts, and other symbols, which spell in Braille or circles: only what is known to be no
# part of a word stays.
_STAYS = frozenset({"Cc", "Sm", "Sc", "Sk"})

Points: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]
"""Code points, one an item"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """Row i is `points[starts[i]:starts[i] + lengths[i]]`, and the rows lie end to end."""

    points: Points
    starts: Ints
    lengths: Ints


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
    rows = _end_to_end(column.rows)
    texts = _from_ascii(rows) if _is_ascii(rows, char) else _from_utf8(rows)
    return _text_column(column, _hidden(texts, first, last, keep, char), texts)


def _end_to_end(rows: Slices) -> Slices:
    """The same rows, and `data` holds nothing but them: what else is in there is not to be read."""
    ends = rows.starts + rows.lengths
    if len(rows) and (ends[:-1] == rows.starts[1:]).all():
        data = rows.data[rows.starts[0] : ends[-1]]
        return Slices(data=data, starts=rows.starts - rows.starts[0], lengths=rows.lengths)
    starts = np.cumsum(rows.lengths) - rows.lengths
    places = np.repeat(rows.starts - starts, rows.lengths)
    places += np.arange(len(places))
    return Slices(data=rows.data[places], starts=starts, lengths=rows.lengths)


def _is_ascii(rows: Slices, char: str) -> bool:
    return char.isascii() and int(rows.data.max(initial=0)) < 0x80


def _from_ascii(rows: Slices) -> _Texts:
    return _Texts(points=rows.data, starts=rows.starts, lengths=rows.lengths)


def _from_utf8(rows: Slices) -> _Texts:
    leads = (rows.data & 0xC0) != 0x80
    cut = np.append(leads, True)
    try:
        text = bytes(rows.data).decode()
    except UnicodeDecodeError:
        return _from_broken(rows)
    # Two rows that are not UTF-8 may be so together: no character may run into the next row.
    if not cut[rows.starts].all():
        return _from_broken(rows)
    before = np.concatenate(([0], np.cumsum(leads)))
    starts = before[rows.starts]
    return _Texts(
        points=_points(text), starts=starts, lengths=before[rows.starts + rows.lengths] - starts
    )


def _from_broken(rows: Slices) -> _Texts:
    texts = [bytes(view).decode(errors="replace") for view in rows.views()]
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return _Texts(
        points=_points("".join(texts)), starts=np.cumsum(lengths) - lengths, lengths=lengths
    )


def _points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def _hidden(texts: _Texts, first: int, last: int, keep: str, char: str) -> Points:
    points = texts.points
    if points.dtype == np.uint8:
        table = np.full(256, ord(char), dtype=np.uint8)
        kept = np.arange(128, dtype=np.uint8)[_stay(np.arange(128, dtype=np.uint32), keep)]
        table[kept] = kept
        made: Points = table[points]
    else:
        made = np.where(_stay(points, keep), points, np.uint32(ord(char)))
    long = texts.lengths > first + last
    starts = texts.starts[long]
    ends = starts + texts.lengths[long]
    for at in [*(starts + n for n in range(first)), *(ends - 1 - n for n in range(last))]:
        made[at] = points[at]
    return made


def _stay(points: Points, keep: str) -> Mask:
    if keep != PUNCTUATION:
        return np.isin(points, _points(keep))
    there, places = np.unique(points, return_inverse=True)
    kinds = (unicodedata.category(chr(point)) for point in there.tolist())
    stays = np.array([kind[0] in "PZ" or kind in _STAYS for kind in kinds], dtype=np.bool_)
    found: Mask = stays[places]
    return found


def _text_column(column: Column, made: Points, texts: _Texts) -> pa.Array:
    if made.dtype == np.uint8:
        return text_column(column, made.view(np.uint8), texts.lengths)
    data: Bytes = np.frombuffer(made.tobytes().decode("utf-32-le").encode(), dtype=np.uint8)
    sizes = 1 + (made >= 0x80) + (made >= 0x800) + (made >= 0x1_0000).astype(np.int64)
    before = np.concatenate(([0], np.cumsum(sizes)))
    return text_column(column, data, before[texts.starts + texts.lengths] - before[texts.starts])
