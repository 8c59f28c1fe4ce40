from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.arrow import Path, Step
from privpipe.errors import PolicyError
from privpipe.policy import format_path, parse_path

ELEMENT, VALUES = Step.ELEMENT, Step.VALUES

SPELT: list[tuple[str, Path]] = [
    ("surname", ("surname",)),
    ("card.number", ("card", "number")),
    ("visits[].note", ("visits", ELEMENT, "note")),
    ("attrs{}", ("attrs", VALUES)),
    ("m[][]{}.x", ("m", ELEMENT, ELEMENT, VALUES, "x")),
    ("`a.b`.c", ("a.b", "c")),
    ("`a``b`", ("a`b",)),
    ("`w[kg]`[]", ("w[kg]", ELEMENT)),
    ("date of birth", ("date of birth",)),
    ("größe.名前", ("größe", "名前")),
    ("` padded `", (" padded ",)),
    ("on", ("on",)),
]


@pytest.mark.parametrize(("text", "path"), SPELT)
def test_a_path_is_read_and_spelt(text: str, path: Path) -> None:
    assert parse_path(text) == path
    assert format_path(path) == text


def test_backticks_may_stand_where_they_are_not_needed() -> None:
    assert parse_path("`card`.`number`") == ("card", "number")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty name"),
        ("a.", '"a." ends where a name was expected'),
        (".a", '".a" has an unexpected "." at character 1'),
        ("a..b", '"a..b" has an unexpected "." at character 3'),
        ("[]", '"[]" has an unexpected "[" at character 1'),
        ("w[kg]", '"w[kg]" has an unexpected "[" at character 2'),
        ("a[]b", '"a[]b" has an unexpected "b" at character 4'),
        ("`a", '"`a" has an unexpected "`" at character 1'),
        ("``", '"``" has an unexpected "`" at character 1'),
        ("a{", '"a{" has an unexpected "{" at character 2'),
    ],
)
def test_a_misspelt_path_is_refused(text: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_path(text)
    assert caught.value.message == message
    assert caught.value.hint is not None
    assert "backticks" in caught.value.hint


names = st.text(min_size=1)
paths = st.tuples(names, st.lists(st.one_of(names, st.sampled_from(Step)))).map(
    lambda drawn: (drawn[0], *drawn[1])
)


@given(paths)
def test_every_path_survives_its_spelling(path: Path) -> None:
    assert parse_path(format_path(path)) == path


@given(st.text())
def test_any_text_is_a_path_or_a_coded_error(text: str) -> None:
    try:
        path = parse_path(text)
    except PolicyError:
        return
    assert parse_path(format_path(path)) == path
