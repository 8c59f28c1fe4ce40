"""What a policy means, and its hash."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from privpipe.policy import Policy, parse_policy

BASE = """
version: 1
table: clinic.patients
columns:
  a: encrypt
  b: {protect: encrypt_deterministic, domain: d, allow: [float, collation]}
"""

SAME = [
    "# a comment\n" + BASE,
    BASE + "unlisted: refuse\n",
    BASE.replace("a: encrypt\n", "a: {protect: encrypt}\n"),
    BASE.replace("a: encrypt\n", "'`a`': encrypt\n"),
    BASE.replace("[float, collation]", "[collation, float, float]"),
    BASE.replace("clinic.patients", "'`clinic`.patients'"),
    json.dumps(
        {
            "columns": {
                "b": {
                    "domain": "d",
                    "allow": ["float", "collation"],
                    "protect": "encrypt_deterministic",
                },
                "a": "encrypt",
            },
            "table": "clinic.patients",
            "version": 1,
        }
    ),
]

OTHER = [
    BASE + "unlisted: keep\n",
    BASE + "schema: {a: int}\n",
    BASE + "  c: keep\n",
    BASE.replace("a: encrypt\n", "a: encrypt_deterministic\n"),
    BASE.replace("a: encrypt\n", "A: encrypt\n"),
    BASE.replace("a: encrypt\n", "a: {protect: encrypt, context: ''}\n"),
    BASE.replace("domain: d", "domain: e"),
    BASE.replace("[float, collation]", "[float]"),
    BASE.replace("patients", "Patients"),
]


@pytest.mark.parametrize("text", SAME)
def test_the_same_meaning_has_the_same_hash(text: str) -> None:
    assert parse_policy(text, name="elsewhere.yaml").hash == parse_policy(BASE).hash


def test_another_meaning_has_another_hash() -> None:
    assert len({parse_policy(text).hash for text in [BASE, *OTHER]}) == len(OTHER) + 1


def test_the_hash_is_settled() -> None:
    # Stored beside every table: it must be the same in every later version.
    policy = parse_policy("version: 1\ntable: t\ncolumns: {größe: encrypt}")
    text = '{"columns":{"größe":{"protect":"encrypt"}},"table":"t","unlisted":"refuse","version":1}'
    assert policy.canonical_json == text
    assert policy.hash == "05f702302772154c9f9398c11e6152a988eff7abe27e2907ed93f2e0378cb198"


ODD = 'version: 1\ntable: t\ncolumns:\n  "\\x7f\\u2028\\ufffe\\U0001F600\\U000E0001\\n": keep'


@pytest.mark.parametrize("text", [BASE, *OTHER, ODD])
def test_the_canonical_json_is_the_policy_again(text: str) -> None:
    policy = parse_policy(text)
    again = parse_policy(policy.canonical_json)
    assert again.canonical_json == policy.canonical_json
    assert json.loads(policy.canonical_json)["table"] == policy.table


def test_a_policy_tells_its_columns_and_schema() -> None:
    policy = parse_policy(BASE + "schema:\n  a: int\n  on: 'decimal(3,1)'\n", name="p.yaml")
    assert {key: rule.protect for key, rule in policy.columns.items()} == {
        "a": "encrypt",
        "b": "encrypt_deterministic",
    }
    assert [rule.line for rule in policy.rules] == [5, 6]
    assert policy.schema == {"a": "int", "on": "decimal(3,1)"}
    assert parse_policy(BASE + "schema: a int, b string").schema == "a int, b string"
    assert parse_policy(BASE).schema is None
    assert (policy.name, policy.version, policy.unlisted) == ("p.yaml", 1, "refuse")


def test_a_policy_is_frozen_and_travels() -> None:
    policy = parse_policy(BASE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.table = "other"  # type: ignore[misc]
    copy = pickle.loads(pickle.dumps(policy))  # noqa: S301  our own bytes
    assert isinstance(copy, Policy)
    assert copy == policy
