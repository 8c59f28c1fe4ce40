"""Advice: what serves most comes first, what it says can be pasted, and it tells what it cannot."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from privpipe.errors import UsageError
from privpipe.kernels import generate_pair
from privpipe.policy import NEEDS, Advice, Profile, advise, cautions, load_policy

CARD = Profile(
    path="card",
    kind="string",
    type="string",
    rows=1000,
    nulls=0,
    distinct=1000,
    top=1,
    min_length=16,
    max_length=16,
    letters=16,
    charset="digits",
    looks="card",
)
SSN = Profile(
    path="person.`social no`",
    kind="string",
    type="string",
    rows=1000,
    nulls=10,
    distinct=985,
    top=2,
    min_length=11,
    max_length=11,
    letters=9,
    charset="digits",
    separators="-",
    looks="ssn",
)
NAME = Profile(
    path="surname",
    kind="string",
    type="string",
    rows=10_000,
    nulls=0,
    distinct=12,
    top=3800,
    min_length=0,
    max_length=40,
    letters=0,
    charset="text",
)
BORN = Profile(path="born", kind="date", type="date", rows=10, nulls=0, distinct=10, top=1)
AMOUNT = Profile(path="amount", kind="double", type="double", rows=9, nulls=0, distinct=9, top=1)
TAGS = Profile(path="tags", kind="array", type="array<string>", rows=10, nulls=10)
VOID = Profile(path="v", kind="void", type="void", rows=10, nulls=10)
ALL = (CARD, SSN, NAME, BORN, AMOUNT, TAGS, VOID)


def first(profile: Profile, *needs: str) -> Advice:
    return advise(profile, frozenset(needs))[0]


def test_without_needs_it_is_encrypted() -> None:
    for profile in ALL[:-1]:
        assert first(profile).protection == "encrypt"
    assert first(CARD).reason.startswith("looks like card numbers")
    assert advise(VOID, frozenset()) == ()


@pytest.mark.parametrize(
    ("profile", "needs", "line"),
    [
        (CARD, "last4", "card: {protect: mask, show: {last: 4}}"),
        (
            CARD,
            "last4 join reveal",
            "card: {protect: tokenize, alphabet: digits, preserve: {first: 6, last: 4}, "
            "domain: card}",
        ),
        (CARD, "format", "card: {protect: tokenize, alphabet: digits}"),
        (
            SSN,
            "format",
            '"person.`social no`": {protect: tokenize, alphabet: digits, keep: "-"}',
        ),
        (NAME, "join", "surname: {protect: pseudonymize, domain: surname}"),
        (NAME, "join reveal", "surname: {protect: encrypt_deterministic, domain: surname}"),
        (NAME, "write-only", "surname: {protect: seal, public_key: readers.public.pem}"),
        (BORN, "dates", "born: {protect: shift, days: 182, subject: id}"),
        (BORN, "group", "born: {protect: generalize, to: month}"),
        (AMOUNT, "sum", "amount: {protect: generalize, round: 2}"),
        (TAGS, "reveal", "tags: encrypt"),
    ],
)
def test_what_serves_most_and_tells_least_comes_first(
    profile: Profile, needs: str, line: str
) -> None:
    assert first(profile, *needs.split()).line == line


def test_ends_are_not_preserved_where_too_little_would_be_left() -> None:
    # 9 digits less 4 are 5, and FF1 needs 6.
    tokens = [a for a in advise(SSN, frozenset({"last4", "reveal"})) if a.protection == "tokenize"]
    assert tokens == []


def test_what_it_says_can_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "readers.public.pem").write_bytes(generate_pair("x25519")[1])
    policy = tmp_path / "p.yaml"
    subsets = [frozenset(s) for n in (0, 1, 2) for s in itertools.combinations(NEEDS, n)]
    lines = {one.line for profile in ALL for needs in subsets for one in advise(profile, needs)}
    assert len(lines) > 20
    for line in lines:
        policy.write_text(f"version: 1\ntable: t\ncolumns:\n  id: keep\n  {line}\n")
        assert load_policy(policy).rules[1].protect in line


def test_serves_and_misses_part_the_needs() -> None:
    needs = frozenset({"join", "sort", "reveal"})
    for one in advise(NAME, needs):
        assert {*one.serves, *one.misses} == needs
        assert one.serves
    counts = [len(one.serves) for one in advise(NAME, needs)]
    assert counts == sorted(counts, reverse=True)


def test_counting_is_warned_of_with_its_number() -> None:
    warned = {a.protection: a.warnings for a in advise(NAME, frozenset({"join"}))}
    assert warned["encrypt_deterministic"] == (
        "12 distinct values in 10,000 rows: counting equal ciphertexts identifies the commonest, "
        "which 38% of rows hold",
    )
    assert "pseudonyms" in warned["pseudonymize"][0]
    assert not any(one.warnings for one in advise(CARD, frozenset({"join"})))
    assert first(NAME).warnings == ()


def test_what_nothing_serves_is_said_with_what_to_do() -> None:
    (text,) = cautions(NAME, frozenset({"sort"}))
    assert text.startswith("nothing serves sort: ")
    assert "generalize a copy" in text
    (text,) = cautions(BORN, frozenset({"sort", "reveal", "join"}))
    assert text.startswith("nothing serves sort along with the rest: ")
    assert advise(NAME, frozenset({"sort"})) == ()


def test_nulls_and_no_values_are_said() -> None:
    assert cautions(SSN, frozenset()) == (
        "1% of rows are null, and stay so: only redact hides which",
    )
    assert "by the type alone" in cautions(TAGS, frozenset())[0]
    assert "drop it" in cautions(VOID, frozenset())[0]
    assert cautions(CARD, frozenset()) == ()


def test_an_unknown_need_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match='unknown need "jion"; nearest: "join"'):
        advise(CARD, frozenset({"jion"}))
