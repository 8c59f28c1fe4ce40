"""The alphabets that have names, and the bounds of what a token can be; no numpy, no pyarrow."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALPHABETS", "LEAST", "LONGEST"]

LEAST = 1_000_000
"""The fewest values a domain may have (SP 800-38G Rev. 1, section 5): fewer can be tried out"""

LONGEST = 4096
"""The most characters that a value may have"""

_DIGITS = "0123456789"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = "abcdefghijklmnopqrstuvwxyz"

ALPHABETS: Mapping[str, str] = MappingProxyType(
    {
        "alphanumeric": _DIGITS + _UPPER + _LOWER,
        "base36": _DIGITS + _LOWER,
        "base62": _DIGITS + _UPPER + _LOWER,
        "digits": _DIGITS,
        "hex": _DIGITS + "abcdef",
    }
)
