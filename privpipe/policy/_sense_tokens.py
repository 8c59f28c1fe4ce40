"""What makes no sense in tokens: alphabets that are none, and domains so small that one tries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from privpipe.documents import nearest, quote
from privpipe.policy._alphabets import ALPHABETS, LEAST_DOMAIN, characters
from privpipe.policy._settings import Span, Tokenize, Vault

__all__ = ["tokenize", "vault"]

Said: TypeAlias = tuple[str, str, str | None]

_LONGEST = 4096
_NAMES = f"use {', '.join(ALPHABETS)}, or write the characters themselves, each once"


def tokenize(_: str, settings: Tokenize) -> Iterator[Said]:
    """The alphabet, what stays, the check digit, and the number of values there can be."""
    faults = list(_alphabet("alphabet", settings.alphabet))
    yield from faults
    preserve = settings.preserve
    if settings.luhn and preserve.last:
        yield (
            "luhn",
            "the check digit is recomputed, and preserve.last would keep it",
            "leave out luhn or preserve.last",
        )
    if isinstance(settings.length, Span) and settings.length.min > settings.length.max:
        yield (
            "length",
            f"min {settings.length.min} is more than max {settings.length.max}",
            "write the fewest first",
        )
    if faults:
        return
    chars = characters(settings.alphabet)
    inside = "".join(dict.fromkeys(char for char in settings.keep if char in chars))
    if inside:
        yield "keep", f"{quote(inside)} is in the alphabet", "keep characters that are not in it"
    if settings.luhn and chars != ALPHABETS["digits"]:
        yield "luhn", "a check digit is for digits alone", "write `alphabet: digits`"
    yield from _domain(settings, len(chars))


def vault(_: str, settings: Vault) -> Iterator[Said]:
    """`uuid`, or an alphabet and a length that give tokens enough."""
    if settings.format == "uuid":
        return
    hint = "write `uuid`, or an alphabet and a length, for example `digits:16`"
    alphabet, colon, length = settings.format.rpartition(":")
    if not colon or not length.isascii() or not length.isdecimal():
        yield "format", f"{quote(settings.format)} is no format of tokens", hint
        return
    faults = list(_alphabet("format", alphabet))
    yield from faults
    if not 1 <= int(length[:5]) <= _LONGEST:
        yield "format", f"a token has 1 to {_LONGEST:,} characters, not {length[:20]}", hint
        return
    radix, count = len(characters(alphabet)), int(length)
    if not faults and radix**count < LEAST_DOMAIN:
        yield (
            "format",
            f"{radix}^{count} = {radix**count:,} tokens, and a vault needs {LEAST_DOMAIN:,}",
            "make the tokens longer",
        )


def _alphabet(key: str, alphabet: str) -> Iterator[Said]:
    if alphabet in ALPHABETS:
        return
    near = _meant(alphabet)
    if near is not None:
        yield key, f"unknown alphabet {quote(alphabet)}; nearest: {quote(near)}", _NAMES
        return
    twice = "".join(c for c in dict.fromkeys(alphabet) if alphabet.count(c) > 1)
    if twice:
        yield key, f"the alphabet has {quote(twice)} more than once", _NAMES
    elif len(alphabet) < 2:
        yield key, "an alphabet has two characters at least", _NAMES


def _meant(word: str) -> str | None:
    """The name that `word` was probably meant to be."""
    begun = [name for name in ALPHABETS if len(word) > 2 and name.startswith(word.lower())]
    return begun[0] if begun else nearest(word, ALPHABETS)


def _domain(settings: Tokenize, radix: int) -> Iterator[Said]:
    if settings.length is None:
        return
    least = settings.length.min if isinstance(settings.length, Span) else settings.length
    preserve = settings.preserve
    taken = [part for part in (preserve.first, preserve.last, int(settings.luhn)) if part]
    left = least - sum(taken)
    power = f"({' - '.join(str(part) for part in (least, *taken))})" if taken else f"{least}"
    hint = "preserve fewer characters, or use vault, whose tokens have a length of their own"
    if left <= 0:
        yield "length", f"{radix}^{power} leaves no character to change", hint
    elif radix**left < LEAST_DOMAIN:
        count = radix**left
        yield (
            "length",
            f"{radix}^{power} = {count:,} values, and a token needs {LEAST_DOMAIN:,}",
            hint,
        )
