"""A protection is one entry in one mapping; all else reads it."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from privpipe.policy import PROTECTIONS, Protection, parse_policy, plan_table, policy_schema
from privpipe.policy import _beside as beside
from privpipe.policy import _planner as planner
from privpipe.policy import _rules as rules
from privpipe.policy import _warnings as warnings
from tests.policy._build import table


def test_names_and_actions() -> None:
    actions = {name: p.action for name, p in PROTECTIONS.items() if p.action != "protect"}
    assert actions == {"keep": "keep", "drop": "drop", "undecided": "undecided"}
    assert sorted(PROTECTIONS.keys() - actions.keys()) == [
        "bucket", "encrypt", "encrypt_deterministic", "fernet", "generalize", "mask",
        "pseudonymize", "redact", "replace", "seal", "shift", "tokenize", "vault",
    ]  # fmt: skip
    for name, protection in PROTECTIONS.items():
        assert protection.name == name
        assert protection.summary
        assert protection.reveals or protection.action != "protect" or name == "redact"
        assert protection.reversible or not protection.authenticated


def test_a_new_entry_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shout = Protection(
        name="rot13",
        summary="the scheme of many tutorials",
        fields=frozenset({"keyset"}),
        primitive="ROT13",
        reveals=("nullness", "length", "time of writing"),
        refuses={"binary": "it is text only"},
    )
    wider = MappingProxyType({**PROTECTIONS, "rot13": shout})
    for module in (beside, rules, planner, warnings):
        monkeypatch.setattr(module, "PROTECTIONS", wider)
    policy = parse_policy(
        "version: 1\ntable: t\ncolumns: {a: {protect: rot13, keyset: k}, b: keep}"
    )
    (leaf,) = plan_table(policy, table(a="string", b="int")).leaves
    assert (leaf.primitive, leaf.scope) == ("ROT13", "k")
    assert leaf.reveals == "nullness, length, time of writing"


def test_no_protection_can_be_added_at_run_time() -> None:
    with pytest.raises(TypeError):
        PROTECTIONS["rot13"] = PROTECTIONS["keep"]  # type: ignore[index]


def test_a_schema_is_a_fresh_one() -> None:
    policy_schema()["properties"].clear()
    assert policy_schema()["properties"]
