"""What is shown of tags, what stands before a value, and the bound on collisions."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import SchemaError, UsageError
from privpipe.kernels import AesCmac
from privpipe.kernels._pseudonym import (
    UUID_BITS,
    as_base64,
    as_hex,
    as_int64,
    as_uuid,
    collision_bound,
    context_head,
)
from privpipe.kernels._reference_prf import base64_text, int64_number, uuid_text

TWINS: dict[str, tuple[Callable[[pa.Array], pa.Array], Callable[[bytes], Any]]] = {
    "hex": (as_hex, bytes.hex),
    "base64": (as_base64, base64_text),
    "uuid": (as_uuid, uuid_text),
    "int64": (as_int64, int64_number),
}
WIDTHS = {"hex": range(1, 40), "base64": range(1, 40), "uuid": [16], "int64": range(8, 40)}
ALL_BYTES = [bytes([at]) * 16 for at in range(256)] + [
    bytes(range(at, at + 16)) for at in range(99)
]


@pytest.mark.parametrize("name", TWINS)
def test_every_byte_everywhere(name: str) -> None:
    show, twin = TWINS[name]
    shown = show(pa.array(ALL_BYTES, pa.binary(16)))
    assert shown.to_pylist() == [twin(tag) for tag in ALL_BYTES]


@pytest.mark.parametrize("name", TWINS)
@given(data=st.data())
def test_any_tags_agree_with_the_twin(name: str, data: st.DataObject) -> None:
    show, twin = TWINS[name]
    width = data.draw(st.sampled_from(list(WIDTHS[name])))
    tag = st.none() | st.binary(min_size=width, max_size=width)
    tags, skip = data.draw(st.lists(tag, max_size=12)), data.draw(st.integers(0, 3))
    column = pa.array(tags, pa.binary(width))
    expected = [tag if tag is None else twin(tag) for tag in tags]
    shown = show(column.slice(skip))
    shown.validate(full=True)
    assert shown.to_pylist() == expected[skip:]
    chunks = pa.chunked_array([column.slice(0, skip), column.slice(skip)], column.type)
    assert show(chunks).to_pylist() == expected


@pytest.mark.parametrize("name", TWINS)
def test_nothing_lies_under_a_null(name: str) -> None:
    shown = TWINS[name][0](pa.array([bytes([0xAB] * 16), None, bytes(16)], pa.binary(16)))
    assert shown.null_count == 1
    if name == "int64":
        assert shown.buffers()[1].to_pybytes()[8:16] == bytes(8)
    else:
        first, _, third = shown.to_pylist()
        assert shown.buffers()[2].to_pybytes() == (first + third).encode()


def test_a_uuid_says_what_it_is_and_keeps_the_rest() -> None:
    tags = AesCmac(bytes(32)).compute(pa.array(range(500)).cast(pa.string()))
    for tag, text in zip(tags.to_pylist(), as_uuid(tags).to_pylist(), strict=True):
        shown = uuid.UUID(text)
        assert str(shown) == text
        assert (shown.version, shown.variant) == (8, uuid.RFC_4122)
        changed = shown.int ^ int.from_bytes(tag, "big")
        assert changed & ~(0xF << 76 | 0x3 << 62) == 0
    free = [0, 0]
    for bits in (bytes(16), b"\xff" * 16):
        free[bits[0] & 1] = uuid.UUID(as_uuid(pa.array([bits], pa.binary(16)))[0].as_py()).int
    assert (free[0] ^ free[1]).bit_count() == UUID_BITS


def test_base64_comes_back_and_has_no_signs_of_its_own() -> None:
    tags = AesCmac(bytes(32)).compute(pa.array(range(500)).cast(pa.string()))
    shown = as_base64(tags).to_pylist()
    assert {len(text) for text in shown} == {22}
    assert not set("".join(shown)) & set("+/=")
    assert {"-", "_"} <= set("".join(shown))
    assert [base64.urlsafe_b64decode(text + "==") for text in shown] == tags.to_pylist()


def test_an_int64_is_big_endian_with_a_sign() -> None:
    firsts = ["0000000000000001", "7fffffffffffffff", "8000000000000000", "ffffffffffffffff"]
    tags = [bytes.fromhex(first) + b"more" for first in firsts]
    shown = as_int64(pa.array(tags, pa.binary(12)))
    assert shown.type == pa.int64()
    assert shown.to_pylist() == [1, 2**63 - 1, -(2**63), -1]


def test_tags_of_another_width_or_type_are_refused() -> None:
    for show, column in [
        (as_uuid, pa.array([bytes(15)], pa.binary(15))),
        (as_uuid, pa.array([bytes(17)], pa.binary(17))),
        (as_int64, pa.array([bytes(7)], pa.binary(7))),
        (as_hex, pa.array([b""], pa.binary(0))),
        *((show, pa.array([bytes(16)], pa.binary())) for show, _ in TWINS.values()),
    ]:
        with pytest.raises(SchemaError):
            show(column)


@given(context=st.binary(max_size=80))
def test_a_head_is_whole_blocks_and_gives_its_context_back(context: bytes) -> None:
    head = context_head(context)
    assert len(head) % 16 == 0
    assert len(head) - len(context) < 20
    size = int.from_bytes(head[:4], "big")
    assert head[4 : 4 + size] == context
    assert head[4 + size :].strip(b"\0") == b""


def test_heads_in_full() -> None:
    assert context_head(b"") == bytes(16)
    assert context_head(b"twelve bytes").hex() == "0000000c" + b"twelve bytes".hex()
    assert context_head(b"thirteen byte").hex() == ("0000000d" + b"thirteen byte".hex() + "00" * 15)


@given(one=st.binary(max_size=40), other=st.binary(max_size=40), value=st.binary(max_size=40))
def test_no_head_and_value_begin_as_another_head(one: bytes, other: bytes, value: bytes) -> None:
    if one != other:
        assert not (context_head(one) + value).startswith(context_head(other))


def test_the_bound_is_the_birthday_bound() -> None:
    assert collision_bound(0, 64) == 0
    assert collision_bound(2**32, 64) == 0.5
    assert collision_bound(10**8, 64) == pytest.approx(2.71e-4, rel=1e-2)
    assert collision_bound(10**9, UUID_BITS) < 1e-18
    assert collision_bound(10**6, 8) == 10**12 / 512
    assert collision_bound(10**200, 1000) > 0
    for distinct, bits in [(-1, 64), (5, 0)]:
        with pytest.raises(UsageError):
            collision_bound(distinct, bits)


@pytest.mark.parametrize(("distinct", "values"), [(3, 16), (5, 32), (20, 256)])
def test_the_bound_is_above_the_exact_chance(distinct: int, values: int) -> None:
    apart = Fraction(1)
    for at in range(distinct):
        apart *= Fraction(values - at, values)
    bound = Fraction(collision_bound(distinct, values.bit_length() - 1))
    assert 1 - apart <= bound <= 2 * (1 - apart)
