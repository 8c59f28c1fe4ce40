"""What each protection leaves possible, gives away and costs: facts to choose by.

`docs/choosing.md` and `privpipe advise` both print this table. A word that begins with "no" says
that something does not work; any other says that it does, and how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CHOICES", "NEEDS", "Choice", "choosing_markdown"]

NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "join": "equal values meet, in the column and across the tables of a domain",
        "sort": "order stays",
        "last4": "the last four characters are seen",
        "reveal": "the value comes back",
        "sum": "sums and ranges can be computed",
        "group": "rows can be counted by the value",
        "format": "the same alphabet and length",
        "write-only": "who writes the column cannot read it",
        "dates": "days can be counted between the dates of one subject",
    }
)
"""What a column may be needed for, in the words of `--needs`, and what each means."""

_EXPRESSION = "no worker: Spark's own expression"
_FIRST = "the cipher of `encrypt`; no figure of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to protect a column; the fields from `join` to `dates` are the words of `NEEDS`.

    `settings` is what the policy writes beside `protect`, by way of example.
    """

    name: str
    protection: str
    settings: str = ""
    join: str = "no"
    sort: str = "no"
    last4: str = "no"
    reveal: str = "no"
    sum: str = "no"
    group: str = "no"
    format: str = "no"
    write_only: str = "no"
    dates: str = "no"
    foreign: str
    reveals: str
    storage: str
    speed: str
    key: str

    def word(self, need: str) -> str:
        """Whether and how it serves a need."""
        found: str = getattr(self, need.replace("-", "_"))
        return found

    def serves(self, need: str) -> bool:
        """Whether it serves a need at all."""
        return not self.word(need).startswith("no")


_ALL = (
    Choice(
        name="encrypt",
        protection="encrypt",
        reveal="yes",
        foreign="any Tink, BigQuery",
        reveals="nullness, length",
        storage="n + 33 bytes",
        speed="1.22 x a null kernel's time; 8.87 x faster than `aes_encrypt`",
        key="keyset",
    ),
    Choice(
        name="encrypt, raw",
        protection="encrypt",
        settings="prefix: raw",
        reveal="yes",
        foreign="Spark's `aes_decrypt`, any AES-GCM, given the context",
        reveals="nullness, length",
        storage="n + 28 bytes",
        speed=_FIRST,
        key="keyset",
    ),
    Choice(
        name="encrypt, bound to its row",
        protection="encrypt",
        settings="bind: [id]",
        reveal="yes, with the bound columns",
        foreign="no",
        reveals="nullness, length",
        storage="n + 33 bytes",
        speed="1.13 x the time of `encrypt`",
        key="keyset",
    ),
    Choice(
        name="encrypt_deterministic",
        protection="encrypt_deterministic",
        settings="domain: email",
        join="yes",
        reveal="yes",
        group="yes",
        foreign="any Tink, BigQuery",
        reveals="nullness, length, equality",
        storage="n + 21 bytes",
        speed="1.12 x a null kernel's time",
        key="keyset",
    ),
    Choice(
        name="pseudonymize",
        protection="pseudonymize",
        settings="domain: customer",
        join="yes",
        group="yes",
        foreign="any AES-CMAC, given the context",
        reveals="nullness, equality",
        storage="32 bytes in hex, 22 in base64, 36 as uuid, 8 as int64",
        speed="1.04 x a null kernel's time",
        key="keyset",
    ),
    Choice(
        name="pseudonymize, HMAC",
        protection="pseudonymize",
        settings="domain: customer, algorithm: hmac",
        join="yes",
        group="yes",
        foreign="any HMAC-SHA256, given the context",
        reveals="nullness, equality",
        storage="64 bytes in hex, 43 in base64, 36 as uuid, 8 as int64",
        speed="2.38 x a null kernel's time",
        key="keyset",
    ),
    Choice(
        name="tokenize",
        protection="tokenize",
        settings="alphabet: digits",
        join="yes",
        reveal="yes",
        group="yes",
        format="yes",
        foreign="no",
        reveals="nullness, length, equality",
        storage="n bytes",
        speed="1.17 x a null kernel's time",
        key="keyset",
    ),
    Choice(
        name="tokenize, ends preserved",
        protection="tokenize",
        settings="alphabet: digits, preserve: {first: 6, last: 4}",
        join="yes",
        last4="yes",
        reveal="yes",
        group="yes",
        format="yes",
        foreign="no",
        reveals="nullness, length, equality, the ends",
        storage="n bytes",
        speed="1.26 x a null kernel's time",
        key="keyset",
    ),
    Choice(
        name="vault",
        protection="vault",
        settings="vault: people",
        join="yes, in one vault",
        reveal="yes, from the vault",
        group="yes",
        foreign="no",
        reveals="nullness, equality",
        storage="36 bytes; and a row of the vault for each distinct value",
        speed="a look-up and a MERGE: 11 µs a row, half of the values new",
        key="keyset, and the vault",
    ),
    Choice(
        name="vault, of a format",
        protection="vault",
        settings='vault: people, format: "digits:9"',
        join="yes, in one vault",
        reveal="yes, from the vault",
        group="yes",
        format="yes, of one length",
        foreign="no",
        reveals="nullness, equality",
        storage="the format's length; and a row of the vault for each distinct value",
        speed="a look-up and a MERGE: 11 µs a row, half of the values new",
        key="keyset, and the vault",
    ),
    Choice(
        name="seal",
        protection="seal",
        settings="public_key: readers.public.pem",
        reveal="yes, with the private key",
        write_only="yes",
        foreign="HPKE (RFC 9180) or RSA-OAEP, then AES-GCM",
        reveals="nullness, length, which task wrote it",
        storage="n + 28 bytes, and a sealed key, the same in a task's rows (80 bytes, X25519)",
        speed="1.13 x the time of `encrypt`",
        key="public key; private key to read",
    ),
    Choice(
        name="fernet",
        protection="fernet",
        reveal="yes",
        foreign="Python's cryptography, with the derived key",
        reveals="nullness, length by 16 bytes, when it was written",
        storage="4 ⌈(57 + 16 ⌈(n + 1) / 16⌉) / 3⌉ bytes: 100 for up to 15",
        speed="6.2 x faster than the library's `Fernet` in a pandas UDF",
        key="keyset",
    ),
    Choice(
        name="shift",
        protection="shift",
        settings="days: 182, subject: id",
        sort="within a subject",
        dates="yes",
        foreign="not needed",
        reveals="nullness, roughly when, intervals within a subject",
        storage="as before",
        speed="1.25 x a null kernel's time",
        key="keyset",
    ),
    Choice(
        name="mask",
        protection="mask",
        settings="show: {last: 4}",
        last4="yes",
        group="by what it shows",
        foreign="not needed",
        reveals="nullness, length, what it shows",
        storage="n bytes",
        speed=_EXPRESSION,
        key="none",
    ),
    Choice(
        name="generalize, dates",
        protection="generalize",
        settings="to: month",
        sort="by the coarser value",
        group="by the coarser value",
        dates="by the coarser value",
        foreign="not needed",
        reveals="nullness, the coarser value",
        storage="as before",
        speed=_EXPRESSION,
        key="none",
    ),
    Choice(
        name="generalize, text",
        protection="generalize",
        settings="prefix: 3",
        sort="by the coarser value",
        group="by the coarser value",
        foreign="not needed",
        reveals="nullness, the coarser value",
        storage="what is left of it",
        speed=_EXPRESSION,
        key="none",
    ),
    Choice(
        name="generalize, coordinates",
        protection="generalize",
        settings="round: 2",
        sort="by the coarser value",
        sum="roughly",
        group="by the coarser value",
        foreign="not needed",
        reveals="nullness, the coarser value",
        storage="as before",
        speed=_EXPRESSION,
        key="none",
    ),
    Choice(
        name="generalize, networks",
        protection="generalize",
        settings="network: {v4: 24, v6: 48}",
        group="by the coarser value",
        foreign="not needed",
        reveals="nullness, the coarser value",
        storage="the network's text",
        speed="1.04 x a null kernel's time",
        key="none",
    ),
    Choice(
        name="bucket",
        protection="bucket",
        settings="width: 10",
        group="by the range",
        foreign="not needed",
        reveals="nullness, the range",
        storage="the range's text",
        speed=_EXPRESSION,
        key="none",
    ),
    Choice(
        name="replace, one value",
        protection="replace",
        settings='value: "X"',
        foreign="not needed",
        reveals="nullness",
        storage="the constant",
        speed=_EXPRESSION,
        key="none",
    ),
    Choice(
        name="replace, drawn from a list",
        protection="replace",
        settings="dictionary: names.txt",
        foreign="not needed",
        reveals="nullness, how often each entry stands, and that unequal entries stood for unequal "
        "values",
        storage="the entry",
        speed="1.10 x a null kernel's time",
        key="keyset",
    ),
    Choice(
        name="redact",
        protection="redact",
        foreign="not needed",
        reveals="nothing",
        storage="nothing but the null",
        speed=_EXPRESSION,
        key="none",
    ),
)

CHOICES: Mapping[str, Choice] = MappingProxyType({choice.name: choice for choice in _ALL})
"""Every choice by its name."""


def choosing_markdown() -> str:
    """The two tables of `docs/choosing.md`."""
    works = _table(
        ("", *NEEDS, "foreign readers"),
        ((choice.name, *map(choice.word, NEEDS), choice.foreign) for choice in _ALL),
    )
    costs = _table(
        ("", "policy", "still reveals", "storage", "speed", "comes back", "key"),
        (
            (
                choice.name,
                f"`{written(choice)}`",
                choice.reveals,
                choice.storage,
                choice.speed,
                "yes" if choice.serves("reveal") else "no",
                choice.key,
            )
            for choice in _ALL
        ),
    )
    return f"### What still works\n\n{works}\n### What it reveals and costs\n\n{costs}"


def written(choice: Choice) -> str:
    """The choice as a policy writes it, behind a column's name."""
    if not choice.settings:
        return choice.protection
    return f"{{protect: {choice.protection}, {choice.settings}}}"


def written_example(protection: str, key: str) -> str | None:
    """A hint that shows how a policy gives `key` to a protection, if the table has one."""
    for choice in _ALL:
        if choice.protection == protection and f"{key}:" in choice.settings:
            return f"for example `{written(choice)}`"
    return None


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
