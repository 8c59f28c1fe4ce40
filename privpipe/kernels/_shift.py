"""`Shift`, for arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.errors import InvalidValue, SchemaError, UsageError
from privpipe.kernels._aescmac import AesCmac
from privpipe.kernels._draws import draws
from privpipe.kernels._holder import holds_key

__all__ = ["Shift"]

_FIRST = -719_162
"""0001-01-01, in days since 1970-01-01"""
_LAST = 2_932_896
"""9999-12-31"""
_MOST = _LAST - _FIRST
_DAY = 86_400_000_000
"""Microseconds"""


@holds_key
class Shift:
    """Dates moved by a number of days that each subject has of its own.

    Input: a date32 array or one of timestamps in microseconds, with a zone or without, and a
        binary-like array of the same length with each row's subject, as its canonical bytes; either
        may be a dictionary. The key has 16, 24 or 32 bytes.
    Output: an array of the values' type. All dates of one subject are moved by one number of days,
        from -`days` to `days`, a day having 24 hours; so the intervals between them are kept, and
        the same subject has the same number in every table under one key, head and `days`.
    Nulls: a date that is null stays null, whoever its subject is.
    Associated data: none beside the subject. `head` stands before every subject, as in `AesCmac`.
    Reveals: which dates are null, and each date to within `days`; of one subject, the order of its
        dates, the intervals and the time of day. Who knows one true date of a subject knows all of
        them. Where dates have a known first or last, a season or a weekday's rhythm, many of one
        subject may tell its number.
    Limits: the numbers are not quite equally likely, since 2^64 is no multiple of 2 `days` + 1:
        none is drawn oftener than another by a share of more than (2 `days` + 1) / 2^64. One
        subject in 2 `days` + 1 is not moved. Local times move by an hour where clocks changed.
    Raises: InvalidValue where dates lie, or would lie, outside the years 0001 to 9999 (of UTC), or
        have no subject, with how many; KeysetError for a key of another length; SchemaError for an
        array of another type; UsageError for arrays of two lengths, or for `days` below 1 or above
        3,652,058; SecretTravels when pickled.
    Source: our own: RFC 4493 for the tag, whose first 8 bytes as an unsigned big-endian number,
        modulo 2 `days` + 1, less `days`, are the number of days.

    >>> import datetime, pyarrow as pa
    >>> kernel = Shift(bytes(32), 30)  # a key of zeros: for this example alone
    >>> dates = pa.array([datetime.date(2024, 2, 28), None, datetime.date(2024, 3, 1)])
    >>> moved = kernel.shift(dates, pa.array([b"Ada", b"Ada", b"Ada"])).to_pylist()
    >>> moved[1], (moved[2] - moved[0]).days
    (None, 2)
    """

    __slots__ = ("_days", "_prf")

    def __init__(self, key: bytes, days: int, *, head: bytes = b"") -> None:
        if not 1 <= days <= _MOST:
            raise UsageError(f"a shift of {days} days", hint=f"days are 1 to {_MOST:,}")
        self._prf = AesCmac(key, head=head)
        self._days = days

    def offsets(self, subjects: pa.Array) -> pa.Array:
        """The number of days of each subject, int32; null where that is."""
        drawn = draws(self._prf, subjects, 2 * self._days + 1)
        days = drawn.fill_null(0).to_numpy() - self._days
        return pa.array(days.astype(np.int32), mask=_absent(drawn))

    def shift(self, values: pa.Array, subjects: pa.Array) -> pa.Array:
        """Each date, moved by its subject's days."""
        values = _plain(values)
        unit = _unit(values.type)
        if len(values) != len(subjects):
            raise UsageError(f"{len(subjects)} subjects for {len(values)} dates")
        days = self.offsets(subjects)
        stored = pa.int32() if unit == 1 else pa.int64()
        held = ~_absent(values)
        was = values.view(stored).fill_null(0).to_numpy().astype(np.int64)
        now = was + days.fill_null(0).to_numpy().astype(np.int64) * unit
        low, high = _FIRST * unit, (_LAST + 1) * unit - 1
        # A sum that runs over is of a date that lay outside before.
        outside = (was < low) | (was > high) | (now < low) | (now > high)
        alone = held & _absent(days)
        _check(outside=int((held & ~alone & outside).sum()), alone=int(alone.sum()))
        moved = pa.array(np.where(held, now, 0), mask=~held)
        return moved.cast(stored).view(values.type)

    def __repr__(self) -> str:
        return f"Shift({self._days} days)"


def _plain(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array, of dates and not of their places in a dictionary."""
    if pt.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _unit(kind: pa.DataType) -> int:
    """How many of what the type counts make a day."""
    if pt.is_date32(kind):
        return 1
    if pt.is_timestamp(kind) and kind.unit == "us":
        return _DAY
    raise SchemaError(f"a column of type {kind} holds no dates that a shift moves")


def _absent(column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = column.is_null().to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.bool_)


def _check(*, outside: int, alone: int) -> None:
    faults = {"that lie outside the years 0001 to 9999, or would": outside, "of no subject": alone}
    found = [f"{count} {words}" for words, count in faults.items() if count]
    if found:
        raise InvalidValue(f"dates that a shift cannot move: {', '.join(found)}")
