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
]


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(policy_schema())
    return Draft202012Validator(policy_schema())


def test_the_shipped_schema_is_the_generated_one() -> None:
    shipped = json.loads((CONF / "policy.schema.json").read_text("utf-8"))
    assert shipped == policy_schema()


def test_every_protection_is_offered(validator: Draft202012Validator) -> None:
    for name in PROTECTIONS:
        document = {"version": 1, "table": "t", "columns": {"a": name, "b": {"protect": name}}}
        assert list(validator.iter_errors(document)) == []


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
