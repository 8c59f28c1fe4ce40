"""The choices that a column's type and form allow, with the settings that fit it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from privpipe.policy._alphabets import LEAST_DOMAIN, characters
from privpipe.policy._profile import Profile
from privpipe.policy._types import DATES, FRACTIONS, NUMBERS, TEXT
from privpipe.policy._vocabulary import PROTECTIONS

__all__ = ["Candidate", "candidates"]

_NOTHING = frozenset({"void", "object", "udt"})
_FORMATS = frozenset({"card", "phone", "ssn"})
_ALPHABETS = {"letters": "alphanumeric", "text": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A choice by its name, and what the policy writes beside `protect`."""

    choice: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def candidates(profile: Profile, needs: frozenset[str]) -> Iterator[Candidate]:
    """What may be done to the column, what gives least away first."""
    if profile.kind in _NOTHING:
        return
    coarse = list(_coarse(profile))
    domain = {"domain": _word(profile.path)} if "join" in needs else {}
    tokens = list(_tokens(profile, needs, domain))
    # Who counts, sorts or adds dates, numbers and regions mostly wants the coarser value.
    if needs and needs <= {"group", "sort", "sum", "dates"}:
        yield from coarse
        coarse = []
    if "write-only" in needs:
        yield Candidate(choice="seal", settings={"public_key": "readers.public.pem"})
    yield Candidate(choice="encrypt")
    if not needs:
        yield from coarse
        coarse = []
        if profile.looks in _FORMATS:
            yield from tokens
            tokens = []
    for name in ("pseudonymize", "encrypt_deterministic"):
        if not _refused(name, profile):
            yield Candidate(choice=name, settings=domain)
    if profile.kind in TEXT:
        yield Candidate(choice="mask", settings={"show": {"last": 4}})
    yield from tokens
    if not _refused("vault", profile):
        yield Candidate(choice="vault", settings={"vault": _word(profile.path)})
    yield from coarse


def _refused(name: str, profile: Profile) -> bool:
    protection = PROTECTIONS[name]
    collated = "collation" in protection.refuses and " collate " in profile.type.lower()
    return collated or profile.kind in protection.refuses


def _tokens(
    profile: Profile, needs: frozenset[str], domain: Mapping[str, str]
) -> Iterator[Candidate]:
    alphabet = _ALPHABETS.get(profile.charset or "text", profile.charset)
    if profile.kind not in TEXT or alphabet is None or profile.letters is None:
        return
    spare = profile.letters - _shortest(len(characters(alphabet)))
    if spare < 0:
        return
    settings: dict[str, Any] = {"alphabet": alphabet}
    if profile.separators:
        settings["keep"] = profile.separators
    ends = _ends(profile, spare)
    with_ends = Candidate(
        choice="tokenize, ends preserved", settings={**settings, "preserve": ends, **domain}
    )
    whole = Candidate(choice="tokenize", settings={**settings, **domain})
    # Ends are data in clear: they stay only where they are asked for.
    if "last4" not in needs:
        yield whole
    if ends:
        yield with_ends
    if not profile.separators and profile.min_length == profile.max_length:
        form = f"{alphabet}:{profile.max_length}"
        name = {"vault": _word(profile.path), "format": form}
        yield Candidate(choice="vault, of a format", settings=name)


def _ends(profile: Profile, spare: int) -> dict[str, int]:
    """What may stay with enough left to hide among."""
    if spare < 4:
        return {}
    if profile.looks == "card" and spare >= 10:
        return {"first": 6, "last": 4}
    return {"last": 4}


def _shortest(radix: int) -> int:
    length = 1
    while radix**length < LEAST_DOMAIN:
        length += 1
    return length


def _coarse(profile: Profile) -> Iterator[Candidate]:
    if profile.kind in DATES:
        yield Candidate(choice="shift", settings={"days": 182, "subject": "id"})
        yield Candidate(choice="generalize, dates", settings={"to": "month"})
    elif profile.kind in NUMBERS:
        if profile.kind in FRACTIONS:
            yield Candidate(choice="generalize, coordinates", settings={"round": 2})
        yield Candidate(choice="bucket", settings={"width": 10})
    elif profile.looks == "ip":
        yield Candidate(choice="generalize, networks", settings={"network": {"v4": 24, "v6": 48}})
    elif profile.looks == "zip":
        yield Candidate(choice="generalize, text", settings={"prefix": 3})
    elif profile.looks == "date":
        # Text in year-month-day order: what stands in front is the coarser date.
        yield Candidate(choice="generalize, text", settings={"prefix": 7})


def _word(path: str) -> str:
    """A name for a domain or a vault, after the column."""
    last = re.split(r"[.\[\]{}]+", path.replace("`", ""))[-1]
    return re.sub(r"\W+", "_", last).strip("_")[:100] or "values"
