"""Named alphabets."""

from __future__ import annotations

import string
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALPHABETS", "LEAST_DOMAIN", "characters"]

LEAST_DOMAIN = 1_000_000
"""The fewest values that tokens may stand for (SP 800-38G Rev. 1, section 5): fewer can be tried"""

ALPHABETS: Mapping[str, str] = MappingProxyType(
    {
        "digits": string.digits,
        "hex": "0123456789abcdef",
        "alphanumeric": string.digits + string.ascii_uppercase + string.ascii_lowercase,
        "base36": string.digits + string.ascii_lowercase,
        "base62": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    }
)
"""The characters of each alphabet that a policy may name, a digit's value being its place."""


def characters(alphabet: str) -> str:
    """The characters of an alphabet that a policy names, or spells out itself."""
    return ALPHABETS.get(alphabet, alphabet)
