"""Settings that are well formed and make no sense: what is said of each, with no table at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from privpipe.documents import nearest, quote
from privpipe.policy._sense_generalize import bucket, generalize, not_finite
from privpipe.policy._sense_tokens import tokenize, vault
from privpipe.policy._settings import (
    Bucket,
    Encrypt,
    EncryptDeterministic,
    Generalize,
    Mask,
    Pseudonymize,
    Replace,
    Settings,
    Tokenize,
    Vault,
)

__all__ = ["FEW_ENTRIES", "ONE_VALUE", "sense"]

Said: TypeAlias = tuple[str, str, str | None]

_PUNCTUATION = "punctuation"
FEW_ENTRIES = "has fewer than two different entries"
"""What is said of a dictionary that draws nothing, given as a list or as a file"""
ONE_VALUE = "use `value` for one constant"
"""And what to do"""
_RISK = 1e-6  # of two values that meet, at most


def sense(protection: str, settings: Settings | None) -> Iterator[Said]:
    """The faults of one rule's settings: its key (`preserve.last`; empty for the rule as a whole),
    the message and the hint."""
    look = _LOOKS.get(type(settings))
    if look is not None:
        yield from look(protection, settings)


def _bind(_: str, settings: Encrypt | EncryptDeterministic) -> Iterator[Said]:
    names = [name.lower() for name in settings.bind]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "bind", f"names {quote(name)} twice", "name each column once"


def _mask(_: str, settings: Mask) -> Iterator[Said]:
    word = settings.keep
    # As characters, a word misspelt would show every letter that is in it.
    if word != _PUNCTUATION and len(word) > 5 and nearest(word, (_PUNCTUATION,)):
        yield (
            "keep",
            f"unknown word {quote(word)}; nearest: {quote(_PUNCTUATION)}",
            "write `punctuation`, or the characters themselves",
        )


def _replace(_: str, settings: Replace) -> Iterator[Said]:
    value, dictionary = settings.value, settings.dictionary
    if value is not None and dictionary is not None:
        yield "dictionary", "given beside value", "give one of the two"
    elif value is None and dictionary is None:
        yield "", "replace has neither value nor dictionary", "give one of the two"
    elif isinstance(value, float):
        yield from not_finite("value", value)
    elif isinstance(dictionary, tuple) and len(set(dictionary)) < 2:
        yield "dictionary", FEW_ENTRIES, ONE_VALUE
    elif dictionary == "":
        yield "dictionary", "names no file", "give a list, or the path of a file of lines"


def _pseudonymize(_: str, settings: Pseudonymize) -> Iterator[Said]:
    count = settings.distinct
    if settings.output != "int64" or count is None:
        return
    # The birthday bound: n values make n² / 2 pairs, each of which meets once in 2⁶⁴.
    if count**2 > _RISK * 2**65:
        risk = f"{count**2 / 2**65:.1e}" if count < 2**33 else "1"
        yield (
            "distinct",
            f"two of {count:,} values would meet in an int64 with a probability of up to {risk}, "
            f"and {_RISK:.0e} is the most that is allowed",
            "use hex, base64 or uuid",
        )


_LOOKS: Mapping[type, Callable[[str, Any], Iterator[Said]]] = MappingProxyType(
    {
        Bucket: bucket,
        Encrypt: _bind,
        EncryptDeterministic: _bind,
        Generalize: generalize,
        Mask: _mask,
        Pseudonymize: _pseudonymize,
        Replace: _replace,
        Tokenize: tokenize,
        Vault: vault,
    }
)
