"""Plans that are refused, and exactly what is said."""

from __future__ import annotations

import pytest

from privpipe.errors import PolicyError
from privpipe.policy import TableSchema, parse_policy, plan_table
from tests.policy._build import field, table

HEAD = "version: 1\ntable: t\nunlisted: {}\ncolumns:\n"
CARD = "struct<number:string,bank:string>"
MEND = "mend the policy, or the source, and plan again"

# rules, types, where (after the file's name), message, hint
BAD: list[tuple[str, dict[str, str], str, str, str]] = [
    (
        "v.note: encrypt",
        {"v": "array<struct<note:string>>"},
        ":5 columns.v.note",
        '"v" is an array',
        'what lies inside it is spelt "v[]"',
    ),
    (
        "m[]: encrypt",
        {"m": "map<string,int>"},
        ":5 columns.m[]",
        '"m" is a map',
        'what lies inside it is spelt "m{}"',
    ),
    (
        "s.x: encrypt",
        {"s": "string"},
        ":5 columns.s.x",
        '"s" is string, and nothing lies inside it',
        MEND,
    ),
    (
        "a: encrypt",
        {"a": "interval"},
        ":5 columns.a",
        "interval cannot be protected: a calendar interval cannot leave Spark's own memory; keep "
        "its months, days and microseconds as columns of their own",
        "keep or drop",
    ),
    (
        "a: encrypt",
        {"a": "array<void>"},
        ":5 columns.a",
        "array<void> cannot be protected (void is inside it): it holds nothing but nulls",
        "keep or drop",
    ),
    (
        "a: encrypt_deterministic",
        {"a": "geometry(4326)"},
        ":5 columns.a",
        "encrypt_deterministic refuses geometry(4326): equal shapes have more than one form in "
        "bytes",
        "use encrypt",
    ),
    (
        "a: encrypt",
        {"a": "udt"},
        ":5 columns.a",
        "udt cannot be protected: a user-defined type is not handled; protect the type beneath it",
        "keep or drop",
    ),
    (
        "a: encrypt",
        {"a": "novelty"},
        ":5 columns.a",
        "novelty cannot be protected: it is not known here",
        "keep or drop",
    ),
    (
        "a: encrypt_deterministic",
        {"a": "double"},
        ":5 columns.a",
        "encrypt_deterministic refuses double: 0.0 equals -0.0 and NaN has many forms, so equal "
        "values would not meet",
        "use encrypt, or add `allow: [float]` if that is fine",
    ),
    (
        "a: {protect: encrypt_deterministic, allow: [float]}",
        {"a": "string collate UNICODE_CI"},
        ":5 columns.a",
        "encrypt_deterministic refuses string collate UNICODE_CI: strings that its collation calls "
        "equal differ in bytes, and would not meet",
        "use encrypt, or add `allow: [collation]` if that is fine",
    ),
    (
        "a: encrypt_deterministic",
        {"a": "map<string,int>"},
        ":5 columns.a",
        "encrypt_deterministic refuses map<string,int>: equal values of it have more than one form "
        "in bytes; protect the fields inside it",
        "use encrypt",
    ),
    (
        "c.number: drop\n  c.bank: drop",
        {"c": CARD},
        "",
        '2 faults\n  p.yaml:5 columns.c.number: every field of "c" is dropped; drop it as a whole\n'
        '  p.yaml:6 columns.c.bank: every field of "c" is dropped; drop it as a whole',
        MEND,
    ),
    (
        "a: drop",
        {"a": "int"},
        ":3 columns",
        "every column is dropped: no table is left",
        "keep or protect at least one",
    ),
    (
        "a: keep\n  A: encrypt",
        {"a": "int"},
        ":6 columns.A",
        "the place of line 5 again, or one inside it: only case differs",
        "list it once",
    ),
    (
        "c: keep\n  C.number: encrypt",
        {"c": CARD},
        ":6 columns.C.number",
        "the place of line 5 again, or one inside it: only case differs",
        "list it once",
    ),
    (
        "c.number: keep\n  C.number: encrypt\n  c.bank: keep",
        {"c": CARD},
        ":6 columns.C.number",
        "the place of line 5 again, or one inside it: only case differs",
        "list it once",
    ),
    (
        "a: keep",
        {"a": "int", "b": "int"},
        ":3 columns.b",
        "the source has this column, and the policy does not list it",
        "list it, or set `unlisted:` to keep or drop",
    ),
    (
        "c.number: encrypt",
        {"c": CARD},
        ":3 columns.c.bank",
        "the source has this field, and the policy does not list it",
        "list it, or set `unlisted:` to keep or drop",
    ),
    (
        "a: {protect: encrypt_deterministic, domain: d}\n"
        "  b: {protect: encrypt_deterministic, domain: d}",
        {"a": "int", "b": "string"},
        ":6 columns.b.domain",
        'string is of the family text, and a on line 5 gives the domain "d" the family integer',
        "cast one of them in the source, or give it a domain of its own",
    ),
    (
        "a: {protect: bucket, width: 1}",
        {"a": "int"},
        ":5 columns.a",
        "a bucket of width 1 holds one int at most, and so tells it",
        "give a larger width",
    ),
    (
        "a: {protect: generalize, width: 0.01}",
        {"a": "decimal(10,2)"},
        ":5 columns.a",
        "a bucket of width 0.01 holds one decimal(10,2) at most, and so tells it",
        "give a larger width",
    ),
    (
        "a: {protect: generalize, round: 2}",
        {"a": "decimal(10,2)"},
        ":5 columns.a",
        "2 decimals are all that decimal(10,2) has",
        "round to fewer",
    ),
    (
        "a: {protect: generalize, prefix: 5}",
        {"a": "varchar(5)"},
        ":5 columns.a",
        "varchar(5) has no more than 5 characters",
        "give a shorter prefix",
    ),
]


# The same, where what the policy does not list is let through.
MISSING: list[tuple[str, dict[str, str], str, str, str]] = [
    (
        "surnam: encrypt",
        {"surname": "string"},
        ":5 columns.surnam",
        'no such column in the source; nearest: "surname"',
        "it has: surname",
    ),
    (
        "c.numbr: encrypt",
        {"c": CARD},
        ":5 columns.c.numbr",
        '"c" has no such field in the source; nearest: "c.number"',
        "it has: number, bank",
    ),
    (
        "c[]: encrypt",
        {"c": CARD},
        ":5 columns.c[]",
        '"c" has no such field in the source',
        "it has: number, bank",
    ),
]


@pytest.mark.parametrize(
    ("unlisted", "rules", "types", "where", "message", "hint"),
    [("refuse", *case) for case in BAD] + [("keep", *case) for case in MISSING],
)
def test_a_plan_is_refused(
    unlisted: str, rules: str, types: dict[str, str], where: str, message: str, hint: str
) -> None:
    policy = parse_policy(HEAD.format(unlisted) + f"  {rules}\n", name="p.yaml")
    with pytest.raises(PolicyError) as caught:
        plan_table(policy, table(**types))
    error = caught.value
    assert (error.where, error.message, error.hint) == (f"p.yaml{where}", message, hint)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Name", "name"), 'the source has it also as "Name": only case differs'),
        (("name", "name"), "the source has it twice"),
    ],
)
def test_a_source_with_ambiguous_names_is_refused(names: tuple[str, str], message: str) -> None:
    policy = parse_policy(HEAD.format("keep") + "  name: encrypt", name="p.yaml")
    schema = TableSchema(fields=tuple(field(name, "int") for name in names))
    with pytest.raises(PolicyError) as caught:
        plan_table(policy, schema)
    assert (caught.value.where, caught.value.message) == ("p.yaml columns.name", message)
    assert caught.value.hint == "rename one of them in the source"


def test_all_faults_of_a_plan_are_told_at_once() -> None:
    policy = parse_policy(HEAD.format("refuse") + "  a: encrypt\n  b: encrypt\n", name="p.yaml")
    with pytest.raises(PolicyError) as caught:
        plan_table(policy, table(a="interval", c="int"))
    assert [line.split(":")[1].split(" ")[0] for line in caught.value.message.splitlines()[1:]] == [
        "3",
        "5",
        "6",
    ]


ONE = "Delta holds one of them: drop the other, or rename it in the source"
TWO = "struct<x:int,X:int>"

# rules, types, the place at fault, the other one
ALIKE: list[tuple[str, dict[str, str], str, str]] = [
    ("a: keep\n  A: keep", {"a": "int", "A": "int"}, ":6 columns.A", "a"),
    ("a: encrypt\n  A: undecided", {"A": "int", "a": "int"}, ":5 columns.a", "A"),
    ("s: keep", {"s": TWO}, ":5 columns.s.X", "s.x"),
    ("s: redact", {"s": TWO}, ":5 columns.s.X", "s.x"),
    ("s.x: encrypt\n  s.X: keep", {"s": TWO}, ":5 columns.s.X", "s.x"),
    ("s: keep", {"s": f"array<map<int,{TWO}>>"}, ":5 columns.s[]{}.X", "s[]{}.x"),
    ("s: keep", {"s": f"map<{TWO},int>"}, ":5 columns.s.key.X", "s.key.x"),
]


@pytest.mark.parametrize(("rules", "types", "where", "other"), ALIKE)
def test_delta_holds_no_names_that_differ_in_case_alone(
    rules: str, types: dict[str, str], where: str, other: str
) -> None:
    policy = parse_policy(HEAD.format("refuse") + f"  {rules}\n", name="p.yaml")
    with pytest.raises(PolicyError) as caught:
        plan_table(policy, table(**types), case_sensitive=True)
    text = f'the table would have it also as "{other}": only case differs'
    assert (caught.value.where, caught.value.message) == (f"p.yaml{where}", text)
    assert caught.value.hint == ONE


@pytest.mark.parametrize("rules", ["s: encrypt", "s.x: keep\n  s.X: drop", "s: drop\n  a: keep"])
def test_names_that_are_not_written_may_be_alike(rules: str) -> None:
    policy = parse_policy(HEAD.format("keep") + f"  {rules}\n")
    assert plan_table(policy, table(s=TWO, a="int"), case_sensitive=True).columns
    if "." not in rules:
        assert plan_table(policy, table(s=TWO, a="int")).columns
