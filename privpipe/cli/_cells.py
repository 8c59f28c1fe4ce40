"""A revealed row as text: ciphertext short, values safe to print."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

__all__ = ["cell"]

_SHOWN = 8  # bytes of a binary value: Tink's prefix and the first of what follows


def cell(value: Any) -> str:  # noqa: PLR0911 (one line a kind of value)
    """One value for people to read. Exact values are for `--json` and `--target`."""
    if value is None:
        return "null"
    if isinstance(value, (bytes, bytearray)):
        more = f"… ({len(value)} bytes)" if len(value) > _SHOWN else ""
        return f"0x{value[:_SHOWN].hex()}{more}"
    if isinstance(value, str):
        return value.replace("\n", "\\n").replace("\t", "\\t")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if hasattr(value, "asDict"):
        return _braced(value.asDict())
    if isinstance(value, Mapping):
        return _braced(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(cell(item) for item in value) + "]"
    return str(value)


def _braced(value: Mapping[Any, Any]) -> str:
    return "{" + ", ".join(f"{cell(key)}: {cell(item)}" for key, item in value.items()) + "}"
