"""A protection is one entry in one mapping; all else reads it."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from privpipe.policy import PROTECTIONS, Protection, parse_policy, plan_table, policy_schema
from privpipe.policy import _planner as planner
from privpipe.policy import _rules as rules
from privpipe.policy._vocabulary import LATER
from tests.policy._build import table


def test_names_and_actions() -> None:
    assert {name: p.action for name, p in PROTECTIONS.items()} == {
        "keep": "keep",
        "drop": "drop",
        "undecided": "undecided",
        "encrypt": "protect",
        "encrypt_deterministic": "protect",
    }
    assert not LATER & PROTECTIONS.keys()
    for name, protection in PROTECTIONS.items():
        assert protection.name == name
        assert protection.summary
        protects = protection.action == "protect"
        assert protects == (protection.primitive is not None) == (protection.scheme is not None)
        assert protection.reveals or not protects


def test_a_new_entry_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shout = Protection(
        name="fernet",
        summary="the scheme of many tutorials",
        fields=frozenset({"keyset"}),
        primitive="FERNET",
        scheme="fernet",
        reveals=("nullness", "length", "time of writing"),
        refuses={"binary": "it is text only"},
    )
    wider = MappingProxyType({**PROTECTIONS, "fernet": shout})
    for module in (rules, planner):
        monkeypatch.setattr(module, "PROTECTIONS", wider)
    policy = parse_policy(
        "version: 1\ntable: t\ncolumns: {a: {protect: fernet, keyset: k}, b: keep}"
    )
    (leaf,) = plan_table(policy, table(a="string", b="int")).leaves
    assert (leaf.primitive, leaf.scope) == ("FERNET", "k")
    assert leaf.reveals == "nullness, length, time of writing"


def test_no_protection_can_be_added_at_run_time() -> None:
    with pytest.raises(TypeError):
        PROTECTIONS["rot13"] = PROTECTIONS["keep"]  # type: ignore[index]


def test_a_schema_is_a_fresh_one() -> None:
    policy_schema()["properties"].clear()
    assert policy_schema()["properties"]
