"""`Fernet`, for arrays."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import pyarrow as pa

from privpipe.arrow import build
from privpipe.errors import (
    DecryptionError,
    EncodingError,
    KeysetError,
    SecretTravels,
    UsageError,
)
from privpipe.kernels._base64 import decode_rows
from privpipe.kernels._batches import ROOM, batches
from privpipe.kernels._cbc import CBC_COST, open_rows, padded_blocks
from privpipe.kernels._column import Column, take_in
from privpipe.kernels._pack import Blocks, Bytes, Mask, Slices, Words
from privpipe.kernels._token import OVERHEAD, TokenKeys, parse_tokens, seal_tokens

__all__ = ["Fernet", "parse_fernet_key"]

_LATEST = 2**64 - 1


def parse_fernet_key(text: str) -> bytes:
    """The 32 bytes of a key in Fernet's usual form, urlsafe base64; else KeysetError."""
    data = np.frombuffer(text.encode() + bytes(16), dtype=np.uint8)
    row = Slices(data=data, starts=np.array([0]), lengths=np.array([len(data) - 16]))
    decoded = decode_rows(row, urlsafe=True)
    if not decoded.sound[0] or decoded.rows.lengths[0] != 32:
        raise KeysetError("a Fernet key is 32 bytes as urlsafe base64: 44 characters, with `=`")
    return bytes(next(decoded.rows.views()))


class Fernet:
    """Fernet tokens, which many programs left behind: authenticated, under random IVs, as text.

    Input: to encrypt, a string, binary, large, view, fixed-size binary or dictionary array; to
        decrypt, the same of tokens; the key has 32 bytes, half of it to sign, half to encrypt.
    Output: string of the same length; a value of n bytes becomes the urlsafe base64, with `=`, of
        57 + 16 * (n // 16 + 1) bytes. Decryption gives binary. (`large_` where that passes 2 GiB.)
    Nulls: stay null. An empty value is encrypted.
    Associated data: none, and so nothing binds a token to its column: it opens in any other under
        the same key. Where you may choose, choose `AesGcm`.
    Reveals: which values are null, the length of each to the next 16 bytes, and when it was
        encrypted, to the second.
    Limits: a value has less than 2 GiB. HMAC-SHA256 does not vectorize, so that a value costs about
        a microsecond more than one of `AesGcm`.
    Raises: KeysetError for a key of another length, SchemaError for an array of another type,
        EncodingError for a value that is too long, UsageError for a time or IVs that will not do,
        DecryptionError (also for a token that is expired, from the future, or not in the one
        canonical base64), SecretTravels when pickled.
    Source: the Fernet specification, version 0x80.

    >>> import pyarrow as pa
    >>> kernel = Fernet(bytes(32))  # a key of zeros: for this example alone
    >>> tokens = kernel.encrypt(pa.array(["Ada", None, ""]), now=1_700_000_000)
    >>> [token and (token[:6], len(token)) for token in tokens.to_pylist()]
    [('gAAAAA', 100), None, ('gAAAAA', 100)]
    >>> kernel.decrypt(tokens, now=1_700_000_060, ttl=60).to_pylist()
    [b'Ada', None, b'']
    """

    __slots__ = ("_keys",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise KeysetError(
                "a Fernet key has 32 bytes",
                where=f"{len(key)} bytes",
                hint="`Fernet.parse_key` reads the form of 44 characters",
            )
        self._keys = TokenKeys(bytes(key))

    parse_key = staticmethod(parse_fernet_key)

    def encrypt(self, values: pa.Array, *, now: int, ivs: bytes | None = None) -> pa.Array:
        """The token of each value; `now`, in whole seconds since 1970, stands in it in clear.

        `ivs`, 16 bytes for each row, are there for published vectors alone: an IV that is used
        twice under one key shows which values begin alike.
        """
        _check_time(now)
        column = take_in(values, b"")
        given = _ivs(ivs, column)
        rows = column.rows
        blocks = padded_blocks(rows.lengths)
        texts = [
            seal_tokens(self._keys, rows, batch, now, given) for batch in batches(blocks, CBC_COST)
        ]
        offsets = column.offsets(4 * ((16 * blocks + OVERHEAD + 2) // 3))
        tokens = build(_joined(texts), offsets, column.valid)
        return tokens.view(pa.string() if tokens.type == pa.binary() else pa.large_string())

    def decrypt(
        self, values: pa.Array, *, now: int, ttl: int | None = None, skew: int = 60
    ) -> pa.Array:
        """The plaintexts; DecryptionError where one token fails, and then none is released.

        Tokens from more than `skew` seconds in the future fail, as no honest clock made them (the
        library lets them through where it is given no `ttl`); with a `ttl`, older ones than that
        many seconds fail too.
        """
        return self._open(values, _window(now, ttl, skew), strict=True)[0]

    def open_each(
        self, values: pa.Array, *, now: int, ttl: int | None = None, skew: int = 60
    ) -> tuple[pa.Array, Mask]:
        """The plaintexts, null where a token fails, and the mask of those that opened."""
        return self._open(values, _window(now, ttl, skew), strict=False)

    def created_at(self, values: pa.Array) -> pa.Array:
        """When each token was made, int64 seconds since 1970, told only of authentic tokens."""
        column = take_in(values, b"")
        times = np.zeros(column.count, dtype=np.int64)
        own = np.zeros(len(column.rows), dtype=np.int64)
        for part in _spans(column.rows):
            parts = parse_tokens(self._keys, column.rows.only(part))
            if not parts.sound.all():
                raise _failure()
            if (parts.times > np.uint64(2**63 - 1)).any():
                raise EncodingError("a token's time is beyond 64 bits with a sign")
            own[part] = parts.times
        times[slice(None) if column.valid is None else column.valid] = own
        return pa.array(times, mask=None if column.valid is None else ~column.valid)

    def _open(
        self, values: pa.Array, window: tuple[int, int], *, strict: bool
    ) -> tuple[pa.Array, Mask]:
        column = take_in(values, b"")
        given, rows = column.valid, column.rows
        lengths, good = np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=np.bool_)
        plains = []
        for part in _spans(rows):
            parts = parse_tokens(self._keys, rows.only(part))
            if strict and not parts.sound.all():
                raise _failure()
            timely = _timely(parts.times, window)
            if strict and not timely.all():
                raise DecryptionError("a token is older than its ttl, or from the future")
            good[part] = parts.sound & timely
            chosen = np.flatnonzero(good[part]) + part.start
            if len(chosen) == 0:
                continue
            opened = open_rows(self._keys.encryption, parts.sealed.only(chosen - part.start))
            if strict and not opened.sound.all():
                raise _failure()
            good[chosen], lengths[chosen] = opened.sound, opened.lengths
            plains.append(opened.data)
        if not good.all():
            column, lengths = column.without(~good), lengths[good]
        opened_rows = np.ones(column.count, dtype=np.bool_)
        if column.valid is not None:
            opened_rows = column.valid if given is None else column.valid | ~given
        return build(_joined(plains), column.offsets(lengths), column.valid), opened_rows

    def __repr__(self) -> str:
        return "Fernet(256-bit key)"

    def __reduce__(self) -> NoReturn:
        raise SecretTravels("a Fernet kernel holds a key", hint="send its `KeyRef` instead")


def _check_time(now: int) -> None:
    if not 0 <= now <= _LATEST:
        raise UsageError("`now` is in seconds since 1970, and fits 64 bits")


def _window(now: int, ttl: int | None, skew: int) -> tuple[int, int]:
    """The first and the last second that a token may be from."""
    _check_time(now)
    if skew < 0 or (ttl is not None and ttl < 0):
        raise UsageError("`ttl` and `skew` are not below 0")
    return 0 if ttl is None else max(now - ttl, 0), min(now + skew, _LATEST)


def _timely(times: Words, window: tuple[int, int]) -> Mask:
    first, last = window
    found: Mask = (times >= np.uint64(first)) & (times <= np.uint64(last))
    return found


def _spans(rows: Slices) -> list[slice]:
    """Rows of at most a mebibyte together, or one row."""
    ends = np.cumsum(rows.lengths)
    spans, first = [], 0
    while first < len(rows):
        done = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, done + 16 * ROOM, side="right")), first + 1)
        spans.append(slice(first, last))
        first = last
    return spans


def _ivs(ivs: bytes | None, column: Column) -> Blocks | None:
    if ivs is None:
        return None
    if len(ivs) != 16 * column.count:
        raise UsageError(f"{len(ivs)} bytes of IVs for {column.count} values of 16 each")
    given: Bytes = np.frombuffer(ivs, dtype=np.uint8).reshape(-1, 16)
    return given if column.valid is None else given[column.valid]


def _joined(parts: list[Bytes]) -> Bytes:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint8)


def _failure() -> DecryptionError:
    return DecryptionError(
        "a token did not authenticate: another key, altered, or not Fernet's base64",
        hint="`open_each` marks those that open",
    )
