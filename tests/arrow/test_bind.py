from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.arrow import Bound, Path, Step, bound, leaf
from privpipe.errors import InvalidValue, SchemaError, UsageError
from tests.arrow import _twins as twins

Part = bytes | None
Lines = list[tuple[Any, list[Part]]]


def sized(value: bytes | None) -> Part:
    return None if value is None else struct.pack(">I", len(value)) + value


def places(value: Any, kind: pa.DataType, path: Path, parts: list[Part], *, junk: bool) -> Lines:
    """Each leaf below one value, with what its associated data says of where it lies."""
    if not path:
        return [(value, parts)]
    step, rest = path[0], path[1:]
    if step is Step.ELEMENT:
        items = ([None] if junk else []) if value is None else value
        below: list[tuple[Any, Part]] = [
            (item, struct.pack(">I", at)) for at, item in enumerate(items)
        ]
    elif step is Step.VALUES:
        items = ([None] if junk else []) if value is None else value
        below = [
            (item and item[1], sized(item and twins.canonical(item[0], kind.key_type)))
            for item in items
        ]
    else:
        field = kind.field(step)
        inner = None if value is None else value[step]
        return places(inner, field.type, rest, parts, junk=junk)
    child = twins.at(kind, (step,))
    return [
        line for item, own in below for line in places(item, child, rest, [*parts, own], junk=junk)
    ]


def head(context: bytes, *named: tuple[str, str]) -> bytes:
    whole = b"pp1:b:" + struct.pack(">I", len(context)) + context + struct.pack(">I", len(named))
    for name, family in named:
        whole += struct.pack(">I", len(name.encode())) + name.encode()
        whole += struct.pack(">I", len(family)) + family.encode()
    while len(whole) % 16:
        whole += b"\0"
    return whole


FAMILIES = {
    "text": [
        pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()),
    ],
    "bytes": [
        pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3), pa.binary(0),
        pa.dictionary(pa.int8(), pa.large_binary()), pa.dictionary(pa.int32(), pa.binary(3)),
    ],
    "boolean": [pa.bool_()],
    "integer": [
        pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.dictionary(pa.int16(), pa.int32()),
    ],
    "float": [pa.float32()],
    "double": [pa.float64()],
    "decimal.2": [pa.decimal128(9, 2)],
    "decimal.10": [pa.decimal128(38, 10)],
    "date": [pa.date32()],
    "timestamp": [pa.timestamp("us", "Europe/Berlin")],
    "timestamp_ntz": [pa.timestamp("us")],
    "time": [pa.time64("ns")],
    "interval_dt": [pa.duration("us")],
}  # fmt: skip
FAMILY = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
KEYS = st.tuples(st.text(max_size=8), st.sampled_from(list(FAMILY)))


@given(case=twins.columns(), context=st.binary(max_size=70), data=st.data())
@settings(max_examples=400)
def test_the_bytes_are_the_twins(
    case: tuple[pa.Array | pa.ChunkedArray, list[Any], bool], context: bytes, data: st.DataObject
) -> None:
    column, plain, junk = case
    path = data.draw(st.sampled_from(twins.paths(column.type)))
    keys = []
    named = []
    parts: list[list[Part]] = [[] for _ in plain]
    for name, kind in data.draw(st.lists(KEYS, max_size=6)):
        size = len(plain)
        own = data.draw(st.lists(twins.values(kind), min_size=size, max_size=size))
        cut, chunked = data.draw(st.integers(0, size)), data.draw(st.booleans())
        keys.append((name, stored(own, kind, cut, chunked)))
        named.append((name.lower(), FAMILY[kind]))
        for row, value in zip(parts, own, strict=True):
            row.append(sized(twins.canonical(value, kind)))
    found = bound(column, path, context, keys)
    start = head(context, *named)
    assert found.head == start
    whole = found.plain()
    whole.validate(full=True)
    values = leaf(column, path)
    assert len(found) == len(whole) == len(values)
    wanted = [
        line
        for value, row in zip(plain, parts, strict=True)
        for line in places(value, column.type, path, row, junk=junk)
    ]
    got = list(zip(values.is_valid().to_pylist(), whole.to_pylist(), strict=True))
    # What belongs to no value may be anything: how much lies beneath nulls is up to the layout.
    assert [aad for held, aad in got if held] == [
        start + b"".join(part or b"" for part in row) for value, row in wanted if value is not None
    ]


def stored(own: list[Any], kind: pa.DataType, cut: int, chunked: bool) -> Any:
    """A bound column: a slice out of a longer one, or in chunks."""
    if chunked:
        parts = [pa.array(own[:cut], kind), pa.array(own[cut:], kind)]
        return pa.chunked_array(parts, kind)
    around = pa.array([*own[:1], *own, *own[:1]], kind)
    return around.slice(min(len(own), 1), len(own))


def test_the_layout_is_that_of_the_format() -> None:
    visits = pa.list_(pa.map_(pa.string(), pa.list_(pa.string())))
    rows = [[[("a", ["x", None])], [("bc", ["y"])]], None, [[], [("d", ["z"])]]]
    found = bound(
        pa.array(rows, visits),
        (Step.ELEMENT, Step.VALUES, Step.ELEMENT),
        b"clinic/visits",
        [("Id", pa.array([7, 8, -9], pa.int32())), ("née", pa.array(["Zoë", "", "q"]))],
    )
    start = b"pp1:b:" + bytes.fromhex("0000000d") + b"clinic/visits" + bytes.fromhex("00000002")
    start += bytes.fromhex("00000002") + b"id" + bytes.fromhex("00000007") + b"integer"
    start += bytes.fromhex("00000004") + "née".encode() + bytes.fromhex("00000004") + b"text"
    start += bytes(4)
    seven = bytes.fromhex("00000008 0000000000000007 00000004") + "Zoë".encode()
    nine = bytes.fromhex("00000008 fffffffffffffff7 00000001") + b"q"
    assert found.plain().to_pylist() == [
        start + seven + bytes.fromhex("00000000 00000001") + b"a" + bytes.fromhex("00000000"),
        start + seven + bytes.fromhex("00000000 00000001") + b"a" + bytes.fromhex("00000001"),
        start + seven + bytes.fromhex("00000001 00000002") + b"bc" + bytes.fromhex("00000000"),
        start + nine + bytes.fromhex("00000001 00000001") + b"d" + bytes.fromhex("00000000"),
    ]


@pytest.mark.parametrize("size", range(40))
def test_the_head_is_whole_blocks(size: int) -> None:
    found = bound(pa.array(["x"]), (), b"c" * size, [("id", pa.array([1]))])
    assert len(found.head) == -(-(31 + size) // 16) * 16
    start = head(b"c" * size, ("id", "integer"))
    assert found.plain().to_pylist()[0] == start + struct.pack(">IQ", 8, 1)


def test_columns_that_hold_the_same_are_told_apart() -> None:
    column, one = pa.array(["x", "y"]), pa.array([7, 8], pa.int32())
    wide, text = pa.array([7, 8], pa.int64()), pa.array(["a", "a"])

    def made(*keys: tuple[str, pa.Array]) -> list[bytes]:
        found: list[bytes] = bound(column, (), b"c", keys).plain().to_pylist()
        return found

    bound_to = made(("a", one), ("b", one))
    for others in (
        [("b", one), ("a", one)], [("a", one), ("c", one)], [("ab", one), ("", one)], [("a", one)],
        [("a", one), ("a", one)], [("a", one), ("b", wide.cast(pa.timestamp("us")))],
    ):  # fmt: skip
        assert not set(made(*others)) & set(bound_to)
    # Names match without regard to case, and a column may be widened.
    assert made(("A", wide), ("b", one)) == bound_to
    bytes_of = text.cast(pa.binary())
    assert not set(made(("a", text))) & set(made(("a", bytes_of)))
    stamps = wide.cast(pa.timestamp("us"))
    zoned = wide.cast(pa.timestamp("us", "UTC"))
    assert not set(made(("a", stamps))) & set(made(("a", zoned)))


def test_one_long_key_does_not_make_room_for_all() -> None:
    draw = np.random.default_rng(1)
    keys = [draw.bytes(int(size)) for size in draw.integers(0, 300, 999)] + [draw.bytes(1 << 20)]
    other = pa.array(range(1000))
    column = pa.array(["x"] * 1000)
    found = bound(column, (), b"c", [("a", other), ("b", pa.array(keys)), ("c", other)])
    start = head(b"c", ("a", "integer"), ("b", "bytes"), ("c", "integer"))
    assert len(found.rest.data) < 1.5 * sum(len(key) + 28 for key in keys)
    assert found.plain().to_pylist() == [
        start + struct.pack(">IQI", 8, at, len(key)) + key + struct.pack(">IQ", 8, at)
        for at, key in enumerate(keys)
    ]


def test_a_null_key_is_a_fault_only_where_a_value_is() -> None:
    kind = pa.list_(pa.struct([pa.field("s", pa.string())]))
    column = pa.array([[{"s": "a"}], [{"s": None}], None, [], [None], [{"s": "b"}]], kind)
    path = (Step.ELEMENT, "s")
    keys = pa.array(["secret-1", None, None, None, None, "secret-2"])
    found = bound(column, path, b"", [("a", keys), ("b", pa.array(range(6)))])
    assert found.plain().is_valid().to_pylist() == [True, False, False, True]
    assert found.rest.lengths.tolist() == [28, 0, 0, 28]
    two = pa.array([[{"s": "a"}, {"s": "b"}], [{"s": "c"}], [{"s": "d"}]], kind)
    with pytest.raises(InvalidValue, match="bound column: 2") as caught:
        bound(two, path, b"", [("a", pa.array([None, "secret", None]))])
    assert "secret" not in str(caught.value)
    some = pa.array([None, "secret", "x"])
    with pytest.raises(InvalidValue, match="bound column: 1"):
        bound(two, (), b"", [("a", pa.array([1, 2, 3])), ("b", some)])
    beneath = twins.laid([None, {"s": "x"}], pa.struct([pa.field("s", pa.string())]))
    bound(beneath, ("s",), b"", [("a", pa.array([None, 1]))])


def test_what_does_not_fit_is_refused() -> None:
    column = pa.array(["a", "b"])
    with pytest.raises(UsageError, match="3 values of a bound column for 2 rows"):
        bound(column, (), b"", [("a", pa.array([1, 2, 3]))])
    with pytest.raises(SchemaError):
        bound(column, (Step.ELEMENT,), b"", [("a", pa.array([1, 2]))])
    with pytest.raises(SchemaError, match="no canonical bytes"):
        bound(column, (), b"", [("a", pa.array([1, 2], pa.uint8()))])
    with pytest.raises(SchemaError, match="not one of single values"):
        bound(column, (), b"", [("a", pa.array([[1], [2]]))])


@pytest.mark.parametrize("keys", [[], [("a", pa.array([], pa.string()))] * 7])
def test_no_rows(keys: list[tuple[str, pa.Array]]) -> None:
    assert bound(pa.array([], pa.string()), (), b"c", keys).plain().to_pylist() == []


def test_no_bound_column_leaves_the_head_alone() -> None:
    assert bound(pa.array(["a", None]), (), b"c", []).plain().to_pylist() == [head(b"c")] * 2


def test_rows_can_be_taken() -> None:
    keys = pa.array(["one", None, "three", "four" * 30])
    found = bound(pa.array(["a", None, "b", "c"]), (), b"c", [("a", keys)])
    whole = found.plain().to_pylist()
    some = found.take(pa.array([3, 1, 1, 0]))
    assert isinstance(some, Bound)
    assert some.plain().to_pylist() == [whole[3], whole[1], whole[1], whole[0]]


def test_buffers_are_left_alone() -> None:
    keys = pa.array(["one", "two"])
    before = [buffer and buffer.to_pybytes() for buffer in keys.buffers()]
    bound(pa.array(["a", "b"]), (), b"c", [("a", keys), ("b", keys)])
    assert [buffer and buffer.to_pybytes() for buffer in keys.buffers()] == before
