"""What a plan says of each column."""

from __future__ import annotations

import pytest

from privpipe.arrow import Step
from privpipe.policy import Encrypt, LeafPlan, Plan, TableSchema, parse_policy, plan_table
from tests.policy._build import field, table

HEAD = "version: 1\ntable: clinic.patients\n"
VISITS = "array<struct<at:date,note:string>>"
CARD = "struct<number:string,bank:string>"


def plan(columns: str, schema: TableSchema, *, unlisted: str = "refuse") -> Plan:
    policy = parse_policy(f"{HEAD}unlisted: {unlisted}\ncolumns: {{{columns}}}", name="p.yaml")
    return plan_table(policy, schema)


def leaf(columns: str, **types: str) -> LeafPlan:
    (only,) = plan(columns, table(**types)).leaves
    return only


def test_a_plan_follows_the_source() -> None:
    made = plan(
        "note: undecided, rec_id: keep, surname: encrypt, w: drop",
        table(rec_id="int", surname="string", w="double", note="string"),
    )
    assert [(c.name, c.action) for c in made.columns] == [
        ("rec_id", "keep"),
        ("surname", "protect"),
        ("w", "drop"),
        ("note", "undecided"),
    ]
    assert made.undecided == ("note",)
    assert made.warnings == ()
    assert (made.table, made.policy_name) == ("clinic.patients", "p.yaml")


def test_a_leaf_has_its_key_context_and_line() -> None:
    assert leaf("surname: encrypt", surname="string") == LeafPlan(
        path=("surname",),
        protection="encrypt",
        primitive="AES256_GCM",
        scope="table:clinic.patients",
        context="pp1:c:clinic.patients/surname:string",
        type="string",
        family=None,
        domain=None,
        deterministic=False,
        line=4,
        reveals="nullness, length",
        becomes="binary",
        settings=Encrypt(),
    )


def test_a_domain_shares_key_and_context() -> None:
    made = leaf("ssn: {protect: encrypt_deterministic, domain: soc sec}", ssn="bigint")
    assert made.scope == "domain:soc sec"
    assert made.context == "pp1:d:soc%20sec:integer"
    assert made.reveals == "nullness, equality across domain soc sec"
    assert (made.family, made.primitive, made.deterministic) == ("integer", "AES256_SIV", True)


def test_keyset_and_context_override() -> None:
    made = leaf('a: {protect: encrypt, keyset: shared, context: "bank/v1"}', a="string")
    assert (made.scope, made.context) == ("shared", "bank/v1")
    both = "a: {protect: encrypt_deterministic, domain: d, keyset: k}"
    made = leaf(both, a="string")
    assert (made.scope, made.context) == ("k", "pp1:d:d:text")
    assert plan(both, table(a="string")).scopes == (("k", "AES256_SIV", None),)


def test_scopes_are_listed_once() -> None:
    made = plan(
        "a: encrypt, b: encrypt, c: encrypt_deterministic, "
        "d: {protect: encrypt_deterministic, domain: d}",
        table(a="string", b="string", c="string", d="date"),
    )
    assert made.scopes == (
        ("table:clinic.patients", "AES256_GCM", None),
        ("table:clinic.patients", "AES256_SIV", None),
        ("domain:d", "AES256_SIV", "date"),
    )


def test_the_policy_spells_the_context_and_the_source_the_path() -> None:
    made = leaf("Card.Number: encrypt, Card.bank: keep", card=CARD)
    assert made.path == ("card", "number")
    assert made.context == "pp1:c:clinic.patients/Card.Number:string"


def test_one_struct_may_be_spelt_in_two_cases() -> None:
    made = plan("CARD.number: encrypt, card.Bank: keep", table(card=CARD))
    assert [leaf.path for leaf in made.leaves] == [("card", "number")]


def test_case_counts_where_asked() -> None:
    policy = parse_policy(HEAD + "columns: {a: encrypt, A: drop}")
    made = plan_table(policy, table(A="int", a="int"), case_sensitive=True)
    assert [(c.name, c.action) for c in made.columns] == [("A", "drop"), ("a", "protect")]


@pytest.mark.parametrize(
    ("rule", "kind", "path", "context", "reveals"),
    [
        (
            "c.number: encrypt, c.bank: keep",
            CARD,
            ("c", "number"),
            "c.number:string",
            "nullness, length, nullness of what holds it",
        ),
        (
            "'c[].note': encrypt, 'c[].at': keep",
            VISITS,
            ("c", Step.ELEMENT, "note"),
            "c.[].note:string",
            "nullness, length, nullness of what holds it, array lengths",
        ),
        (
            "'c{}': encrypt",
            "map<string,int>",
            ("c", Step.VALUES),
            "c.{}:int",
            "nullness, map keys",
        ),
        (
            "'c[][]': encrypt",
            "array<array<double>>",
            ("c", Step.ELEMENT, Step.ELEMENT),
            "c.[].[]:double",
            "nullness, array lengths",
        ),
        ("c: encrypt", CARD, ("c",), f"c:{CARD}", "nullness, length"),
        (
            "'c[]': encrypt",
            VISITS,
            ("c", Step.ELEMENT),
            "c.[]:struct<at:date,note:string>",
            "nullness, length, array lengths",
        ),
    ],
)
def test_nested_places(
    rule: str, kind: str, path: tuple[str | Step, ...], context: str, reveals: str
) -> None:
    made = leaf(rule, c=kind)
    assert made.path == path
    assert made.context == f"pp1:c:clinic.patients/{context}"
    assert made.reveals == reveals


def test_names_with_dots_and_backticks() -> None:
    policy = parse_policy(HEAD + "columns:\n  '`a.b`.`c``d`': encrypt")
    (made,) = plan_table(policy, TableSchema(fields=(field("a.b", "struct<c`d:int>"),))).leaves
    assert made.path == ("a.b", "c`d")
    assert made.context == "pp1:c:clinic.patients/a%2Eb.c%60d:int"


FIXED = [
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal(12,2)",
    "date",
    "timestamp",
    "timestamp_ntz",
    "time(6)",
    "interval day to second",
    "interval year to month",
]
VARIABLE = [
    "string",
    "string collate UNICODE_CI",
    "char(3)",
    "varchar(9)",
    "binary",
    "variant",
    "geometry(0)",
    "geography(4326)",
    "array<int>",
    "map<string,int>",
    "struct<a:int>",
]


@pytest.mark.parametrize("kind", FIXED + VARIABLE)
def test_every_type_that_holds_data_can_be_encrypted(kind: str) -> None:
    made = leaf("a: encrypt", a=kind)
    assert made.type == kind
    assert made.reveals == ("nullness" if kind in FIXED else "nullness, length")


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("string", "text"),
        ("varchar(9)", "text"),
        ("binary", "bytes"),
        ("smallint", "integer"),
        ("decimal(12,2)", "decimal.2"),
        ("decimal(38,0)", "decimal.0"),
        ("date", "date"),
        ("timestamp", "timestamp"),
        ("timestamp_ntz", "timestamp_ntz"),
        ("time(6)", "time"),
        ("boolean", "boolean"),
        ("interval day to second", "interval_dt"),
        ("interval year to month", "interval_ym"),
    ],
)
def test_families(kind: str, family: str) -> None:
    made = leaf("a: {protect: encrypt_deterministic, domain: d}", a=kind)
    assert (made.family, made.context) == (family, f"pp1:d:d:{family}")


def test_what_was_asked_for_is_allowed() -> None:
    floats = leaf("a: {protect: encrypt_deterministic, domain: d, allow: [float]}", a="float")
    assert floats.family == "float"
    text = "string collate UNICODE_CI"
    made = leaf("a: {protect: encrypt_deterministic, allow: [collation]}", a=text)
    assert made.context == f"pp1:c:clinic.patients/a:{text}"


def test_unlisted_keep_and_drop() -> None:
    schema = table(a="string", b="int", c="struct<x:int,y:int>")
    kept = plan("a: encrypt, c.x: keep", schema, unlisted="keep")
    assert [c.action for c in kept.columns] == ["protect", "keep", "keep"]
    assert kept.warnings == ("p.yaml:3 unlisted: not listed and so kept in clear: b, c.y",)
    dropped = plan("a: encrypt, c.x: keep", schema, unlisted="drop")
    assert [(c.action, c.drops) for c in dropped.columns] == [
        ("protect", ()),
        ("drop", ()),
        ("keep", (("c", "y"),)),
    ]


def test_a_field_inside_an_array_may_be_dropped() -> None:
    made = plan("'v[].at': drop, 'v[].note': encrypt", table(v=VISITS))
    assert made.columns[0].action == "protect"
    assert made.columns[0].drops == (("v", Step.ELEMENT, "at"),)


def test_undecided_inside_a_column() -> None:
    made = plan("c.number: undecided, c.bank: encrypt", table(c=CARD))
    assert made.undecided == ("c.number",)
    assert made.columns[0].action == "undecided"


def test_a_table_of_no_columns_and_no_rows_of_policy() -> None:
    made = plan("", TableSchema(fields=()))
    assert made.columns == ()
    assert made.warnings == ("p.yaml columns: nothing is protected",)


@pytest.mark.parametrize(
    ("rules", "types", "warning"),
    [
        ("a: keep", {"a": "int"}, " columns: nothing is protected"),
        (
            "a: encrypt_deterministic",
            {"a": "boolean"},
            ":4 columns.a: a boolean has 2 values at most, so counting equal ciphertexts tells "
            "them apart; use encrypt unless it must join",
        ),
        (
            "'a{}': encrypt",
            {"a": "map<string,string>"},
            ":4 columns.a{}: the keys of the map stay in clear; encrypt the whole map to hide them",
        ),
        (
            "a: {protect: encrypt, context: ''}",
            {"a": "int"},
            ":4 columns.a: an empty context binds its values to no place",
        ),
        (
            "a: {protect: encrypt, context: x}, b: {protect: encrypt, context: x}",
            {"a": "int", "b": "int"},
            ':4 columns.b: shares key and context "x" with a: values swapped between them go '
            "unnoticed",
        ),
    ],
)
def test_a_reviewer_is_warned(rules: str, types: dict[str, str], warning: str) -> None:
    assert plan(rules, table(**types)).warnings == (f"p.yaml{warning}",)
