"""Hierarchies and lists: what is read of a file, and what becomes of a column."""

from __future__ import annotations

import copy
import csv
import doctest
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import InvalidValue, SchemaError, UsageError
from privpipe.kernels import Hierarchy, _listings, parse_entries, parse_hierarchy

ROWS = {"Bonn": "West", "Köln": "West", "Jena": "East", "": "none"}
TOWNS = "Bonn,NRW,West\nJena,Thuringia,East\n"


@given(data=st.data(), rows=st.dictionaries(st.text(max_size=8), st.text(max_size=8), min_size=1))
def test_a_column_by_its_mapping(data: st.DataObject, rows: dict[str, str]) -> None:
    values = data.draw(st.lists(st.none() | st.sampled_from([*rows]), max_size=20))
    column = pa.array(values, pa.string())
    made = Hierarchy(rows).generalize(column)
    made.validate(full=True)
    assert made.type == pa.string()
    assert made.to_pylist() == [None if value is None else rows[value] for value in values]


@pytest.mark.parametrize(
    "kind",
    [
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.int32(), pa.large_string()),
    ],
    ids=str,
)
def test_what_is_missing_is_counted_by_rows(kind: pa.DataType) -> None:
    kernel = Hierarchy(ROWS)
    values = ["Bonn", None, "Ulm", "Jena", "Ulm", "bonn"]
    for column in (pa.array(values, kind), pa.chunked_array([pa.array(values, kind)])):
        with pytest.raises(InvalidValue, match=r"list: 3\n") as caught:
            kernel.generalize(column)
        assert "Ulm" not in str(caught.value)
        assert kernel.generalize(column.slice(0, 2)).to_pylist() == ["West", None]


def test_a_value_is_looked_up_as_it_is() -> None:
    kernel = Hierarchy(ROWS)
    for near in ("bonn", "Bonn ", "Bonn\0", "Bon", "Ko\u0308ln"):
        with pytest.raises(InvalidValue):
            kernel.generalize(pa.array([near]))


def test_strings_that_are_not_utf8_are_not_listed() -> None:
    column = pa.array([b"Bonn", b"\xff\xfe"]).view(pa.string())
    with pytest.raises(InvalidValue, match=r"list: 1\n"):
        Hierarchy(ROWS).generalize(column)


def test_columns_and_mappings_that_will_not_do() -> None:
    for column in (pa.array([1]), pa.array([b"Bonn"])):
        with pytest.raises(SchemaError):
            Hierarchy(ROWS).generalize(column)
    for rows in ({}, {"a": "\ud800"}, {"\ud800": "a"}):
        with pytest.raises(UsageError):
            Hierarchy(rows)


def test_it_holds_no_key_and_may_travel() -> None:
    kernel = copy.deepcopy(Hierarchy(ROWS))
    assert repr(kernel) == "Hierarchy(4 rows)"
    assert kernel.generalize(pa.array(["Jena"])).to_pylist() == ["East"]


def test_the_examples_run() -> None:
    assert doctest.testmod(_listings) == (0, 2)


def test_each_level() -> None:
    assert parse_hierarchy(TOWNS, 1) == {"Bonn": "NRW", "Jena": "Thuringia"}
    assert parse_hierarchy(TOWNS, 2) == {"Bonn": "West", "Jena": "East"}
    # Whatever the ends of lines are, and with an editor's mark before them.
    for ends in ("\r\n", "\r", "\n\n", "\n\r\n"):
        assert parse_hierarchy("\ufeff" + TOWNS.replace("\n", ends), 2) == parse_hierarchy(TOWNS, 2)
    assert parse_hierarchy("Bonn,NRW,West\nJena,Thuringia", 1)["Jena"] == "Thuringia"


def test_quotes_and_blanks_belong_to_their_cells() -> None:
    text = '"Bonn, am Rhein","a ""b""\nc"\n Jena ,East'
    assert parse_hierarchy(text, 1) == {"Bonn, am Rhein": 'a "b"\nc', " Jena ": "East"}


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)


@given(st.dictionaries(CELLS.filter(str.strip), CELLS.filter(str.strip), min_size=1, max_size=8))
def test_what_a_writer_of_csv_wrote_is_read(rows: dict[str, str]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(rows.items())
    assert parse_hierarchy(out.getvalue(), 1) == rows


@pytest.mark.parametrize(
    ("text", "level", "where", "words"),
    [
        ("", 1, "line 1", "no lines"),
        ("\n\n", 1, "line 1", "no lines"),
        ("\ufeff", 1, "line 1", "no lines"),
        ("secret,b\nsecret2\n", 1, "line 2", "0 levels, where level 1"),
        ("secret,b,c\nd,e", 2, "line 2", "1 level, where level 2"),
        ("a,b\nsecret,d\n\nsecret,d", 1, "line 4", "listed before, on line 2"),
        ("a,b\n,secret", 1, "line 2", "empty cell"),
        ("a,b\nsecret, ", 1, "line 2", "empty cell"),
        ("a,b,\n", 1, "line 1", "empty cell"),
        ('a,"x\ny"\nsecret,', 1, "line 3", "empty cell"),
        ('a,b\nc,"secret', 1, "line 2", "no CSV"),
        ('a,b\nc,"secret"x\n', 1, "line 2", "no CSV"),
    ],
)
def test_faults_have_their_line(text: str, level: int, where: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_hierarchy(text, level)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)


def test_levels_are_counted_from_one() -> None:
    for level in (0, -1):
        with pytest.raises(UsageError, match="from 1"):
            parse_hierarchy(TOWNS, level)


def test_a_list_of_entries() -> None:
    text = "\ufeffAlpha\r\n\n \t\n  Beta, or so \rGamma\u2028still\n\n"
    assert parse_entries(text) == ("Alpha", "Beta, or so", "Gamma\u2028still")


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "line 1", "no entries"),
        (" \n\n", "line 1", "no entries"),
        ("secret\n\nBeta\n secret \n", "line 4", "listed before, on line 1"),
    ],
)
def test_faults_of_a_list(text: str, where: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_entries(text)
    assert caught.value.where == where
    assert "secret" not in str(caught.value)
