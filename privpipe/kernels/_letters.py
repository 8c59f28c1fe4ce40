"""Text as codes, and back: the place of each character in an alphabet, with no loop over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privpipe.errors import UsageError
from privpipe.kernels._pack import Bytes, Ints, Mask, Slices

__all__ = ["Coded", "Letters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """The codes of all rows, one row behind the other; `outside` marks rows that have others."""

    codes: npt.NDArray[Any]
    starts: Ints
    lengths: Ints
    outside: Mask

    def sizes(self, radix: int) -> Ints:
        """How many codes of each row are below `radix`."""
        return _sums(self.codes < radix, self.lengths)


class Letters:
    """The characters of `alphabet` have the codes 0, 1, 2 and so on, those of `keep` the next."""

    __slots__ = ("_ascii", "_base", "_codes", "_kind", "_points", "_sizes", "_to_byte", "size")

    def __init__(self, alphabet: str, keep: str = "") -> None:
        both = alphabet + keep
        if not 2 <= len(alphabet) <= 65_536:
            raise UsageError("an alphabet has 2 to 65,536 characters", where=f"{len(alphabet)}")
        if len(set(both)) != len(both):
            raise UsageError("a character stands twice in the alphabet, or in what is kept")
        if any("\ud800" <= letter <= "\udfff" for letter in both):
            raise UsageError("an alphabet holds a surrogate, which is no character")
        self.size = len(both)
        points = np.array([ord(letter) for letter in both], dtype=np.uint32)
        highest = int(points.max())
        self._ascii = highest < 128
        # Whatever is `size` or more is the code of no character.
        self._kind = np.uint8 if self.size < 256 else np.uint16 if self.size < 65_536 else np.uint32
        self._points = points
        self._base = _run(points) if self._ascii else None
        codes = np.full(max(highest + 2, 256), np.iinfo(self._kind).max, dtype=self._kind)
        codes[points] = np.arange(self.size)
        self._codes = codes
        self._sizes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
        self._to_byte = bytes(points.astype(np.uint8)).ljust(256, b"\0") if self._ascii else b""

    def encode(self, rows: Slices) -> Coded:
        """The codes of each row's characters."""
        text = _compact(rows)
        lengths = rows.lengths
        outside = np.zeros(len(rows), dtype=np.bool_)
        if self._ascii:
            codes = self._of_bytes(text)
        else:
            outside = _malformed(text, lengths)
            if outside.any():
                text, lengths = text[np.repeat(~outside, lengths)], np.where(outside, 0, lengths)
            codes = self._of_points(text)
            lengths = _sums((text & 0xC0) != 0x80, lengths)
        ends = np.cumsum(lengths)
        if len(codes) and int(codes.max()) >= self.size:
            outside |= _sums(codes >= self.size, lengths) > 0
        return Coded(codes=codes, starts=ends - lengths, lengths=lengths, outside=outside)

    def decode(self, codes: npt.NDArray[Any], lengths: Ints) -> tuple[Bytes, Ints]:
        """UTF-8 of codes that are all of characters, and its length for each row."""
        if self._base is not None:
            return codes + np.uint8(self._base), lengths
        if self._ascii:
            return np.frombuffer(codes.tobytes().translate(self._to_byte), np.uint8), lengths
        text = self._points[codes].tobytes().decode("utf-32-le").encode()
        return np.frombuffer(text, np.uint8), _sums(self._sizes[codes], lengths)

    def kept_sizes(self, radix: int) -> Ints | None:
        """The bytes of each code's character; None where all that can be kept have as many."""
        kept = self._sizes[radix:]
        return self._sizes if len(kept) and (kept != kept[0]).any() else None

    def _of_bytes(self, text: Bytes) -> npt.NDArray[Any]:
        if self._base is not None:
            return text - np.uint8(self._base)
        return np.frombuffer(text.tobytes().translate(self._codes[:256].tobytes()), np.uint8)

    def _of_points(self, text: Bytes) -> npt.NDArray[Any]:
        points = np.frombuffer(text.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)
        return self._codes[np.minimum(points, np.uint32(len(self._codes) - 1))]


def _run(points: npt.NDArray[np.uint32]) -> int | None:
    """The first code point, where the others follow it one by one."""
    return int(points[0]) if (np.diff(points.astype(np.int64)) == 1).all() else None


def _compact(rows: Slices) -> Bytes:
    """The bytes of the rows, one row behind the other."""
    starts, lengths = rows.starts, rows.lengths
    if len(rows) == 0:
        return np.empty(0, dtype=np.uint8)
    if (starts[1:] == starts[:-1] + lengths[:-1]).all():
        return rows.data[int(starts[0]) : int(starts[-1] + lengths[-1])]
    ends = np.cumsum(lengths)
    places = np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1])
    return np.asarray(rows.data[places])


def _sums(flags: npt.NDArray[Any], lengths: Ints) -> Ints:
    """The sum over each row."""
    total = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags, out=total[1:])
    ends = np.cumsum(lengths)
    return np.asarray(total[ends] - total[ends - lengths])


def _malformed(text: Bytes, lengths: Ints) -> Mask:
    """The rows that are not UTF-8: Spark holds such strings."""
    filled = lengths > 0
    ends = np.cumsum(lengths)
    try:
        text.tobytes().decode()
        # Together they are: so each is, if none begins in the midst of a character.
        if not ((text[(ends - lengths)[filled]] & 0xC0) == 0x80).any():
            return np.zeros(len(lengths), dtype=np.bool_)
    except UnicodeDecodeError:
        pass
    data = text.tobytes()
    return np.array(
        [not _is_text(data[end - size : end]) for end, size in zip(ends, lengths, strict=True)],
        dtype=np.bool_,
    )


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
