"""Text as code points, and back: all rows at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privpipe.kernels._pack import Bytes, Ints, Mask

__all__ = ["Points", "code_points", "malformed", "point_counts", "sums", "utf8", "utf8_sizes"]

Points: TypeAlias = npt.NDArray[np.uint32]


def code_points(text: Bytes) -> Points:
    """The code points of UTF-8."""
    return np.frombuffer(text.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)


def point_counts(text: Bytes, lengths: Ints) -> Ints:
    """How many code points each row has, of rows that lie end to end in UTF-8."""
    return sums((text & 0xC0) != 0x80, lengths)


def utf8(points: Points) -> Bytes:
    """The code points as UTF-8."""
    return np.frombuffer(points.tobytes().decode("utf-32-le").encode(), dtype=np.uint8)


def utf8_sizes(points: Points) -> Ints:
    """How many bytes of UTF-8 each code point takes."""
    sizes: Ints = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000).astype(np.int64)
    return sizes


def sums(flags: npt.NDArray[Any], lengths: Ints) -> Ints:
    """The sum over each row, of rows that lie end to end."""
    total = np.zeros(len(flags) + 1, dtype=np.int64)
    np.cumsum(flags, out=total[1:])
    ends = np.cumsum(lengths)
    return np.asarray(total[ends] - total[ends - lengths])


def malformed(text: Bytes, lengths: Ints) -> Mask:
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
