"""Calendar periods as groups: which there are, how they are written, and every fault's line."""

from __future__ import annotations

import tracemalloc
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.dp import Bounds
from privpipe.errors import SpecError
from privpipe.features import ExactSpec, Group, parse_features
from privpipe.features._periods import BY, By, first_day, number_of
from tests.features import test_exact
from tests.features._specs import SELECTED, TEXT, parse_groups

FIRST, LAST = date(1, 1, 1), date(9999, 12, 31)


def with_groups(said: str, text: str = TEXT) -> str:
    return text.replace("edu: [a, b, c]", f"edu: {said}")


def group(said: str) -> Group:
    return parse_groups(with_groups(said)).groups[0]


def begins(by: By, day: date) -> date:
    """The slow way: back, day by day, to one that begins such a period."""
    while not {
        "day": True,
        "week": day.weekday() == 0,
        "month": day.day == 1,
        "quarter": day.day == 1 and day.month in (1, 4, 7, 10),
        "year": (day.month, day.day) == (1, 1),
    }[by]:
        day -= timedelta(days=1)
    return day


@pytest.mark.parametrize("by", BY)
@given(day=st.dates(FIRST, LAST) | st.sampled_from([FIRST, LAST, date(4, 2, 29)]))
def test_a_period_is_known_by_its_number(by: By, day: date) -> None:
    number = number_of(by, day)
    start = first_day(by, number)
    assert start == begins(by, day)
    if start > FIRST:
        assert number_of(by, start - timedelta(days=1)) == number - 1
    assert number_of(by, start) == number


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("{by: month, from: 2024-01, to: 2024-03}", "2024-01-01 2024-02-01 2024-03-01"),
        ("{by: month, from: 2023-12-31, to: 2024-01-01}", "2023-12-01 2024-01-01"),
        ("{by: month, from: 2024, to: 2024}", [f"2024-{at:02}-01" for at in range(1, 13)]),
        ("{by: quarter, from: 2023-11, to: 2024-04}", "2023-10-01 2024-01-01 2024-04-01"),
        ("{by: year, from: 2023-06-30, to: 2024}", "2023-01-01 2024-01-01"),
        ("{by: day, from: 2024-02-28, to: 2024-03-01}",
         "2024-02-28 2024-02-29 2024-03-01"),
        # The whole of February, which ends within a week.
        ("{by: week, from: 2024-02, to: 2024-02}",
         "2024-01-29 2024-02-05 2024-02-12 2024-02-19 2024-02-26"),
        ("{by: week, from: 0001, to: 0001-01-07}", "0001-01-01"),
        ("{by: week, from: 9999-12-31, to: 9999}", "9999-12-27"),
        ("{by: day, from: 9999-12-31, to: 9999}", "9999-12-31"),
        ("{by: week, values: [2024-01-08, 2024-01-01]}", "2024-01-08 2024-01-01"),
        ("{by: month, values: [2024-02, 2023-12-01]}", "2024-02-01 2023-12-01"),
        ("{by: quarter, values: [2024-04]}", "2024-04-01"),
        ("{by: year, values: [2024, 0001]}", "2024-01-01 0001-01-01"),
    ],
)  # fmt: skip
def test_which_periods_are_public(said: str, values: str | list[str]) -> None:
    found = group(said)
    assert found.values == tuple(values.split() if isinstance(values, str) else values)
    assert found.period is not None
    assert found.key != found.column


def test_bounds_totals_and_protection_are_those_of_its_values() -> None:
    text = with_groups("{by: month, from: 2024-01, to: 2024-05}") + "totals: [[], [edu]]\n"
    text = text.replace("groups: 2", "groups: 70").replace("columns: {", "columns: {edu: encrypt, ")
    spec = parse_groups(text)
    assert spec.bounds == Bounds(groups=10, rows=4), "five months of two sexes"
    assert not spec.selected
    assert spec.totals == ((), ("edu",))
    assert (spec.protections["edu"], spec.columns) == (
        '"encrypt"', ("person", "edu", "sex", "wage", "firm")
    )  # fmt: skip
    selected = with_groups("{by: month, values: select}")
    assert parse_groups(selected).selected
    with pytest.raises(SpecError, match="groups by `select` need a delta"):
        parse_groups(selected.replace(", delta: 1e-8", ""))
    with pytest.raises(SpecError, match="groups of edu by `select` are not all shown"):
        parse_groups(selected + "totals: [sex]\n")


def test_the_canonical_text_is_a_spec_of_the_same_hash() -> None:
    hashes = set()
    for said in (
        "{by: month, from: 2024-01, to: 2024-06}",
        "{by: month, from: 2024-01, to: 2024-07}",
        "{by: day, from: 2024-01-01, to: 2024-06-01}",
        "{by: week, values: [2024-01-01, 2024-01-08]}",
        "{by: week, values: select}",
        "{by: year, values: select}",
    ):
        for text in (TEXT, SELECTED.replace("edu: select", "edu: [a, b, c]")):
            spec = parse_groups(with_groups(said, text))
            again = parse_groups(spec.canonical_text)
            assert [(e.column, e.values, e.period) for e in again.groups] == sorted(
                (e.column, e.values, e.period) for e in spec.groups
            )
            assert again.canonical_text == spec.canonical_text
            assert again.hash == spec.hash
        hashes.add(spec.hash)
        exact = parse_features(test_exact.TEXT.replace("edu: select", f"edu: {said}"))
        assert isinstance(exact, ExactSpec)
        assert parse_features(exact.canonical_text).hash == exact.hash
    assert len(hashes) == 6
    spelt = (
        "{by: month, from: 2024-01-31, to: 2024-06-30}",
        "{to: 2024-06, from: 2024, by: month}",
    )
    assert {parse_groups(with_groups(each)).hash for each in spelt} <= hashes


def test_specs_without_periods_have_the_hashes_that_they_had() -> None:
    """Runs and charges are known by them."""
    found = [parse_features(each).hash[:16] for each in (TEXT, SELECTED, test_exact.TEXT)]
    assert found == ["66c83b092e92dc0a", "9de2ffc0c27a10ae", "c98e21bd8a9f1492"]


def test_too_many_periods_are_counted_and_not_listed() -> None:
    tracemalloc.start()
    with pytest.raises(SpecError) as caught:
        parse_groups(with_groups("{by: day, from: 0001, to: 9999}"), name="f.yaml")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "f.yaml:5 groups: the public values make 7,304,118 groups" in str(caught.value)
    assert "longer periods" in str(caught.value)
    assert most < 20 << 20
    with pytest.raises(SpecError, match="make 1,000,002 groups"):
        parse_groups(with_groups("{by: day, from: 0001-01-01, to: 1369-12-15}"))
    assert len(group("{by: day, from: 0001-01-01, to: 1369-12-14}").values or ()) == 500_000


@pytest.mark.parametrize(
    ("said", "where", "words"),
    [
        ("{by: mont, from: 2024, to: 2024}", ".by", 'unknown period "mont"; nearest: "month"'),
        ("{by: [day], from: 2024, to: 2024}", ".by", "allowed: day, week, month, quarter, year"),
        ("{from: 2024, to: 2024}", ".by", "no key by: day, week, month, quarter or year"),
        ("{}", ".by", "no key by"),
        ("{by: month}", "", "which periods there are is not said"),
        ("{by: month, from: 2024}", ".to", "no key to: a year, a month or a day"),
        ("{by: month, to: 2024}", ".from", "no key from"),
        ("{by: month, from: 2024-02, to: 2024-01}", ".to", 'ends with "2024-01", before it'),
        ("{by: month, from: 2024-13, to: 2025}", ".from", 'found the text "2024-13"; wanted a'),
        ("{by: month, from: 2024-02-30, to: 2025}", ".from", "days of the calendar, from 0001"),
        ("{by: month, from: 0000, to: 2025}", ".from", 'found the number "0000"'),
        ("{by: month, from: 2024, to: 10000}", ".to", 'found the number "10000"'),
        ("{by: month, from: 2024-1, to: 2025}", ".from", "2024, 2024-01 or 2024-01-31"),
        ("{by: day, from: 2024-01-01 08:00:00, to: 2025}", ".from", "found the date"),
        ("{by: month, from: [2024], to: 2025}", ".from", "found a list"),
        ("{by: month, since: 2024, to: 2025}", ".since", "allowed: by, from, to, values"),
        ("{by: month, values: [2024-01], to: 2025}", ".values", "leave one of the two out"),
        ("{by: month, values: []}", ".values", "found a list; wanted months"),
        ("{by: month, values: all}", ".values", "which exist would tell of data"),
        ("{by: month, values: [2024-01, 2024-01-01]}", ".values", '"2024-01-01" is given twice'),
        ("{by: month, values: [x]}", ".values", 'found the text "x"'),
        ("{by: week, values: [2024-01-03]}", ".values", "that it lies in begins with 2024-01-01"),
        ("{by: quarter, values: [2024-02]}", ".values", 'no quarter begins with "2024-02"'),
        ("{by: month, values: [2024]}", ".values", '"2024" is longer than a month; the first'),
        ("{by: week, values: [2024-01]}", ".values", "or from and to, for all of them"),
    ],
)  # fmt: skip
def test_a_fault_has_its_line(said: str, where: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_groups(with_groups(said), name="f.yaml")
    told = str(caught.value).replace("\nhint: ", "; ")
    assert f"f.yaml:5 groups.edu{where}" in told
    assert words in told
    assert caught.value.code == "PP-POL-02"


def test_values_of_a_column_may_differ_within_its_periods() -> None:
    text = test_exact.TEXT.replace("edu: select", "job: {by: year, values: select}")
    spec = parse_features(text)
    assert isinstance(spec, ExactSpec)
    assert spec.diversity == (("job", 3),)
