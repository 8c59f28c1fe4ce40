"""The column of key ids beside tokens: where it may stand, and what a plan says of it."""

from __future__ import annotations

import pytest

from privpipe.cli._plan import plan_rows
from privpipe.errors import PolicyError
from privpipe.policy import Plan, Tokenize, key_column_of, parse_policy, plan_table
from tests.policy._build import table

HEAD = "version: 1\ntable: clinic.visits\n"
KEYED = "{protect: tokenize, alphabet: digits, key_column: true}"
RENAME = "drop that column, rename it in the source, or leave key_column out"


def plan(columns: str, *, unlisted: str = "refuse", **types: str) -> Plan:
    text = f"{HEAD}unlisted: {unlisted}\ncolumns:\n{columns}"
    return plan_table(parse_policy(text, name="p.yaml"), table(**types))


def test_a_part_of_a_column_has_no_key_column() -> None:
    for path in ("s.a", "'l[]'", "'m{}'", "'l[].a'"):
        with pytest.raises(PolicyError) as caught:
            parse_policy(f"{HEAD}columns:\n  {path}: {KEYED}\n", name="p.yaml")
        error = caught.value
        assert error.where == f"p.yaml:4 columns.{path.strip(chr(39))}.key_column"
        assert (
            error.message == "a key column stands beside a whole column, and this is a part of one"
        )
        assert error.code == "PP-POL-01"


@pytest.mark.parametrize("rule", ["keep", "encrypt"])
@pytest.mark.parametrize("name", ["a__key", "A__KEY", "a__key.x"])
def test_its_name_is_no_listed_columns(name: str, rule: str) -> None:
    for lines in (f"  a: {KEYED}\n  {name}: {rule}\n", f"  {name}: {rule}\n  a: {KEYED}\n"):
        with pytest.raises(PolicyError) as caught:
            parse_policy(f"{HEAD}columns:\n{lines}", name="p.yaml")
        error = caught.value
        assert error.where in ("p.yaml:4 columns.a.key_column", "p.yaml:5 columns.a.key_column")
        line = 5 if error.where == "p.yaml:4 columns.a.key_column" else 4
        told = f'the key column "a__key" would stand where line {line} has a column'
        assert (error.message, error.hint) == (told, RENAME)


def test_its_name_is_no_column_of_the_source() -> None:
    with pytest.raises(PolicyError) as caught:
        plan(f"  a: {KEYED}", unlisted="keep", a="string", A__Key="int")
    error = caught.value
    assert error.where == "p.yaml:5 columns.a.key_column"
    told = 'the source has a column "a__key", where the key column would stand'
    assert (error.message, error.hint) == (told, RENAME)


def test_it_stands_where_a_column_is_dropped() -> None:
    dropped = plan(f"  a: {KEYED}\n  A__key: drop", a="string", A__key="int")
    unlisted = plan(f"  a: {KEYED}", unlisted="drop", a="string", A__key="int")
    for made in (dropped, unlisted):
        assert [column.action for column in made.columns] == ["protect", "drop"]
        assert made.leaves[0].key_column == "a__key"


def test_what_a_plan_says_of_it() -> None:
    made = plan(
        f"  A: {KEYED}\n  b: {{protect: tokenize, alphabet: digits, domain: d, key_column: true}}\n"
        "  k: keep",
        a="string", b="string", k="int",
    )  # fmt: skip
    assert [leaf.key_column for leaf in made.leaves] == ["a__key", "b__key"]
    assert [leaf.reveals for leaf in made.leaves] == [
        "nullness, length, equality within one key",
        "nullness, length, equality across domain d within one key",
    ]
    rows = plan_rows(made)
    assert [row["column"] for row in rows] == ["a", "a__key", "b", "b__key", "k"]
    assert (rows[1]["becomes"], rows[1]["protection"], rows[1]["key_id"]) == (
        "bigint",
        "key ids",
        None,
    )
    assert rows[1]["reveals"] == "which key made the token, and so roughly when"
    told = "equal values meet only where a__key is equal too: after a rotation, join on both, or "
    assert any(told in text for text in made.warnings)
    shown = made._repr_html_()
    assert "<td>a__key</td><td></td><td>key ids</td><td></td><td></td><td>which key made" in shown


def test_without_it_nothing_is_said_of_keys() -> None:
    for rule in ("{protect: tokenize, alphabet: digits, key_column: false}", "encrypt"):
        made = plan(f"  a: {rule}\n  a__key: keep", a="string", a__key="int")
        assert made.leaves[0].key_column is None
        assert "within one key" not in made.leaves[0].reveals
        assert len(plan_rows(made)) == 2
    assert key_column_of(("a",), Tokenize(alphabet="digits")) is None
    assert key_column_of(("a b",), Tokenize(alphabet="digits", key_column=True)) == "a b__key"
