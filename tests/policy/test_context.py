from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.arrow import Path, Step
from privpipe.errors import PolicyError
from privpipe.policy import column_context, domain_context, format_path, is_context_of
from tests.policy.test_paths import paths


@pytest.mark.parametrize(
    ("table", "path", "kind", "context"),
    [
        ("clinic.patients", ("surname",), "string", "pp1:c:clinic.patients/surname:string"),
        (
            "clinic.patients",
            ("visits", Step.ELEMENT, "note"),
            "string",
            "pp1:c:clinic.patients/visits.[].note:string",
        ),
        ("t", ("attrs", Step.VALUES), "decimal(12,2)", "pp1:c:t/attrs.{}:decimal(12,2)"),
        ("`a.b`.c", ("x",), "int", "pp1:c:a%2Eb.c/x:int"),
        ("t", ("a.b", "c"), "int", "pp1:c:t/a%2Eb.c:int"),
        ("t", ("[]",), "int", "pp1:c:t/%5B%5D:int"),
        ("t", ("größe %", "a/b:c"), "int", "pp1:c:t/gr%C3%B6%C3%9Fe%20%25.a%2Fb%3Ac:int"),
        ("A-b_9", ("A-b_9",), "int", "pp1:c:A-b_9/A-b_9:int"),
    ],
)
def test_the_context_of_a_column(table: str, path: Path, kind: str, context: str) -> None:
    assert column_context(table, path, kind) == context


def test_the_context_of_a_domain() -> None:
    assert domain_context("email", "text") == "pp1:d:email:text"
    assert domain_context("a:b", "decimal.2") == "pp1:d:a%3Ab:decimal.2"


def test_a_table_is_a_name() -> None:
    with pytest.raises(PolicyError, match="no table name"):
        column_context("a[]", ("x",), "int")


kinds = st.sampled_from(["int", "string", "struct<a:int,b/c:string>", "array<int>"])
places = st.tuples(st.lists(st.text(min_size=1), min_size=1), paths, kinds)


@given(places, places)
def test_two_places_never_share_a_context(
    one: tuple[list[str], Path, str], two: tuple[list[str], Path, str]
) -> None:
    contexts = [column_context(format_path(tuple(t)), path, kind) for t, path, kind in (one, two)]
    assert (contexts[0] == contexts[1]) == (one == two)


def is_own(context: str, domain: str | None = None, family: str | None = None) -> bool:
    path = ("größe", Step.ELEMENT, "a.b")
    return is_context_of(context, table="t.u", path=path, type="int", domain=domain, family=family)


@pytest.mark.parametrize(
    ("context", "fits"),
    [
        ("pp1:c:t.u/gr%C3%B6%C3%9Fe.[].a%2Eb:int", True),
        ("pp1:c:T.u/GR%C3%96%C3%9Fe.[].A%2Eb:int", True),
        ("a text of the policy's", True),
        ("pp1:c:t.u/gr%C3%B6%C3%9Fe.[].a%2Ec:int", False),
        ("pp1:c:t.u/gr%C3%B6%C3%9Fe.[].a.b:int", False),
        ("pp1:c:t.u/gr%C3%B6%C3%9Fe.%5B%5D.a%2Eb:int", False),
        ("pp1:c:t/u.gr%C3%B6%C3%9Fe.[].a%2Eb:int", False),
        ("pp1:c:t.u/gr%C3%B6%C3%9Fe.[].a%2Eb:bigint", False),
        ("pp1:c:other/gr%C3%B6%C3%9Fe.[].a%2Eb:int", False),
        ("pp1:d:email:integer", False),
        ("pp1:", False),
    ],
)
def test_whose_context_it_is(context: str, fits: bool) -> None:
    assert is_own(context) == fits


def test_a_column_of_a_domain_has_the_domains_context_alone() -> None:
    assert is_own("pp1:d:email:integer", "email", "integer")
    for other in ("pp1:d:mail:integer", "pp1:d:email:text", "a text of the policy's"):
        assert not is_own(other, "email", "integer")
