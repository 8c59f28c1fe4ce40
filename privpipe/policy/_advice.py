"""Which protection a column should have, and why: ranked for what it is needed for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from privpipe.documents import choice
from privpipe.errors import UsageError
from privpipe.policy._candidates import Candidate, candidates
from privpipe.policy._choosing import CHOICES, NEEDS
from privpipe.policy._flow import rule_line
from privpipe.policy._profile import LOOKS, Profile

__all__ = ["Advice", "advise", "cautions", "checked_needs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One protection for a column: what the policy says of it (`settings`, and as `line`), the
    needs that it serves and misses, and what it gives away and costs."""

    protection: str
    settings: Mapping[str, Any]
    line: str
    reason: str
    serves: tuple[str, ...]
    misses: tuple[str, ...]
    reveals: str
    storage: str
    speed: str
    warnings: tuple[str, ...] = ()


def checked_needs(needs: Collection[str]) -> frozenset[str]:
    """The needs as a set. Raises UsageError, with the nearest word, for one that is none."""
    for need in needs:
        if need not in NEEDS:
            text, hint = choice("need", need, NEEDS)
            raise UsageError(text, where="--needs", hint=hint)
    return frozenset(needs)


def advise(profile: Profile, needs: frozenset[str]) -> tuple[Advice, ...]:
    """What serves most of `needs` first, and of these what gives least away.

    Empty where no protection takes the type. Raises UsageError for an unknown need.
    """
    checked_needs(needs)
    advice = [_advice(profile, needs, candidate) for candidate in candidates(profile, needs)]
    if needs:
        advice = [one for one in advice if one.serves]
    return tuple(sorted(advice, key=lambda one: -len(one.serves)))


def cautions(profile: Profile, needs: frozenset[str]) -> tuple[str, ...]:
    """What to know of the column whatever it gets: needs that nothing serves, or no one thing
    together with the others, and what to do instead; nulls, which stay in sight."""
    advice = advise(profile, needs)
    found = []
    if not advice and not needs:
        found.append(f"no protection takes a {profile.kind}: drop it, or cast it in the source")
    served = {need for one in advice for need in one.serves}
    for need in NEEDS:
        if need in needs and need not in served:
            found.append(f"nothing serves {need}: {_INSTEAD[need]}")
        elif need in needs and need in advice[0].misses:
            found.append(f"nothing serves {need} along with the rest: {_INSTEAD[need]}")
    if not profile.values:
        found.append("no value in the sample, so this goes by the type alone")
    elif profile.nulls:
        share = _percent(profile.nulls / profile.rows)
        found.append(f"{share} of rows are null, and stay so: only redact hides which")
    return tuple(found)


def _advice(profile: Profile, needs: frozenset[str], candidate: Candidate) -> Advice:
    facts = CHOICES[candidate.choice]
    serves = tuple(need for need in NEEDS if need in needs and facts.serves(need))
    return Advice(
        protection=facts.protection,
        settings=candidate.settings,
        line=rule_line(profile.path, facts.protection, candidate.settings),
        reason=_reason(profile, needs, candidate.choice),
        serves=serves,
        misses=tuple(need for need in NEEDS if need in needs and need not in serves),
        reveals=facts.reveals,
        storage=facts.storage,
        speed=facts.speed,
        warnings=_frequency(profile, candidate.choice),
    )


def _reason(profile: Profile, needs: frozenset[str], name: str) -> str:
    why = _WHY[name]
    if needs or name != "encrypt":
        return why
    looks = f"looks like {LOOKS[profile.looks]}; " if profile.looks else ""
    return f"{looks}no need for more was named; {why}"


def _frequency(profile: Profile, name: str) -> tuple[str, ...]:
    """What counting tells of a column in which equal values stay equal."""
    share, top, distinct = profile.top_share, profile.top, profile.distinct
    if "equality" not in CHOICES[name].reveals or share is None or not top or not distinct:
        return ()
    few = distinct * 10 <= profile.values
    if top < 2 or not (few or (top >= 10 and share >= 0.01)):
        return ()
    counted = f"{distinct:,} distinct value{'s' * (distinct > 1)} in {profile.values:,} rows"
    return (
        f"{counted}: counting equal {_STAND_INS.get(name, 'tokens')} identifies the commonest, "
        f"which {_percent(share)} of rows hold",
    )


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "less than 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"


_STAND_INS = {"encrypt_deterministic": "ciphertexts", "pseudonymize": "pseudonyms"}

_WHY: Mapping[str, str] = {
    "encrypt": "it comes back, and shows only length and nulls",
    "encrypt_deterministic": "it joins, and comes back",
    "pseudonymize": "it joins, hides the length, and has no way back",
    "tokenize": "keeps length and alphabet for systems that check them, joins, and comes back",
    "tokenize, ends preserved": "keeps the format and its ends in sight, joins, and comes back",
    "vault": "a random stand-in that joins, hides the length, and comes back by a look-up",
    "vault, of a format": "a random stand-in of the same length that comes back by a look-up",
    "seal": "who writes it cannot read it: only the private key opens it",
    "shift": "keeps the days between a subject's dates; name the column of the subject for `id`",
    "mask": "shows the last four alone, needs no key, and has no way back",
    "generalize, dates": "the month is left, which sorts and groups",
    "generalize, text": "only the beginning is left, which sorts and groups",
    "generalize, coordinates": "a rounded number is left, which sums roughly; choose the decimals",
    "generalize, networks": "the network is left, which groups",
    "bucket": "the range is left, which groups; choose the width",
}
"""Why one would choose it, by the choice's name."""

_INSTEAD: Mapping[str, str] = {
    "join": "its type has no one form of equal values; protect the fields inside it, or cast it",
    "sort": "ciphertext has no order; generalize a copy of the column in the source and sort by it",
    "last4": "mask or preserve a copy of the column, kept as text, beside the protected one",
    "reveal": "encrypt a copy of the column beside this one",
    "sum": "no protection computes on hidden numbers; bucket a copy of the column beside it",
    "group": "generalize a copy of the column in the source and group by it",
    "format": "a format with under 1,000,000 values, or of other characters, hides nothing",
    "write-only": "seal a copy of the column, and drop what it was copied from",
    "dates": "shift or generalize a copy of the column, typed as a date",
}
"""What to do where a need is not served."""
