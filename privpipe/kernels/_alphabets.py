"""The alphabets that have names, and how many values a token can take; no numpy, no pyarrow."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALPHABETS", "LEAST", "LONGEST", "domain_size"]

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


def domain_size(
    radix: int, length: int, *, first: int = 0, last: int = 0, luhn: bool = False
) -> int:
    """How many values a token over `radix` characters can take, of `length` that are data.

    1 where nothing is left to encrypt; below `LEAST` the value is refused.
    """
    return int(radix ** max(length - first - last - luhn, 0))
