"""One column, several keys: Tink's rule for which key opens which ciphertext."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.arrow import Bound, Cells, cells
from privpipe.keys._primitives import Kernel

PREFIX = 5


def open_mixed(
    keys: Sequence[tuple[bytes, Kernel]],
    values: pa.Array | pa.ChunkedArray,
    aad: bytes | pa.Array | Bound,
) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """Opens each ciphertext by the key that its first five bytes name, else by a RAW key.

    `keys` are pairs of a prefix (5 bytes, or b"" for RAW) and its kernel, in the keyset's order.
    Returns the plaintexts (binary, failing rows null) and a mask (n,) of the rows that opened; a
    null stays null and counts as opened. Associated data: one for all, or one a row.

    The prefix is a hint that nobody authenticated. So a row that the keys of its prefix (there
    may be several) do not open is tried under every RAW key, in order: a RAW ciphertext begins
    with whatever its nonce is. Source: `aead/_aead_wrapper.py` of tink-py 1.16.
    """
    values = _takeable(values)
    aad = aad if isinstance(aad, bytes | Bound) else _takeable(aad)
    laid = cells(values)
    waiting = np.ones(len(values), dtype=bool) if laid.valid is None else laid.valid.copy()
    work = _Work(values=values, aad=aad, waiting=waiting, rows=[], pieces=[])
    codes = _codes(laid)
    for prefix, kernel in keys:
        if prefix:
            work.open(kernel, waiting & (codes == int.from_bytes(prefix, "big")), prefix)
    for prefix, kernel in keys:
        if not prefix:
            work.open(kernel, waiting, prefix)
    return work.result(), ~waiting


def _takeable(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One chunk, of a type that Arrow can take rows of: it cannot of views."""
    if isinstance(array, pa.ChunkedArray):
        return array.cast(pa.large_binary()).combine_chunks()
    view = pa.types.is_binary_view(array.type) or pa.types.is_string_view(array.type)
    return array.cast(pa.large_binary()) if view else array


_NO_PREFIX = -1
# Eight bytes are read where five are asked for, in one look-up. What is shorter than that is
# shorter than any tag: no key opens it, whatever its prefix.
_WORD = 8


def _codes(laid: Cells) -> npt.NDArray[np.int64]:
    """Each row's first five bytes as a number; -1 where it is too short to be a ciphertext."""
    codes = np.full(len(laid), _NO_PREFIX, dtype=np.int64)
    long = laid.lengths >= _WORD
    if long.any():
        size = len(laid.data) - _WORD + 1
        words: npt.NDArray[np.uint64] = np.ndarray(size, ">u8", laid.data, strides=(1,))
        starts = laid.starts if long.all() else laid.starts[long]
        codes[long] = words[starts] >> np.uint64(8 * (_WORD - PREFIX))
    return codes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A column under way: the rows that no key has opened yet, and what was opened of others."""

    values: pa.Array
    aad: bytes | pa.Array | Bound
    waiting: npt.NDArray[np.bool_]
    rows: list[npt.NDArray[np.intp]]
    pieces: list[pa.Array]

    def open(self, kernel: Kernel, chosen: npt.NDArray[np.bool_], prefix: bytes) -> None:
        """Tries one key on the chosen rows."""
        rows = np.flatnonzero(chosen)
        if not len(rows):
            return
        values, aad = self.values, self.aad
        if len(rows) < len(values):
            values = values.take(pa.array(rows))
            aad = aad if isinstance(aad, bytes) else aad.take(pa.array(rows))
        opened, mask = kernel.open_each(values, aad, prefix=prefix)
        if not mask.all():
            rows, opened = rows[mask], opened.filter(pa.array(mask))
        if len(rows):
            self.waiting[rows] = False
            self.rows.append(rows)
            self.pieces.append(opened)

    def result(self) -> pa.Array:
        """All rows in their order; null where none opened."""
        n = len(self.values)
        if not self.pieces:
            return pa.nulls(n, pa.binary())
        if len(self.pieces[0]) == n:
            return self.pieces[0]
        rows = np.concatenate(self.rows)
        source = np.full(n, -1, dtype=np.int64)
        source[rows] = np.arange(len(rows))
        whole = pa.concat_arrays([piece.cast(self._kind()) for piece in self.pieces])
        return whole.take(pa.array(source, mask=source < 0))

    def _kind(self) -> pa.DataType:
        wide = any(pa.types.is_large_binary(piece.type) for piece in self.pieces)
        wide = wide or sum(piece.nbytes for piece in self.pieces) >= 2**31
        return pa.large_binary() if wide else pa.binary()
