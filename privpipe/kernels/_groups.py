"""Rows of one kind together: as a matrix, and back to their places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from privpipe.kernels._pack import KEEP, Bytes, Ints, Slices, windows

__all__ = ["Rows", "gather", "gather_ends", "groups", "put", "rank"]

Rows: TypeAlias = slice | Ints
"""A slice where it is all of them"""


def groups(*facts: Ints) -> Iterator[Rows]:
    """The rows that agree in every one of `facts`, group by group."""
    count = len(facts[0])
    telling = [fact for fact in facts if count and (fact != fact[0]).any()]
    if not telling:
        if count:
            yield slice(None)
        return
    _, kind = np.unique(telling[0], return_inverse=True)
    for fact in telling[1:]:
        _, more = np.unique(fact, return_inverse=True)
        _, kind = np.unique(kind * (int(more.max()) + 1) + more, return_inverse=True)
    order = np.argsort(kind, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(kind))[:-1])


def gather(codes: npt.NDArray[Any], starts: Ints, length: int, rows: Rows) -> npt.NDArray[Any]:
    """`length` codes from each start on, as a matrix; for a slice, all codes in their order."""
    if isinstance(rows, slice):
        return codes.reshape(len(starts), length)
    return _windows(codes, length)[starts[rows]].view(codes.dtype).reshape(len(rows), length)


def put(matrix: npt.NDArray[Any], codes: npt.NDArray[Any], starts: Ints, rows: Rows) -> None:
    """The inverse of `gather`: the rows go to their places."""
    if isinstance(rows, slice):
        codes.reshape(matrix.shape)[...] = matrix
        return
    length = matrix.shape[1]
    packed = np.ascontiguousarray(matrix, dtype=codes.dtype)
    _windows(codes, length)[starts[rows]] = packed.view(f"V{length * codes.itemsize}")[:, 0]


def rank(lengths: Ints) -> Ints:
    """Of byte strings, which may go together: under 16 bytes, under 32, under 64 and so on.

    Padded to the longest of its group, none more than doubles.
    """
    return np.frexp((lengths >> 4).astype(np.float64))[1].astype(np.int64)


def gather_ends(slices: Slices, rows: Rows) -> tuple[Bytes, Ints]:
    """Those byte strings as a matrix, zeros behind the end of each, and their lengths."""
    own = slices.only(rows)
    width = int(own.lengths.max())
    if width == int(own.lengths.min()):
        found = windows(own.data, width)[own.starts] if width else np.empty(0, dtype="V1")
        return found.view(np.uint8).reshape(len(own), width), own.lengths
    matrix = np.empty((len(own), -(-width // 16) * 16), dtype=np.uint8)
    view, ends = windows(own.data, 16), own.starts + own.lengths
    for at in range(0, width, 16):
        part = view[np.minimum(own.starts + at, ends)].view(np.uint64)
        part &= KEEP.take(np.clip(own.lengths - at, 0, 16)).view(np.uint64)
        matrix[:, at : at + 16] = part.view(np.uint8).reshape(-1, 16)
    return matrix, own.lengths


def _windows(codes: npt.NDArray[Any], length: int) -> npt.NDArray[np.void]:
    size = codes.itemsize
    return np.ndarray(
        (max(len(codes) - length + 1, 0),),
        dtype=f"V{length * size}",
        buffer=codes,
        strides=(size,),
    )
