"""Text as codes, and back: the place of each character in an alphabet, with no loop over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privpipe.errors import UsageError
from privpipe.kernels._base64 import flatten
from privpipe.kernels._pack import Bytes, Ints, Mask, Slices
from privpipe.kernels._utf8 import code_points, malformed, point_counts, sums, utf8, utf8_sizes

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
        return sums(self.codes < radix, self.lengths)


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
        self._sizes = utf8_sizes(points)
        self._to_byte = bytes(points.astype(np.uint8)).ljust(256, b"\0") if self._ascii else b""

    def encode(self, rows: Slices) -> Coded:
        """The codes of each row's characters."""
        text = flatten(rows)
        lengths = rows.lengths
        outside = np.zeros(len(rows), dtype=np.bool_)
        if self._ascii:
            codes = self._of_bytes(text)
        else:
            outside = malformed(text, lengths)
            if outside.any():
                text, lengths = text[np.repeat(~outside, lengths)], np.where(outside, 0, lengths)
            codes = self._of_points(text)
            lengths = point_counts(text, lengths)
        ends = np.cumsum(lengths)
        if len(codes) and int(codes.max()) >= self.size:
            outside |= sums(codes >= self.size, lengths) > 0
        return Coded(codes=codes, starts=ends - lengths, lengths=lengths, outside=outside)

    def decode(self, codes: npt.NDArray[Any], lengths: Ints) -> tuple[Bytes, Ints]:
        """UTF-8 of codes that are all of characters, and its length for each row."""
        if self._base is not None:
            return codes + np.uint8(self._base), lengths
        if self._ascii:
            return np.frombuffer(codes.tobytes().translate(self._to_byte), np.uint8), lengths
        return utf8(self._points[codes]), sums(self._sizes[codes], lengths)

    def kept_sizes(self, radix: int) -> Ints | None:
        """The bytes of each code's character; None where all that can be kept have as many."""
        kept = self._sizes[radix:]
        return self._sizes if len(kept) and (kept != kept[0]).any() else None

    def _of_bytes(self, text: Bytes) -> npt.NDArray[Any]:
        if self._base is not None:
            return text - np.uint8(self._base)
        return np.frombuffer(text.tobytes().translate(self._codes[:256].tobytes()), np.uint8)

    def _of_points(self, text: Bytes) -> npt.NDArray[Any]:
        return self._codes[np.minimum(code_points(text), np.uint32(len(self._codes) - 1))]


def _run(points: npt.NDArray[np.uint32]) -> int | None:
    """The first code point, where the others follow it one by one."""
    return int(points[0]) if (np.diff(points.astype(np.int64)) == 1).all() else None
