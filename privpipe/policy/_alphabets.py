"""The alphabets that have a name."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_lowercase, ascii_uppercase, digits
from types import MappingProxyType

__all__ = ["ALPHABETS"]

ALPHABETS: Mapping[str, str] = MappingProxyType(
    {
        "alphanumeric": digits + ascii_uppercase + ascii_lowercase,
        "base36": digits + ascii_lowercase,
        "base62": digits + ascii_uppercase + ascii_lowercase,
        "digits": digits,
        "hex": digits + "abcdef",
    }
)
"""The characters of each, in the order of their numerals."""
