"""The table of facts agrees with the vocabulary, and its examples are policies."""

from __future__ import annotations

from pathlib import Path

import pytest

from privpipe.policy import CHOICES, NEEDS, PROTECTIONS, Choice, parse_policy, policy_schema
from privpipe.policy._choosing import written

BENCHMARKS = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text("utf-8")


def test_every_protection_is_there() -> None:
    protecting = {name for name, one in PROTECTIONS.items() if one.action == "protect"}
    assert {choice.protection for choice in CHOICES.values()} == protecting


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_it_says_what_the_vocabulary_says(choice: Choice) -> None:
    protection = PROTECTIONS[choice.protection]
    assert choice.serves("reveal") == protection.reversible
    assert (choice.key == "none") == (
        protection.primitive is None and choice.protection != "seal"
    ) or choice.protection == "replace"
    for told in protection.reveals:
        assert told in choice.reveals
    assert choice.serves("join") == ("equality" in choice.reveals)
    if choice.serves("join"):
        assert protection.deterministic


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_its_example_is_a_policy(choice: Choice) -> None:
    if "public_key" in choice.settings or "dictionary" in choice.settings:
        return  # these name files
    text = f"version: 1\ntable: t\ncolumns:\n  id: keep\n  c: {written(choice)}\n"
    rule = parse_policy(text).rules[1]
    assert rule.protect == choice.protection


def test_every_need_is_told_of_and_order_is_kept_by_none() -> None:
    for need in NEEDS:
        assert any(choice.serves(need) for choice in CHOICES.values())
    assert [name for name, choice in CHOICES.items() if choice.word("sort") == "yes"] == []


def test_measured_figures_are_those_of_the_benchmarks() -> None:
    assert "| AES-GCM / null kernel | 1.22 |" in BENCHMARKS
    assert "| AES-GCM faster than aes_encrypt | 8.87 |" in BENCHMARKS
    assert "| AES-SIV / null kernel | 1.12 |" in BENCHMARKS
    rows = [line.split(" | ") for line in BENCHMARKS.splitlines() if line.count(" | ") == 6]
    ratios = {row[0].removeprefix("| "): row[5] for row in rows}
    jobs = {
        "encrypt, bound to its row": "encrypt, bound to the row",
        "pseudonymize": "pseudonymize",
        "pseudonymize, HMAC": "pseudonymize, hmac",
        "tokenize": "tokenize, 16 digits",
        "tokenize, ends preserved": "tokenize, first 6 and last 4 left",
        "seal": "seal",
        "shift": "shift",
        "generalize, networks": "generalize, network",
        "replace, drawn from a list": "replace, from a list",
    }
    for name, job in jobs.items():
        assert CHOICES[name].speed.startswith(f"{ratios[job]} x "), name
    figures = {name for name, choice in CHOICES.items() if " x " in choice.speed}
    assert figures == {*jobs, "encrypt", "encrypt_deterministic", "fernet"}


def test_the_schema_knows_them() -> None:
    assert all(choice.protection in str(policy_schema()) for choice in CHOICES.values())
