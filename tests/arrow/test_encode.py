from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.arrow import decode, encode
from privpipe.errors import EncodingError, SchemaError
from tests.arrow import _twins as twins


def check(column: pa.Array | pa.ChunkedArray, plain: list[Any]) -> None:
    """The bytes are the twin's, and come back as the type that went in."""
    kind = column.type
    coded = encode(column)
    coded.validate(full=True)
    assert coded.type in (pa.binary(), pa.large_binary())
    assert coded.to_pylist() == [twins.canonical(value, kind) for value in plain]
    back = decode(coded, kind)
    back.validate(full=True)
    assert back.type == kind
    assert encode(back).equals(coded)
    other = coded.cast(pa.large_binary()).dictionary_encode()
    assert encode(decode(other, kind)).equals(coded)


@pytest.mark.parametrize("kind", list(twins.SCALARS), ids=str)
@given(data=st.data())
@settings(max_examples=40)
def test_scalars_round_trip(kind: pa.DataType, data: st.DataObject) -> None:
    column, plain, _ = data.draw(twins.columns(st.just(kind)))
    check(column, plain)


@given(case=twins.columns())
@settings(max_examples=300)
def test_any_type_round_trips(case: tuple[pa.Array | pa.ChunkedArray, list[Any], bool]) -> None:
    check(*case[:2])


@pytest.mark.parametrize(
    ("kind", "bits"), [(pa.float32(), np.uint32), (pa.float64(), np.uint64)], ids=str
)
@given(data=st.data())
def test_floats_keep_every_bit(kind: pa.DataType, bits: Any, data: st.DataObject) -> None:
    width = np.dtype(bits).itemsize
    raw = data.draw(st.lists(st.integers(0, 2 ** (8 * width) - 1), max_size=9))
    column = pa.Array.from_buffers(kind, len(raw), [None, pa.py_buffer(np.array(raw, bits))])
    coded = encode(column)
    assert coded.to_pylist() == [number.to_bytes(width, "big") for number in raw]
    back = np.frombuffer(decode(coded, kind).buffers()[1], bits)
    assert back.tolist() == raw


@given(data=st.data())
def test_equal_numbers_have_equal_bytes_whatever_their_width(data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.none() | st.integers(-128, 127)))
    coded = [encode(pa.array(numbers, pa.int64()))]
    coded += [encode(pa.array(numbers, kind)) for kind in (pa.int8(), pa.int16(), pa.int32())]
    assert all(one.equals(coded[0]) for one in coded)


def test_the_bytes_are_those_of_the_format() -> None:
    people = pa.struct(
        [("name", pa.string()), ("visits", pa.list_(pa.int16())), ("seen", pa.bool_())]
    )
    row = {"name": "Zoë", "visits": [1, None], "seen": None}
    assert encode(pa.array([row], people)).to_pylist() == [
        bytes.fromhex("00000004 00000014 ffffffff")
        + b"Zo\xc3\xab"
        + bytes.fromhex("00000002 00000008 ffffffff 0000000000000001")
    ]
    pairs = pa.map_(pa.string(), pa.binary())
    assert encode(pa.array([[("k", b"\xff"), ("", None)]], pairs)).to_pylist() == [
        bytes.fromhex("00000002 00000001 00000001 00000000 ffffffff") + b"k\xff"
    ]


def test_a_null_in_a_field_that_allows_none_stays_within_its_parent() -> None:
    kind = pa.struct([pa.field("n", pa.int32(), nullable=False), pa.field("s", pa.string(), False)])
    back = decode(encode(pa.array([None, {"n": 1, "s": "x"}], kind)), kind)
    assert back.to_pylist() == [None, {"n": 1, "s": "x"}]
    assert [back.field(0).null_count, back.field(1).null_count] == [0, 0]


def test_a_dictionary_beneath_a_null_may_have_no_words() -> None:
    kind = pa.struct([("w", pa.dictionary(pa.int32(), pa.string()))])
    check(pa.array([None, None], kind), [None, None])


def test_nothing_lies_beneath_the_nulls_of_what_is_written() -> None:
    kind = pa.struct([pa.field("s", pa.string())])
    column = twins.laid([None, {"s": "x"}, {"s": None}], kind)
    assert b"junk" in bytes(column.field(0).buffers()[2])
    assert b"junk" not in bytes(encode(column).buffers()[2])


REFUSED = [
    pa.null(),
    pa.uint8(),
    pa.float16(),
    pa.date64(),
    pa.timestamp("ns"),
    pa.duration("s"),
    pa.time64("us"),
    pa.time32("s"),
    pa.decimal256(50, 2),
    pa.month_day_nano_interval(),
    pa.list_(pa.int32(), 2),
    pa.struct([("x", pa.list_(pa.uint16()))]),
]


@pytest.mark.parametrize("kind", REFUSED, ids=str)
def test_types_without_canonical_bytes_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(SchemaError, match="no canonical bytes"):
        encode(pa.array([], kind))
    with pytest.raises(SchemaError, match="no canonical bytes"):
        decode(pa.array([None], pa.binary()), kind)


S = pa.struct([pa.field("a", pa.string()), pa.field("b", pa.int32(), nullable=False)])
L = pa.list_(pa.string())
M = pa.map_(pa.string(), pa.int32())
U = "00000000"
N = "ffffffff"
WRONG = [
    (pa.binary(3), "0001"),
    (pa.bool_(), ""),
    (pa.bool_(), "02"),
    (pa.bool_(), "0100"),
    (pa.int8(), "0000000000000080"),
    (pa.int32(), "ffffffff7fffffff"),
    (pa.int64(), "00000001"),
    (pa.date32(), "0000000080000000"),
    (pa.float32(), "0000000000000000"),
    (pa.float64(), "00000000"),
    (pa.time64("ns"), f"{86_400 * 10**9:016x}"),
    (pa.time64("ns"), "ff" * 8),
    (pa.decimal128(3, 1), f"{1000:032x}"),
    (pa.decimal128(3, 1), f"{999:016x}"),
    (pa.struct([]), "00"),
    (S, ""),
    (S, U),
    (S, U + N),  # a null in a field that allows none
    (S, U + "00000008" + "00" * 7),
    (S, U + "00000008" + "00" * 9),
    (S, U + "00000007" + "00" * 7),
    (L, ""),
    (L, "000000"),
    (L, "00000001"),
    (L, "00000000" + "00"),
    (L, "ffffffff" + N),
    (L, "00000001" + N + "00"),
    (L, "00000001" + "fffffffe" + "61"),
    (L, "00000002" + "00000001" + "00000001" + "61"),
    (pa.list_(pa.field("element", pa.string(), nullable=False)), "00000001" + N),
    (M, "00000001" + N + N),  # a null key
    (M, "00000001" + U),
    (M, "00000001" + "00000001" + N),
    (M, "00000001" + U + N + "00"),
    (M, "00000001" + U + "00000008" + "0000000100000000"),
    (pa.list_(L), "00000001" + "00000005" + "0000000000"),
]


@pytest.mark.parametrize(("kind", "coded"), WRONG, ids=str)
def test_bytes_that_are_no_value_of_the_type_are_refused(kind: pa.DataType, coded: str) -> None:
    secret = b"Zanzibar"
    bad = bytes.fromhex(coded)
    good = twins.canonical(None, kind)
    for rows in ([bad], [good, bad], [bad, good]):
        with pytest.raises(EncodingError) as caught:
            decode(pa.array(rows, pa.binary()), kind)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    if kind != pa.binary(3):
        with pytest.raises(EncodingError) as caught:
            decode(pa.array([bad + secret + b"\xff"], pa.binary()), kind)
        assert "Zanzibar" not in str(caught.value)
        assert secret.hex() not in str(caught.value)


@given(kind=twins.TYPES, rows=st.lists(st.none() | st.binary(max_size=40), max_size=4))
def test_what_is_read_from_any_bytes_has_exactly_those_bytes(
    kind: pa.DataType, rows: list[bytes | None]
) -> None:
    accepted_is_canonical(kind, rows)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_text_that_is_not_utf8_comes_back_as_it_was(kind: pa.DataType) -> None:
    """As Spark holds it: half a character, a lone surrogate, an overlong form."""
    rows = [b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", None, b"ok"]
    column = decode(pa.array(rows, pa.binary()), kind)
    assert column.type == kind
    assert encode(column).to_pylist() == rows
    inside = pa.struct([pa.field("a", kind), pa.field("b", pa.int32())])
    whole = [struct.pack(">II", len(row), 8) + row + bytes(8) for row in rows if row is not None]
    assert encode(decode(pa.array(whole, pa.binary()), inside)).to_pylist() == whole


@given(data=st.data())
@settings(max_examples=300)
def test_damaged_values_are_refused_or_are_other_values(data: st.DataObject) -> None:
    kind = data.draw(twins.TYPES)
    plain = data.draw(st.lists(twins.values(kind), min_size=1, max_size=4))
    rows = [twins.canonical(value, kind) or b"" for value in plain]
    which = data.draw(st.integers(0, len(rows) - 1))
    row = bytearray(rows[which])
    start = data.draw(st.integers(0, len(row)))
    stop = data.draw(st.integers(start, min(len(row), start + 4)))
    row[start:stop] = data.draw(st.binary(max_size=4))
    rows[which] = bytes(row)
    accepted_is_canonical(kind, list(rows))


def accepted_is_canonical(kind: pa.DataType, rows: list[bytes | None]) -> None:
    try:
        column = decode(pa.array(rows, pa.binary()), kind)
    except EncodingError:
        return
    column.validate()  # not in full, for text may be any bytes
    assert encode(column).to_pylist() == rows
