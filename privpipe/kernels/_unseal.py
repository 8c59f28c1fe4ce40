"""Sealed rows opened: each distinct sealed key once, and its rows together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privpipe.errors import DecryptionError, SchemaError, UsageError
from privpipe.kernels._aesgcm import AesGcm
from privpipe.kernels._column import each, take_in
from privpipe.kernels._holder import holds_key
from privpipe.kernels._pack import Ints, Mask

__all__ = ["DataKeys", "open_rows"]

_FEW = 800
"""Below this many rows of one key among others, a kernel's tables (1 ms) do not repay"""

_LARGE = 2**31 - 1


@holds_key
class DataKeys:
    """Data keys by their sealed form of `size` bytes, as they are asked for; the last are kept."""

    __slots__ = ("_cached", "_size", "kernel")

    def __init__(self, open_key: Callable[[bytes], bytes], size: int) -> None:
        self._size = size
        # What does not open is kept too: damage costs one opening, not one for each batch.
        self._cached = lru_cache(maxsize=256)(partial(_data_key, open_key))
        # Fewer, for a kernel's tables are up to 4 MiB.
        self.kernel: Callable[[bytes], AesGcm] = lru_cache(maxsize=8)(AesGcm)

    def key(self, sealed: bytes) -> bytes | None:
        """The data key, or None where it does not open."""
        return self._cached(sealed) if len(sealed) == self._size else None


def open_rows(
    keys: DataKeys, values: pa.StructArray | pa.ChunkedArray, aad: bytes | pa.Array
) -> tuple[pa.Array, Mask]:
    """The plaintexts, null where a row fails, and the rows that opened (null structs did)."""
    _check(values, aad)
    if isinstance(values, pa.Array):
        return _open_chunk(keys, values, aad)
    plains, masks, done = [pa.array([], pa.binary())], [np.empty(0, dtype=np.bool_)], 0
    for chunk in values.chunks:
        own = aad if isinstance(aad, bytes) else aad.slice(done, len(chunk))
        plain, opened = _open_chunk(keys, chunk, own)
        plains.append(plain)
        masks.append(opened)
        done += len(chunk)
    return _joined(plains), np.concatenate(masks)


def _data_key(open_key: Callable[[bytes], bytes], sealed: bytes) -> bytes | None:
    try:
        key = open_key(sealed)
    except DecryptionError:
        return None
    return key if len(key) == 32 else None


def _check(values: pa.StructArray | pa.ChunkedArray, aad: bytes | pa.Array) -> None:
    kind = values.type
    if not pt.is_struct(kind) or sorted(field.name for field in kind) != ["ct", "key"]:
        raise SchemaError(f"a column of type {kind} is not sealed: struct<key, ct> is")
    if isinstance(aad, bytes):
        return
    if not isinstance(aad, pa.Array | pa.ChunkedArray):
        raise UsageError("associated data is neither bytes nor an Arrow array")
    if len(aad) != len(values):
        raise UsageError(f"{len(aad)} rows of associated data for {len(values)} values")


def _open_chunk(
    keys: DataKeys, values: pa.StructArray, aad: bytes | pa.Array
) -> tuple[pa.Array, Mask]:
    given = values.is_valid().to_numpy(zero_copy_only=False)
    fields = dict(zip([field.name for field in values.type], values.flatten(), strict=True))
    sealed, texts = _plain_layout(fields["key"]), _plain_layout(fields["ct"])
    whole = sealed.is_valid().to_numpy(zero_copy_only=False) & (
        texts.is_valid().to_numpy(zero_copy_only=False)
    )
    if np.array_equal(whole, given) and _are_one(sealed.drop_null()):
        # The common column: one task wrote it.
        key = keys.key(sealed.drop_null()[0].as_py())
        if key is not None:
            return keys.kernel(key).open_each(texts, aad)
    encoded = sealed.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    rows = np.flatnonzero(whole)
    by_key = encoded.indices.take(pa.array(rows)).to_numpy(zero_copy_only=False)
    order = np.argsort(by_key.astype(np.min_scalar_type(len(words))), kind="stable")
    edges = np.searchsorted(by_key[order], np.arange(1, len(words)))
    groups = np.split(rows[order], edges) if words else []
    plain, opened = _open_groups(keys, words, groups, texts, aad)
    return plain, opened | ~given


def _are_one(sealed: pa.Array) -> bool:
    """Whether all rows are equal; a tenth of what it costs to look up each."""
    return len(sealed) > 0 and bool(sealed.slice(1).equals(sealed.slice(0, len(sealed) - 1)))


def _plain_layout(column: pa.Array) -> pa.Array:
    """Binary, or large binary; the bytes are not copied but for views and dictionaries."""
    if pt.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pt.is_binary(column.type) or pt.is_large_binary(column.type):
        return column
    try:
        return column.cast(pa.large_binary())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SchemaError(f"a sealed column with a field of type {column.type}") from None


def _open_groups(
    keys: DataKeys, words: list[bytes], groups: list[Ints], texts: pa.Array, aad: bytes | pa.Array
) -> tuple[pa.Array, Mask]:
    """Group i, which has the sealed key i: by a kernel of its own, or, a small one, row by row."""
    opened = np.zeros(len(texts), dtype=np.bool_)
    at = np.zeros(len(texts), dtype=np.int64)
    pieces: list[pa.Array] = []
    small: list[tuple[bytes, Ints]] = []
    done = 0
    for word, rows in zip(words, groups, strict=True):
        key = keys.key(word) if len(rows) else None
        if key is None:
            continue
        if len(rows) < _FEW:
            small.append((key, rows))
            continue
        plain, opened[rows] = keys.kernel(key).open_each(*_taken(texts, aad, rows))
        at[rows] = np.arange(done, done + len(rows))
        done += len(rows)
        pieces.append(plain)
    if small:
        rows = np.concatenate([rows for _, rows in small])
        ciphers = (cipher for key, own in small for cipher in [AESGCM(key)] for _ in own)
        plains = list(_open_alone(ciphers, *_taken(texts, aad, rows)))
        opened[rows] = [plain is not None for plain in plains]
        at[rows] = np.arange(done, done + len(rows))
        pieces.append(pa.array(plains, pa.large_binary()))
    joined = _joined([pa.array([], pa.binary()), *pieces])
    return joined.take(pa.array(at, mask=~opened)), opened


def _taken(texts: pa.Array, aad: bytes | pa.Array, rows: Ints) -> tuple[pa.Array, bytes | pa.Array]:
    at = pa.array(rows)
    return texts.take(at), aad if isinstance(aad, bytes) else aad.take(at)


def _open_alone(
    ciphers: Iterator[AESGCM], texts: pa.Array, aad: bytes | pa.Array
) -> Iterator[bytes | None]:
    column = take_in(texts, aad)
    for cipher, sealed, own in zip(ciphers, column.rows.views(), each(column.aad), strict=False):
        try:
            yield cipher.decrypt(sealed[:12], sealed[12:], own) if len(sealed) >= 28 else None
        except InvalidTag:
            yield None


def _joined(pieces: list[pa.Array]) -> pa.Array:
    """One column, `binary`, or `large_binary` past 2 GiB."""
    large = sum(piece.nbytes for piece in pieces) > _LARGE
    kind = pa.large_binary() if large else pa.binary()
    return pa.concat_arrays([piece.cast(kind) for piece in pieces])
