"""The shipped JSON schema says what the checker says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from privpipe.errors import PolicyError
from privpipe.policy import PROTECTIONS, parse_policy, policy_schema

CONF = Path(__file__).resolve().parent.parent.parent / "conf"
HEAD = "version: 1\ntable: t\ncolumns:\n"

GOOD = [
    HEAD + "  a: keep",
    HEAD + "  a: {protect: encrypt, context: '', keyset: k}\nunlisted: drop",
    HEAD + "  a: {protect: encrypt_deterministic, domain: d, allow: [float]}\nschema: a int",
    HEAD + "  a: undecided\nschema: {a: int}",
    HEAD + "  'a b.`c.``d`[]{}.é': keep",
    "version: 1\ntable: t\ncolumns: {}",
    # PyYAML takes a bare `on` for a truth value, which an editor's reader does not.
    *(
        HEAD + f"  k: keep\n  a: {{protect: {rule}}}"
        for rule in (
            "encrypt, prefix: raw, bind: [k], context: c",
            "encrypt_deterministic, bind: []",
            "tokenize, alphabet: digits, keep: '- ', preserve: {last: 4}, tweak: k, domain: d",
            "tokenize, alphabet: digits, luhn: true, length: 16, on_invalid: quarantine",
            "tokenize, alphabet: digits, key_column: true",
            "tokenize, alphabet: 'äöüß', length: {min: 20, max: 25}",
            "vault, vault: v",
            "vault, vault: v, format: 'digits:16', expires: 30",
            "pseudonymize, algorithm: hmac, output: int64, distinct: 1000, allow: [float]",
            "shift, days: 30, subject: k, domain: d",
            "mask, show: {first: 1, last: 2}, keep: punctuation, char: '#'",
            "mask",
            "redact",
            "replace, value: ''",
            "replace, value: 1.5",
            "replace, value: false",
            "replace, dictionary: [a, b], domain: d",
            "generalize, width: 0.5, start: -1",
            "generalize, bounds: [0, 1.5, 100]",
            "generalize, to: month",
            "generalize, to: age, 'on': '2026-01-01', top: 90, width: 5",
            "generalize, prefix: 2",
            "generalize, network: {v6: 32}",
            "generalize, round: 0",
            "bucket, width: 10, start: 5",
            "bucket, bounds: [1]",
            "fernet, ttl: 60, keyset: k",
        )
    ),
]
BAD = [
    "version: 2\ntable: t\ncolumns: {}",
    "version: 1\ncolumns: {}",
    "version: 1\ntable: t",
    HEAD,
    HEAD + "  a: encypt",
    HEAD + "  a: tokenize",
    HEAD + "  a: {domain: d}",
    HEAD + "  a: {protect: encrypt, domain: d}",
    HEAD + "  a: {protect: keep, keyset: k}",
    HEAD + "  a: {protect: encrypt, contxt: k}",
    HEAD + "  a: {protect: encrypt_deterministic, allow: [flaot]}",
    HEAD + "  a: {protect: encrypt_deterministic, domain: ''}",
    HEAD + "  a: {protect: encrypt_deterministic, domain: 7}",
    HEAD + "  a: {protect: encrypt_deterministic, domain: d, context: c}",
    HEAD + "  a: {protect: encrypt, context: 'pp1:c:t/b:int'}",
    HEAD + "  a..b: keep",
    HEAD + "  'a[0]': keep",
    HEAD + "  '[]': keep",
    HEAD + "  '': keep",
    HEAD + "  '`a': keep",
    HEAD.replace("table: t", "table: ' '") + "  a: keep",
    HEAD.replace("table: t", "table: a..b") + "  a: keep",
    HEAD.replace("table: t", "table: 'a[]'") + "  a: keep",
    HEAD + "  a: keep\nunlisted: maybe",
    HEAD + "  a: keep\nschema: [a]",
    HEAD + "  a: keep\ncolums: {}",
    *(
        HEAD + f"  k: keep\n  a: {rule}"
        for rule in (
            "vault",
            "shift",
            "replace",
            "generalize",
            "bucket",
            "seal",
            "{protect: encrypt, prefix: rwa}",
            "{protect: encrypt, prefix: }",
            "{protect: encrypt, bind: k}",
            "{protect: encrypt, bind: ['']}",
            "{protect: encrypt_deterministic, prefix: raw}",
            "{protect: tokenize, alphabet: d}",
            "{protect: tokenize, alphabet: digits, preserve: 4}",
            "{protect: tokenize, alphabet: digits, preserve: {frist: 4}}",
            "{protect: tokenize, alphabet: digits, preserve: {first: -4}}",
            "{protect: tokenize, alphabet: digits, luhn: 'yes'}",
            "{protect: tokenize, alphabet: digits, length: '16'}",
            "{protect: tokenize, alphabet: digits, length: {min: 16}}",
            "{protect: tokenize, alphabet: digits, length: }",
            "{protect: tokenize, alphabet: digits, on_invalid: drop}",
            "{protect: vault, vault: ''}",
            "{protect: vault, vault: v, domain: d}",
            "{protect: vault, vault: v, expires: 0}",
            "{protect: pseudonymize, output: int32}",
            "{protect: pseudonymize, distinct: 0}",
            "{protect: pseudonymize, bind: [k]}",
            "{protect: shift, days: 30}",
            "{protect: shift, days: 0, subject: k}",
            "{protect: mask, char: '**'}",
            "{protect: mask, show: {last: 5000}}",
            "{protect: redact, value: x}",
            "{protect: replace, value: [x]}",
            "{protect: replace, value: x, dictionary: [a, b]}",
            "{protect: replace, dictionary: [a, 1]}",
            "{protect: generalize, width: '5'}",
            "{protect: generalize, width: 5, to: month}",
            "{protect: generalize, to: day}",
            "{protect: generalize, to: age}",
            "{protect: generalize, to: month, 'on': '2026-01-01'}",
            "{protect: generalize, to: age, 'on': someday}",
            "{protect: generalize, network: {v4: 33}}",
            "{protect: generalize, network: 24}",
            "{protect: generalize, prefix: 0}",
            "{protect: generalize, round: 9}",
            "{protect: bucket, width: 5, bounds: [1]}",
            "{protect: bucket, bounds: [a]}",
            "{protect: fernet, ttl: 1.5}",
            "{protect: seal, public_key: 7}",
        )
    ),
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(policy_schema())
    return Draft202012Validator(policy_schema())


def test_the_shipped_schema_is_the_generated_one() -> None:
    shipped = json.loads((CONF / "policy.schema.json").read_text("utf-8"))
    assert shipped == policy_schema()


# What a protection cannot be without.
NEEDED: dict[str, dict[str, object]] = {
    "bucket": {"width": 10},
    "generalize": {"to": "year"},
    "replace": {"value": "x"},
    "seal": {"public_key": "a.pem"},
    "shift": {"days": 30, "subject": "k"},
    "tokenize": {"alphabet": "digits"},
    "vault": {"vault": "v"},
}


@pytest.mark.parametrize("name", PROTECTIONS)
def test_every_protection_is_offered(name: str, validator: Draft202012Validator) -> None:
    def agrees(rule: object) -> bool:
        document = {"version": 1, "table": "t", "columns": {"a": rule}}
        return validator.is_valid(document)

    assert agrees(name) == agrees({"protect": name}) == (name not in NEEDED)
    assert agrees({"protect": name, **NEEDED.get(name, {})})
    assert not agrees({"protect": name, **NEEDED.get(name, {}), "x": 1})


@pytest.mark.parametrize(
    "path", sorted((CONF / "policies").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_worked_policies_agree(path: Path, validator: Draft202012Validator) -> None:
    text = path.read_text("utf-8")
    assert list(validator.iter_errors(yaml.safe_load(text))) == []
    assert text.startswith("# yaml-language-server: $schema=../policy.schema.json\n")


@pytest.mark.parametrize("text", GOOD)
def test_both_accept(text: str, validator: Draft202012Validator) -> None:
    parse_policy(text)
    assert list(validator.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize("text", BAD)
def test_both_refuse(text: str, validator: Draft202012Validator) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text)
    assert list(validator.iter_errors(yaml.safe_load(text))) != []
