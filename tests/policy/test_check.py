"""Bad policies and exactly what is said of each."""

from __future__ import annotations

import pytest

from privpipe.errors import PolicyError
from privpipe.policy import PROTECTIONS, parse_policy

HEAD = "version: 1\ntable: t\ncolumns:\n"
NAMES = ", ".join(PROTECTIONS)
EXAMPLE = "one line a column, for example `surname: encrypt`"
TABLE = "for example `table: clinic.patients`"
SCHEMA = "for example `schema: {visited: date}` or `schema: rec_id string, visited date`"

# policy, where (after the file's name), message, hint
BAD: list[tuple[str, str, str, str]] = [
    (
        HEAD + "  a: {protect: vault, vault: v}\n"
        "  b: {protect: vault, vault: v, format: 'digits:9'}",
        ":5 columns.b.format",
        'the vault "v" has "uuid" on line 4',
        "give both the same format, or this one a vault of its own",
    ),
    (
        "table: t\ncolumns: {a: keep}",
        " version",
        "no key version",
        "write `version: 1` at the top",
    ),
    (
        "version: 2\ntable: t\ncolumns: {a: keep}",
        ":1 version",
        "version 2 is not known; this privpipe reads version 1",
        "write `version: 1`, or upgrade privpipe if the policy is newer",
    ),
    (
        "version: '1'\ntable: t\ncolumns: {a: keep}",
        ":1 version",
        'version the text "1" is not known; this privpipe reads version 1',
        "write `version: 1`, or upgrade privpipe if the policy is newer",
    ),
    (
        "version: 1\ncolumns: {a: keep}",
        " table",
        "no key table: the identity bound into every value",
        TABLE,
    ),
    (
        "version: 1\ntable: 7\ncolumns: {a: keep}",
        ":2 table",
        'found the number "7"; wanted a name, as text',
        TABLE,
    ),
    ("version: 1\ntable: t", " columns", "no key columns", EXAMPLE),
    (HEAD, ":3 columns", "found nothing; wanted a mapping", EXAMPLE),
    (HEAD + "  - a", ":3 columns", "found a list; wanted a mapping", EXAMPLE),
    (
        HEAD + "  a: keep\nunlisted: keeep",
        ":5 unlisted",
        'unknown word "keeep"; nearest: "keep"',
        "allowed: refuse, keep, drop",
    ),
    (
        HEAD + "  a: keep\nunlisted: [keep]",
        ":5 unlisted",
        "found a list",
        "allowed: refuse, keep, drop",
    ),
    (
        HEAD + "  a: keep\ncolums: {}",
        ":5 colums",
        'unknown key "colums"; nearest: "columns"',
        "allowed: version, table, unlisted, schema, columns",
    ),
    (
        HEAD + "  a: keep\nschema: [a]",
        ":5 schema",
        "found a list; wanted Spark types by column, or one DDL text",
        SCHEMA,
    ),
    (
        HEAD + "  a: keep\nschema: {a: 1}",
        ":5 schema.a",
        'found the number "1"; wanted a Spark type',
        SCHEMA,
    ),
    (
        HEAD + "  ssn: encypt",
        ":4 columns.ssn.protect",
        'unknown protection "encypt"; nearest: "encrypt"',
        f"allowed: {NAMES}",
    ),
    (
        HEAD + "  ssn: {protect: ENCRYPT}",
        ":4 columns.ssn.protect",
        'unknown protection "ENCRYPT"; nearest: "encrypt"',
        f"allowed: {NAMES}",
    ),
    (
        HEAD + "  ssn: no",
        ":4 columns.ssn.protect",
        'unknown protection "no"',
        f"allowed: {NAMES}",
    ),
    (
        HEAD + "  ssn: tokenize",
        ":4 columns.ssn",
        "tokenize needs the key alphabet",
        "for example `{protect: tokenize, alphabet: digits}`",
    ),
    (
        HEAD + "  ssn:\n  b: keep",
        ":4 columns.ssn",
        "found nothing; wanted a protection, or a mapping with the key protect",
        f"allowed: {NAMES}",
    ),
    (
        HEAD + "  ssn: {protect: [encrypt]}",
        ":4 columns.ssn.protect",
        "found a list; wanted a protection",
        f"allowed: {NAMES}",
    ),
    (
        HEAD + "  ssn: {domain: ssn}",
        ":4 columns.ssn",
        "no key protect",
        "for example `{protect: encrypt}`",
    ),
    (
        HEAD + "  ssn:\n    protect: encrypt_deterministic\n    domian: ssn",
        ":6 columns.ssn.domian",
        'unknown key "domian"; nearest: "domain"',
        "allowed here: protect, allow, bind, context, domain, keyset",
    ),
    (
        HEAD + "  ssn: {protect: encrypt, domain: ssn}",
        ":4 columns.ssn.domain",
        "encrypt takes no domain",
        "domain is for: encrypt_deterministic, tokenize, pseudonymize, shift, replace",
    ),
    (
        HEAD + "  ssn: {protect: keep, keyset: k}",
        ":4 columns.ssn.keyset",
        "keep takes no keyset",
        "keyset is for: encrypt, encrypt_deterministic, tokenize, pseudonymize, shift, "
        "replace, fernet",
    ),
    (
        HEAD + "  ssn: {protect: encrypt, context: 'pp1:c:t/name:string'}",
        ":4 columns.ssn.context",
        "a context that begins with pp1: is privpipe's own",
        "leave it out, and the value is bound to its column; or give another text",
    ),
    (
        HEAD + "  ssn: {protect: encrypt_deterministic, domain: 12}",
        ":4 columns.ssn.domain",
        'found the number "12"; wanted a name, as text',
        "put it in quotes",
    ),
    (
        HEAD + "  ssn: {protect: encrypt_deterministic, domain: ''}",
        ":4 columns.ssn.domain",
        'found the text ""; wanted a name, as text',
        "mend the policy and run `privpipe check` on it",
    ),
    (
        HEAD + "  ssn: {protect: encrypt_deterministic, allow: float}",
        ":4 columns.ssn.allow",
        'found the text "float"; wanted a list, of: float, collation',
        "mend the policy and run `privpipe check` on it",
    ),
    (
        HEAD + "  ssn: {protect: encrypt_deterministic, allow: [flaot]}",
        ":4 columns.ssn.allow",
        'unknown allowance "flaot"; nearest: "float"',
        "allowed: float, collation",
    ),
    (
        HEAD + "  ssn: {protect: encrypt_deterministic, domain: d, context: c}",
        ":4 columns.ssn.context",
        "a column of a domain has the domain's context",
        "take out either domain or context",
    ),
    (
        HEAD + "  card: keep\n  card.number: encrypt",
        ":5 columns.card.number",
        '"card" on line 4 covers it already',
        'list "card" as a whole, or its parts one by one',
    ),
    (
        HEAD + "  card: keep\n  '`card`': encrypt",
        ":5 columns.card",
        "listed twice; first on line 4",
        "mend the policy and run `privpipe check` on it",
    ),
    (
        HEAD + "  visits[]: drop",
        ":4 columns.visits[]",
        "an array's elements and a map's values cannot be dropped by themselves",
        'drop "visits"',
    ),
    (
        HEAD + "  a..b: keep",
        ":4 columns.a..b",
        '"a..b" has an unexpected "." at character 3',
        "names are parted by dots; `[]` is an array's element, `{}` a map's value; a name with "
        "any of . [ ] { } ` in it stands in backticks, and a backtick in it is doubled",
    ),
]


@pytest.mark.parametrize(("text", "where", "message", "hint"), BAD)
def test_a_fault_is_told_exactly(text: str, where: str, message: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, name="p.yaml")
    error = caught.value
    assert (error.where, error.message, error.hint) == (f"p.yaml{where}", message, hint)


def test_all_faults_are_told_at_once() -> None:
    text = "version: 3\ntable: t\ncolumns:\n  a: encypt\n  b: {protect: seal}\n  b: keep\nx: 1\n"
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, name="p.yaml")
    assert str(caught.value).splitlines() == [
        "[PP-POL-01] p.yaml: 5 faults",
        "  p.yaml:1 version: version 3 is not known; this privpipe reads version 1; "
        "write `version: 1`, or upgrade privpipe if the policy is newer",
        f'  p.yaml:4 columns.a.protect: unknown protection "encypt"; nearest: "encrypt"; '
        f"allowed: {NAMES}",
        "  p.yaml:5 columns.b: seal needs the key public_key; "
        "for example `{protect: seal, public_key: readers.public.pem}`",
        "  p.yaml:6 columns.b: given twice; first on line 5",
        '  p.yaml:7 x: unknown key "x"; allowed: version, table, unlisted, schema, columns',
        "hint: mend the policy and run `privpipe check` on it",
    ]


def test_a_long_text_is_not_repeated() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(HEAD + f"  a: {'s3cret' * 50}")
    assert len(caught.value.message) < 100


def test_a_text_with_line_breaks_stays_on_one_line() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(HEAD + '  "a\\nb": "x\\nhint: run this"')
    assert caught.value.message == r'unknown protection "x\nhint: run this"'
    assert caught.value.where == r"<policy>:4 columns.a\nb.protect"
