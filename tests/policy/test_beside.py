"""Columns that stand beside another's values: which may, and what is said of those that may not."""

from __future__ import annotations

import pytest

from privpipe.errors import PolicyError
from privpipe.policy import Plan, parse_policy, plan_table
from tests.policy._build import table

HEAD = "version: 1\ntable: clinic.visits\n"
TWEAK = "{protect: tokenize, alphabet: digits, tweak: k}"
BIND = "{protect: encrypt, bind: [k]}"
EQUAL = "{protect: encrypt_deterministic, bind: [k]}"
SHIFT = "{protect: shift, days: 30, subject: k}"
MEND = "mend the policy and run `privpipe check` on it"
EVERY = "bind to a column that every row keeps"
CLEAR = "keep that column, or take another tweak"


def plan(rule: str, other: str, *, unlisted: str = "refuse", **types: str) -> Plan:
    text = f"{HEAD}unlisted: {unlisted}\ncolumns:\n  a: {rule}\n{other}"
    return plan_table(parse_policy(text, name="p.yaml"), table(**types))


# rule, what the other column is, the key at fault, message, hint
BAD: list[tuple[str, str, str, str, str]] = [
    (TWEAK, "  k: encrypt_deterministic", "tweak",
     '"k" on line 6 is encrypt_deterministic, not in clear', CLEAR),
    (TWEAK, "  k: drop", "tweak", '"k" on line 6 is drop, not in clear', CLEAR),
    (TWEAK, "  k: undecided", "tweak", '"k" on line 6 is undecided, not in clear', CLEAR),
    (TWEAK, "  k: redact", "tweak", '"k" on line 6 is redact, not in clear', CLEAR),
    (BIND, "  k: encrypt", "bind",
     '"k" on line 6 is encrypt: its bytes are other ones each time', EVERY),
    (EQUAL, "  K: fernet", "bind",
     '"k" on line 6 is fernet: its bytes are other ones each time', EVERY),
    (BIND, "  k: drop", "bind", '"k" on line 6 is drop: it is not in the protected table', EVERY),
    (BIND, "  k: redact", "bind", '"k" on line 6 is redact: it is null in every row', EVERY),
    (BIND, "  k: undecided", "bind", '"k" on line 6 is undecided: it is not decided yet', EVERY),
    (BIND, "  k: {protect: encrypt_deterministic, bind: [l]}\n  l: keep", "bind",
     '"k" on line 6 hangs on other columns itself', "bind to a column that does not"),
    (BIND, "  k: {protect: tokenize, alphabet: digits, tweak: l}\n  l: keep", "bind",
     '"k" on line 6 hangs on other columns itself', "bind to a column that does not"),
    (BIND, "  k: {protect: shift, days: 3, subject: l}\n  l: keep", "bind",
     '"k" on line 6 hangs on other columns itself', "bind to a column that does not"),
    ("{protect: encrypt, bind: [a]}", "", "bind", '"a" is the column itself', MEND),
    ("{protect: encrypt, bind: [A]}", "", "bind", '"A" is the column itself', MEND),
    *(
        (rule, other, key, message, hint)
        for rule, key in ((TWEAK, "tweak"), (BIND, "bind"), (EQUAL, "bind"), (SHIFT, "subject"))
        for other, message, hint in (
            ("  k.x: keep", '"k" is not a single value', MEND),
            ("  'k[].x': encrypt", '"k" is not a single value', MEND),
            ("  l: keep", '"k" is not listed',
             "list it; a source column that is not listed is not there"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "other", "key", "message", "hint"), BAD)
def test_what_cannot_stand_beside(rule: str, other: str, key: str, message: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"{HEAD}unlisted: drop\ncolumns:\n  a: {rule}\n{other}", name="p.yaml")
    error = caught.value
    assert (error.where, error.message, error.hint) == (f"p.yaml:5 columns.a.{key}", message, hint)


KEPT = ["keep", "encrypt_deterministic", "pseudonymize", "{protect: mask, show: {first: 1}}"]


@pytest.mark.parametrize("other", KEPT)
def test_a_row_key_may_be_what_is_the_same_each_time(other: str) -> None:
    for rule in (BIND, EQUAL):
        made = plan(rule, f"  K: {other}", a="int", k="string")
        assert made.leaves[0].beside == ("k",)


def test_two_columns_may_not_be_bound_to_each_other() -> None:
    with pytest.raises(PolicyError) as caught:
        plan(EQUAL, "  k: {protect: encrypt_deterministic, bind: [a]}", a="int", k="int")
    assert caught.value.message.count("hangs on other columns itself") == 2


@pytest.mark.parametrize("other", [*KEPT, "encrypt", "drop", "undecided"])
def test_a_subject_may_be_anything_for_it_is_read_in_the_source(other: str) -> None:
    made = plan(SHIFT, f"  k: {other}", a="date", k="string")
    assert made.leaves[0].beside == ("k",)


def test_what_is_not_listed_is_there_where_it_is_kept() -> None:
    for rule, kind in ((TWEAK, "string"), (BIND, "int"), (SHIFT, "date")):
        made = plan(rule, "", unlisted="keep", a=kind, k="string")
        assert made.leaves[0].beside == ("k",)
        with pytest.raises(PolicyError, match='"k" is not listed'):
            plan(rule, "", unlisted="drop", a=kind, k="string")


@pytest.mark.parametrize("rule", [TWEAK, BIND, SHIFT])
def test_the_source_must_have_it_as_a_single_value(rule: str) -> None:
    kind = "date" if rule == SHIFT else "string"
    for other in ("array<int>", "struct<x:int>", "map<int,int>", "double", "float", "variant"):
        with pytest.raises(PolicyError) as caught:
            plan(rule, "  k: keep", a=kind, k=other)
        assert caught.value.where == "p.yaml:5 columns.a"
        assert caught.value.message == f'"k" is {other}, which cannot stand beside'
        assert caught.value.hint == "take a column of single values"
    with pytest.raises(PolicyError) as caught:
        plan(rule, "", unlisted="keep", a=kind)
    assert caught.value.message == 'the source has no column "k", which stands beside this one'


def test_case_counts_where_asked() -> None:
    text = f"{HEAD}unlisted: keep\ncolumns:\n  a: {BIND}"
    with pytest.raises(PolicyError, match='no column "k"'):
        plan_table(parse_policy(text), table(a="int", K="int"), case_sensitive=True)
    assert plan_table(parse_policy(text), table(a="int", K="int")).leaves[0].beside == ("k",)


@pytest.mark.parametrize("name", ["k", "K"])
@pytest.mark.parametrize("rule", [TWEAK, BIND, EQUAL, SHIFT])
def test_two_names_that_differ_in_case_alone_stand_beside_nothing(rule: str, name: str) -> None:
    """One session would read the one column, another session the other."""
    asked = rule.replace("k}", f"{name}}}").replace("[k]", f"[{name}]")
    other = "k" if name == "K" else "K"
    types = {"a": "date" if rule == SHIFT else "string", "k": "string", "K": "string"}
    for kept, dropped in ((name, other), (other, name)):
        text = f"{HEAD}columns:\n  a: {asked}\n  {kept}: keep\n  {dropped}: drop"
        if rule != SHIFT and dropped == name:
            with pytest.raises(PolicyError, match=f'"{name}" on line 6 is drop'):
                parse_policy(text)
            continue
        policy = parse_policy(text, name="p.yaml")
        with pytest.raises(PolicyError) as caught:
            plan_table(policy, table(**types), case_sensitive=True)
        assert caught.value.where == "p.yaml:4 columns.a"
        said = f'"{name}" stands beside this one, and the source has "k" and "K"'
        assert caught.value.message == said
        assert caught.value.hint == "only case differs: rename one of them in the source"
