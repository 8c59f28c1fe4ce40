"""The scalar twin of `Tokens`: one value, character by character, over the twin of FF1."""

from __future__ import annotations

from dataclasses import dataclass

from privpipe.kernels._reference_ff1 import ff1_decrypt, ff1_encrypt

__all__ = ["Form", "luhn_digit", "token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What `Tokens` is told of a format."""

    alphabet: str
    keep: str = ""
    first: int = 0
    last: int = 0
    luhn: bool = False
    tweak: bytes = b""


def token(key: bytes, form: Form, value: str, own: bytes = b"", *, inverse: bool = False) -> str:
    """The token of `value`, or with `inverse` the value; `own` is the row's part of the tweak."""
    alphabet, keep, first, last = form.alphabet, form.keep, form.first, form.last
    places = [at for at, letter in enumerate(value) if letter in keep]
    data = [letter for letter in value if letter not in keep]
    end = len(data) - last - form.luhn
    width = 1 if len(alphabet) <= 256 else 2

    def preserved(letters: list[str]) -> bytes:
        return b"".join(alphabet.index(letter).to_bytes(width, "big") for letter in letters)

    whole = form.tweak
    if keep:
        whole += _sized(b"".join(at.to_bytes(4, "big") for at in places))
        whole += _sized("".join(value[at] for at in places).encode())
    if first or last:
        whole += _sized(preserved(data[:first])) + _sized(preserved(data[len(data) - last :]))
    run = ff1_decrypt if inverse else ff1_encrypt
    digits = [alphabet.index(letter) for letter in data[first:end]]
    data[first:end] = [alphabet[digit] for digit in run(key, len(alphabet), whole + own, digits)]
    if form.luhn:
        data[-1] = luhn_digit("".join(data[:-1]))
    for at in places:
        data.insert(at, value[at])
    return "".join(data)


def luhn_digit(payload: str) -> str:
    """The check digit behind a number."""
    total = 0
    for at, letter in enumerate(reversed(payload)):
        count = int(letter) * (2 if at % 2 == 0 else 1)
        total += count // 10 + count % 10
    return str(-total % 10)


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part
