"""Avro values with their schemas before them: each type, both ways of reading, and hostile ones."""

from __future__ import annotations

import base64
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from privpipe.errors import EncodingError, SchemaError
from privpipe.kernels import read_avro
from privpipe.kernels._avro_columns import is_flat
from privpipe.kernels._avro_schema import parse_schema
from privpipe.kernels._avro_values import Budget, reader
from tests.kernels.avro import ENUM, FIXED, array, logical, mapped, record, write
from tests.kernels.foreign import buffers

UTC = pa.timestamp("ms", "UTC")

# Schema, values as they are written, Arrow type, values as pa.array takes them.
TYPES: dict[str, tuple[Any, list[Any], pa.DataType, list[Any]]] = {
    "null": ("null", [None, None], pa.null(), [None, None]),
    "boolean": ("boolean", [True, False], pa.bool_(), [True, False]),
    "int": ("int", [0, -1, 2**31 - 1, -(2**31), 64], pa.int32(), []),
    "long": ("long", [0, -1, 2**63 - 1, -(2**63), 63, 64, -64, -65], pa.int64(), []),
    "float": ("float", [0.5, -0.0, math.inf, 1.5e-40], pa.float32(), []),
    "double": ("double", [0.1, -math.inf, 5e-324], pa.float64(), []),
    "string": ("string", ["", "Ada", "ü" * 100], pa.string(), []),
    "bytes": ("bytes", [b"", b"\xff\x00", bytes(200)], pa.binary(), []),
    "enum": (ENUM, ["green", "red"], pa.string(), []),
    "fixed": (FIXED, [b"abc", b"\0\0\0"], pa.binary(), []),
    "nullable": (["null", "string"], [(1, "a"), (0, None)], pa.string(), ["a", None]),
    "null last": (["long", "null"], [(0, 5), (1, None)], pa.int64(), [5, None]),
    "all null": (["null", "double"], [(0, None)] * 3, pa.float64(), [None] * 3),
    "union of one": (["long"], [(0, 5), (0, 6)], pa.int64(), [5, 6]),
    "date": (logical("int", "date"), [0, -1, 20_000], pa.date32(), []),
    "time": (logical("int", "time-millis"), [0, 86_399_999], pa.time32("ms"), []),
    "time, us": (logical("long", "time-micros"), [86_399_999_999], pa.time64("us"), []),
    "timestamp": (logical("long", "timestamp-millis"), [-1, 10**12], UTC, []),
    "timestamp, us": (
        logical("long", "timestamp-micros"), [10**15], pa.timestamp("us", "UTC"), [],
    ),
    "local": (logical("long", "local-timestamp-millis"), [7], pa.timestamp("ms"), []),
    "decimal": (
        logical("bytes", "decimal", precision=9, scale=2),
        [b"\x04\xd2", b"\xff", b"\x00", b""],
        pa.decimal128(9, 2),
        [Decimal("12.34"), Decimal("-0.01"), Decimal(0), Decimal(0)],
    ),
    "an unknown logical type": (logical("string", "uuid"), ["x"], pa.string(), []),
    "a decimal of no precision": (logical("bytes", "decimal"), [b"x"], pa.binary(), []),
    "array": (array("long"), [[1, 2], [], [3]], pa.list_(pa.int64()), []),
    "empty arrays": (array("null"), [[], [None, None]], pa.list_(pa.null()), []),
    "array of nullable": (
        array(["null", "string"]), [[(1, "a"), (0, None)]], pa.list_(pa.string()), [["a", None]],
    ),
    "array of dates": (array(logical("int", "date")), [[1]], pa.list_(pa.date32()), [[1]]),
    "map": (
        mapped("int"), [{"a": 1, "b": 2}, {}],
        pa.map_(pa.string(), pa.int32()), [[("a", 1), ("b", 2)], []],
    ),
    "record": (
        record(a="int", b=["null", "string"], c=record("r_c", d="boolean")),
        [{"a": 1, "b": (1, "x"), "c": {"d": True}}, {"a": 2, "b": (0, None), "c": {"d": False}}],
        pa.struct({"a": pa.int32(), "b": pa.string(), "c": pa.struct({"d": pa.bool_()})}),
        [{"a": 1, "b": "x", "c": {"d": True}}, {"a": 2, "b": None, "c": {"d": False}}],
    ),
    "record of nothing": (record(), [{}, {}], pa.struct([]), []),
    "nullable record": (
        ["null", record(a="long")], [(0, None), (1, {"a": 1})],
        pa.struct({"a": pa.int64()}), [None, {"a": 1}],
    ),
    "nested": (
        record(tags=array(record("r_i", k="string", v=mapped("double")))),
        [{"tags": [{"k": "x", "v": {"y": 1.5}}]}, {"tags": []}],
        pa.struct({"tags": pa.list_(pa.struct(
            {"k": pa.string(), "v": pa.map_(pa.string(), pa.float64())}
        ))}),
        [{"tags": [{"k": "x", "v": [("y", 1.5)]}]}, {"tags": []}],
    ),
}  # fmt: skip

LOOPED = {
    "array", "array of dates", "array of nullable", "decimal", "empty arrays", "map", "nested",
    "record of nothing", "union of one",
}  # fmt: skip


@pytest.mark.parametrize("name", TYPES)
def test_each_type(name: str) -> None:
    schema, values, kind, given_values = TYPES[name]
    raw: list[bytes | None] = [write(schema, value) for value in values]
    want = pa.array(given_values or values, kind)
    null = pa.nulls(1, kind)
    for column, expected in (
        (pa.array(raw), want),
        (pa.array([None, *raw, None]), pa.concat_arrays([null, want, null])),
        (pa.array([b"?", *raw], pa.large_binary()).slice(1), want),
        (pa.chunked_array([raw[:1], raw[1:]], pa.binary()), want),
        (pa.array(raw).dictionary_encode(), want),
        (pa.array(raw, pa.binary_view()), want),
    ):  # fmt: skip
        found = read_avro(column)
        found.validate(full=True)
        assert found.type == kind
        assert found.equals(expected)
        assert read_avro(column, kind).equals(expected)


@pytest.mark.parametrize("name", TYPES)
def test_flat_schemas_are_read_alike_value_by_value(name: str) -> None:
    schema, values, kind, _ = TYPES[name]
    node = parse_schema(json.dumps(schema).encode())
    read = reader(node, Budget(), as_json=False)
    raw = [write(schema, value) for value in values]
    sizes = [4 + int.from_bytes(each[:4], "big") for each in raw]
    found = [read(each[size:], 0)[0] for each, size in zip(raw, sizes, strict=True)]
    assert pa.array(found, kind).equals(read_avro(pa.array(raw)))
    assert is_flat(node) == (name not in LOOPED)


@pytest.mark.parametrize("name", TYPES)
def test_no_cut_opens_and_nothing_may_follow(name: str) -> None:
    schema, values, _, _ = TYPES[name]
    for value in values:
        raw = write(schema, value)
        for column in ([raw + b"\0"], [write(schema, values[0]), raw + b"\0"]):
            with pytest.raises(EncodingError):
                read_avro(pa.array(column))
        for cut in range(1, min(len(raw), 300)):
            for as_json in (False, True):
                with pytest.raises(EncodingError):
                    read_avro(pa.array([raw[:-cut]]), as_json=as_json)


def test_input_stays_as_it_was() -> None:
    column = pa.array([write("string", "Ada"), None, write(array("long"), [1])])
    before = buffers(column)
    read_avro(column, as_json=True)
    assert buffers(column) == before


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_nothing_and_nulls(values: list[None]) -> None:
    column = pa.array(values, pa.binary())
    assert read_avro(column).type == pa.null()
    assert read_avro(column, pa.int64()).type == pa.int64()
    assert read_avro(column, as_json=True).type == pa.string()
    assert read_avro(column).to_pylist() == values
    with pytest.raises(SchemaError):
        read_avro(pa.array([1]))


def test_json_text() -> None:
    schema = record(
        a=array(["null", "long", "string"]), b="bytes", c=mapped("float"), d=logical("int", "date"),
        e=ENUM, f=FIXED,
    )  # fmt: skip
    value = {
        "a": [(0, None), (1, 5), (2, "ü")], "b": b"\xff", "c": {"x": 0.1}, "d": 7, "e": "red",
        "f": b"abc",
    }  # fmt: skip
    column = pa.array([write(schema, value), None, write("null", None), write("double", math.nan)])
    found = read_avro(column, as_json=True).to_pylist()
    assert found[1:] == [None, "null", '"NaN"']
    assert json.loads(found[0]) == {
        "a": [None, 5, "ü"], "b": base64.b64encode(b"\xff").decode(), "c": {"x": 0.1}, "d": 7,
        "e": "red", "f": base64.b64encode(b"abc").decode(),
    }  # fmt: skip
    infinite = [write("float", math.inf), write("double", -math.inf)]
    assert read_avro(pa.array(infinite), as_json=True).to_pylist() == ['"Infinity"', '"-Infinity"']


def test_schemas_that_differ_in_names_or_nulls_are_one_type() -> None:
    column = pa.array([
        write(record("one", a=array("null"), b="null"), {"a": [], "b": None}),
        None,
        write(record("two", a=array("long"), b="string"), {"a": [1], "b": "x"}),
        write("null", None),
        write(["null", record("three", a=array(["null", "long"]), b="string")],
              (1, {"a": [(0, None)], "b": ""})),
    ])  # fmt: skip
    found = read_avro(column)
    found.validate(full=True)
    assert found.type == pa.struct({"a": pa.list_(pa.int64()), "b": pa.string()})
    assert found.to_pylist() == [
        {"a": [], "b": None}, None, {"a": [1], "b": "x"}, None, {"a": [None], "b": ""},
    ]  # fmt: skip
    maps = [write(mapped("null"), {"k": None}), write(mapped("long"), {"k": 1})]
    assert read_avro(pa.array(maps)).type == pa.map_(pa.string(), pa.int64())


def test_several_types_need_a_kind_or_json() -> None:
    column = pa.array([write("long", 2**40), write("string", "x"), write("int", 3)])
    with pytest.raises(EncodingError, match="Avro's int, long, string"):
        read_avro(column)
    assert read_avro(column, as_json=True).to_pylist() == [str(2**40), '"x"', "3"]
    numbers = column.take(pa.array([0, 2]))
    with pytest.raises(EncodingError, match="several types"):
        read_avro(numbers)
    assert read_avro(numbers, pa.int64()).to_pylist() == [2**40, 3]
    for kind in (pa.int32(), pa.string(), pa.float64()):
        with pytest.raises(EncodingError, match=f"column of type {kind}"):
            read_avro(numbers, kind)
    either = pa.array([write(array(["long", "string"]), [(0, 1), (1, "a")])])
    with pytest.raises(EncodingError, match="union of several types"):
        read_avro(either)
    assert read_avro(either, as_json=True).to_pylist() == ['[1,"a"]']


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ("string", "a", pa.large_string()),
        ("float", 0.5, pa.float64()),
        (array("int"), [1], pa.list_(pa.int64())),
        (record(a="int"), {"a": 1}, pa.struct({"a": pa.int64()})),
        ("null", None, pa.list_(pa.int8())),
        (logical("bytes", "decimal", precision=4, scale=2), b"\x01", pa.decimal128(9, 2)),
    ],
)
def test_a_wider_kind_takes_them(schema: Any, value: Any, kind: pa.DataType) -> None:
    column = pa.array([write(schema, value)])
    found = read_avro(column, kind)
    found.validate(full=True)
    assert found.type == kind
    assert found.to_pylist() == read_avro(column).to_pylist()


def test_a_long_column() -> None:
    count = 5000
    texts = [f"value {at}" if at % 7 else None for at in range(count)]
    raw = [write(["null", "string"], (0, None) if text is None else (1, text)) for text in texts]
    assert read_avro(pa.array(raw)).to_pylist() == texts
    numbers = np.arange(count) ** 3 - 10**9
    column = pa.array([write("long", int(each)) for each in numbers])
    assert read_avro(column).equals(pa.array(numbers))
