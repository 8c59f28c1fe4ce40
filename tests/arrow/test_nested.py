from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.arrow import Path, Step, encode, leaf, leaf_rows, map_leaf
from privpipe.errors import EncodingError, InternalError, SchemaError
from tests.arrow import _twins as twins


def flattened(value: Any, path: Path, junk: bool) -> list[Any]:
    """The leaves of one value. Beneath a null list lies one item where there is junk, else none."""
    if not path:
        return [value]
    step, rest = path[0], path[1:]
    if isinstance(step, Step):
        items = ([None] if junk else []) if value is None else value
        inner = [item[1] if step is Step.VALUES and item else item for item in items]
    else:
        inner = [None if value is None else value[step]]
    return [x for item in inner for x in flattened(item, rest, junk)]


@given(case=twins.columns(), data=st.data())
@settings(max_examples=200)
def test_leaf_is_what_lies_there(
    case: tuple[pa.Array | pa.ChunkedArray, list[Any], bool], data: st.DataObject
) -> None:
    column, plain, junk = case
    path = data.draw(st.sampled_from(twins.paths(column.type)))
    found = leaf(column, path)
    found.validate(full=True)
    kind = twins.at(column.type, path)
    assert found.type == kind
    wanted = [twins.canonical(x, kind) for row in plain for x in flattened(row, path, junk)]
    got = encode(found).to_pylist()
    if junk and sum(isinstance(step, str) for step in path) != len(path):
        # how much junk lies beneath a null list is up to the layout
        wanted, got = ([x for x in rows if x is not None] for rows in (wanted, got))
    assert got == wanted


@given(case=twins.columns(), data=st.data())
@settings(max_examples=300)
def test_map_leaf_changes_the_leaf_alone(
    case: tuple[pa.Array | pa.ChunkedArray, list[Any], bool], data: st.DataObject
) -> None:
    column, plain, _ = case
    before = encode(column)
    path = data.draw(st.sampled_from(twins.paths(column.type)))
    here = twins.at(column.type, path)
    done = map_leaf(column, path, lambda found: encode(found).cast(pa.binary()))
    done.validate(full=True)
    kind = twins.retyped(column.type, path, pa.binary())
    assert done.type == kind
    rows = [twins.changed(row, path, lambda x: twins.canonical(x, here)) for row in plain]
    assert encode(done).to_pylist() == [twins.canonical(row, kind) for row in rows]
    assert encode(column).equals(before)


@given(case=twins.columns(), data=st.data())
def test_map_leaf_with_the_same_values_is_the_same_column(
    case: tuple[pa.Array | pa.ChunkedArray, list[Any], bool], data: st.DataObject
) -> None:
    column, _, _ = case
    path = data.draw(st.sampled_from(twins.paths(column.type)))
    same = map_leaf(column, path, lambda found: found)
    same.validate(full=True)
    assert same.type == column.type
    assert encode(same).equals(encode(column))


NOTES = pa.struct(
    [
        pa.field("note", pa.string(), nullable=False, metadata={"k": "v"}),
        pa.field("at", pa.date32()),
    ]
)
VISITS = pa.list_(pa.field("element", NOTES, nullable=False))


def test_what_lies_beneath_a_null_never_reaches_the_function() -> None:
    column = twins.laid([[{"note": "one", "at": 1}], None, [{"note": "two", "at": None}]], VISITS)
    seen: list[Any] = []

    def look(found: pa.Array) -> pa.Array:
        seen.extend(found.to_pylist())
        return pc.utf8_upper(found)

    done = map_leaf(column, (Step.ELEMENT, "note"), look)
    done.validate(full=True)
    assert seen == ["one", None, "two"]
    assert [[visit["note"] for visit in row or []] for row in done.to_pylist()] == [
        ["ONE"],
        [],
        ["TWO"],
    ]
    assert done.type == VISITS
    assert done.type.value_type.field("note").metadata == {b"k": b"v"}
    assert done.values.field("note").null_count == 0
    assert b"junk" not in bytes(done.values.field("note").buffers()[2])


def test_a_new_null_needs_a_field_that_allows_it() -> None:
    column = pa.array([[{"note": "one", "at": 1}]], VISITS)
    path = (Step.ELEMENT, "note")
    with pytest.raises(EncodingError, match="a null in a field") as caught:
        map_leaf(column, path, lambda found: pa.nulls(len(found), pa.string()))
    assert caught.value.where == "[].note"
    done = map_leaf(column, path, lambda found: pa.nulls(len(found), pa.string()), nullable=True)
    assert done.to_pylist()[0][0]["note"] is None
    assert done.type.value_type.field("note").nullable


def test_a_function_that_changes_the_length_is_our_bug() -> None:
    with pytest.raises(InternalError, match="number of values"):
        map_leaf(pa.array(["a", "b"]), (), lambda found: found[1:])


def test_a_function_may_return_chunks() -> None:
    column = pa.array([{"x": "a"}, None, {"x": "b"}])
    done = map_leaf(column, ("x",), lambda found: pa.chunked_array([found[:1], found[1:]]))
    assert done.equals(column)


def test_offsets_are_kept_and_rows_are_cut_to_the_slice() -> None:
    column = pa.array([["a"], ["b", "c"], None, [], ["d"]])[1:4]
    done = map_leaf(column, (Step.ELEMENT,), encode)
    assert done.to_pylist() == [[b"b", b"c"], None, []]
    assert len(done.values) == 2


def test_a_map_keeps_its_keys_and_its_names() -> None:
    kind = pa.map_(
        pa.field("k", pa.string(), nullable=False),
        pa.field("v", pa.int32(), nullable=False),
        keys_sorted=True,
    )
    column = pa.array([[("a", 1)], None, [("b", 2), ("c", 3)]], kind)[1:]
    done = map_leaf(column, (Step.VALUES,), encode)
    assert pt.is_map(done.type)
    assert done.type.keys_sorted
    assert [done.type.key_field, done.type.item_field] == [
        kind.key_field,
        pa.field("v", pa.binary(), nullable=False),
    ]
    assert done.to_pylist() == [None, [("b", (2).to_bytes(8)), ("c", (3).to_bytes(8))]]


@pytest.mark.parametrize(
    ("kind", "path", "where"),
    [
        (NOTES, ("nte",), "nte"),
        (NOTES, (Step.ELEMENT,), "[]"),
        (VISITS, ("note",), "note"),
        (VISITS, (Step.ELEMENT, "note", "x"), "[].note.x"),
        (VISITS, (Step.VALUES,), "{}"),
        (pa.map_(pa.string(), pa.string()), (Step.ELEMENT,), "[]"),
        (pa.struct([("x", pa.int32()), ("x", pa.int32())]), ("x",), "x"),
        (pa.string(), ("x",), "x"),
    ],
    ids=str,
)
def test_a_path_that_does_not_fit_is_refused(kind: pa.DataType, path: Path, where: str) -> None:
    column = pa.nulls(2, kind)
    with pytest.raises(SchemaError) as caught:
        leaf(column, path)
    assert caught.value.where == where
    with pytest.raises(SchemaError):
        map_leaf(column, path, lambda found: found)


@pytest.mark.parametrize("words", [["one"], []])
def test_a_dictionary_where_no_null_is_allowed(words: list[str]) -> None:
    child = pa.DictionaryArray.from_arrays(
        pa.array([None], pa.int8()), pa.array(words, pa.string())
    )
    kind = pa.struct([pa.field("w", child.type, nullable=False)])
    column = pa.Array.from_buffers(kind, 1, [pa.py_buffer(b"\0")], children=[child])
    same = map_leaf(column, ("w",), lambda found: found)
    same.validate(full=True)
    assert same.to_pylist() == [None]
    assert same.type == kind


def test_leaf_rows_tell_the_row_of_every_leaf() -> None:
    kind = pa.list_(pa.struct([pa.field("tags", pa.map_(pa.string(), pa.string()))]))
    rows = [
        [{"tags": {"a": "1", "b": "2"}}, {"tags": {"c": "3"}}],
        None,
        [],
        [{"tags": None}, None, {"tags": {"d": None}}],
    ]
    array = pa.array([[{"tags": {"x": "0"}}], *rows], kind).slice(1)
    path = (Step.ELEMENT, "tags", Step.VALUES)
    assert leaf_rows(array, path).tolist() == [0, 0, 0, 3]
    assert len(leaf(array, path)) == 4
    assert leaf_rows(array, ()).tolist() == [0, 1, 2, 3]
