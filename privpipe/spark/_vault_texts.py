"""Values that a user wrote as text, a line each, as a vault's columns hold them.

They are read on the driver and leave it as fingerprints alone: no plan holds one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa

from privpipe.errors import InvalidValue, UsageError

__all__ = ["read_texts"]

_KINDS: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "text": pa.string(),
        "bytes": pa.binary(),
        "integer": pa.int64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", "UTC"),
        "timestamp_ntz": pa.timestamp("us"),
        "boolean": pa.bool_(),
    }
)
_DECIMAL = re.compile(r"decimal\.(\d{1,2})")
_WRITTEN = {"bytes": "hex digits", "timestamp": "2026-01-31T12:00:00Z, with its zone"}


def read_texts(texts: Sequence[str], family: str) -> pa.Array:
    """`texts` as values of `family`: bytes as hex, timestamps with their zone, all else as in SQL.

    Raises InvalidValue with the number of the first line that is none, never with the line itself;
    UsageError for a family that has no way to be written.
    """
    kind = _kind(family)
    found = _read(texts, kind)
    if found is not None:
        return found
    line = next(at for at, text in enumerate(texts, 1) if _read([text], kind) is None)
    raise InvalidValue(
        f"value {line} is none of the family {family}",
        hint=f"write {_WRITTEN.get(family, 'it as SQL does')}, one a line",
    )


def _kind(family: str) -> pa.DataType:
    decimal = _DECIMAL.fullmatch(family)
    if decimal:
        return pa.decimal128(38, int(decimal.group(1)))
    if family not in _KINDS:
        raise UsageError(
            f"values of the family {family!r} are not read from text",
            hint=f"one of {', '.join(_KINDS)}, decimal.2 (by its scale); in Python, "
            "home.forget takes a DataFrame of any type",
        )
    return _KINDS[family]


def _read(texts: Sequence[str], kind: pa.DataType) -> pa.Array | None:
    try:
        if kind == pa.binary():
            return pa.array([bytes.fromhex(text) for text in texts], kind)
        return pa.array(texts, pa.string()).cast(kind)
    except (pa.ArrowException, ValueError, OverflowError):
        # What Arrow says quotes the value.
        return None
