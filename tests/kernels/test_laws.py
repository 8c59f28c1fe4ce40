"""The laws of every kernel (tests/kernels/kernels.py lists them)."""

from __future__ import annotations

import copy
import os
import pickle
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from privpipe.arrow import Bound, bound, cells
from privpipe.errors import DecryptionError, KeysetError, SchemaError, SecretTravels, UsageError
from tests.kernels.kernels import Law, fails

AAD = b"pp1:c:clinic.patients/surname:string"
PREFIX = b"\x01\x00\x00\x00\x07"
BORDERS = sorted({*range(34), *(16 * at + by for at in range(3, 69) for by in (-1, 0, 1)), 1100})

pytestmark = pytest.mark.usefixtures("way")


def mixed(count: int, longest: int = 40, seed: int = 1) -> list[bytes | None]:
    """Values of all lengths, and some nulls."""
    draw = random.Random(seed)
    return [
        None if draw.random() < 0.1 else draw.randbytes(draw.randint(0, longest))
        for _ in range(count)
    ]


def raw_buffers(column: pa.Array) -> list[bytes | None]:
    return [buffer and buffer.to_pybytes() for buffer in column.buffers()]


@pytest.mark.parametrize("aad", [AAD, b"", b"0123456789abcdef"], ids=["text", "empty", "block"])
@pytest.mark.parametrize("prefix", [b"", PREFIX, b"four", bytes(21)], ids=len)
def test_every_length_comes_back_and_its_twin_reads_it(law: Law, aad: bytes, prefix: bytes) -> None:
    kernel = law.make()
    values = [os.urandom(size) for size in BORDERS]
    random.Random(2).shuffle(values)
    sealed = kernel.encrypt(pa.array(values, pa.binary()), aad, prefix=prefix)
    sealed.validate(full=True)
    assert sealed.type == pa.binary()
    for value, cell in zip(values, sealed.to_pylist(), strict=True):
        assert len(cell) == len(prefix) + len(value) + law.overhead
        assert cell.startswith(prefix)
        assert law.open(law.key, cell[len(prefix) :], aad) == value
    plain = kernel.decrypt(sealed, aad, prefix=prefix)
    plain.validate(full=True)
    assert plain.to_pylist() == values


@pytest.mark.parametrize("longest", [0, 1, 15, 16, 17, 31, 33, 1100])
@pytest.mark.parametrize("count", [1, 2, 1499, 1501])
def test_columns_of_any_size(law: Law, longest: int, count: int) -> None:
    if longest == 1100 and count > 2:
        count //= 10
    kernel, values = law.make(), mixed(count, longest)
    column = pa.array(values, pa.binary())
    sealed = kernel.encrypt(column, AAD, prefix=PREFIX)
    sealed.validate(full=True)
    assert sealed.null_count == column.null_count
    assert kernel.decrypt(sealed, AAD, prefix=PREFIX).to_pylist() == values
    plain, opened = kernel.open_each(sealed, AAD, prefix=PREFIX)
    assert plain.to_pylist() == values
    assert opened.all()


def test_one_associated_data_a_row(law: Law) -> None:
    kernel, draw = law.make(), random.Random(3)
    values = mixed(600, 70)
    aads = [
        None if value is None else draw.randbytes(draw.choice([0, 1, 15, 16, 17, 32, 60]))
        for value in values
    ]
    aad = pa.array(aads, pa.binary())
    sealed = kernel.encrypt(pa.array(values, pa.binary()), aad, prefix=PREFIX)
    for value, cell, own in zip(values, sealed.to_pylist(), aads, strict=True):
        assert value is None or law.open(law.key, cell[5:], own or b"") == value
    assert kernel.decrypt(sealed, aad, prefix=PREFIX).to_pylist() == values
    # The context of the row before opens nothing, unless it is the same.
    turned = pa.array([*aads[1:], aads[0]], pa.binary()).fill_null(b"none")
    _, opened = kernel.open_each(sealed, turned, prefix=PREFIX)
    for value, ok, mine, other in zip(values, opened, aads, turned.to_pylist(), strict=True):
        assert ok == (value is None or mine == other)


def agrees(law: Law, values: list[bytes | None], aad: Any, plain: list[bytes | None]) -> None:
    """The twin opens each value under its own associated data, whole, and no other's."""
    kernel = law.make()
    sealed = kernel.encrypt(pa.array(values, pa.binary()), aad, prefix=PREFIX)
    for value, cell, own in zip(values, sealed.to_pylist(), plain, strict=True):
        assert value is None or law.open(law.key, cell[5:], own or b"") == value
    assert kernel.decrypt(sealed, aad, prefix=PREFIX).to_pylist() == values
    assert kernel.decrypt(sealed, pa.array(plain, pa.binary()), prefix=PREFIX).to_pylist() == values
    moved = sealed.take(pa.array([*range(1, len(values)), 0]))
    _, opened = kernel.open_each(moved, aad, prefix=PREFIX)
    for cell, ok, mine, other in zip(
        moved.to_pylist(), opened, plain, [*plain[1:], plain[0]], strict=True
    ):
        assert ok == (cell is None or mine == other)


@pytest.mark.parametrize("head", [0, 1, 15, 16, 17, 32, 64, 100, 1040])
@pytest.mark.parametrize("sizes", [[11], [40], [0, 11], [0, 16, 17, 33]], ids=str)
def test_rows_that_share_the_head_of_their_associated_data(
    law: Law, head: int, sizes: list[int]
) -> None:
    draw = random.Random(4)
    shared = draw.randbytes(head)
    for rests in ([0], [1], [12], [16], [0, 1, 16], [15, 17, 40, 0], [12, 1030]):
        aads: list[bytes | None] = [shared + draw.randbytes(draw.choice(rests)) for _ in range(30)]
        values = [draw.choice([draw.randbytes(draw.choice(sizes)), None]) for _ in aads]
        agrees(law, values, pa.array(aads, pa.binary()), aads)


def test_one_byte_of_one_row_is_not_shared(law: Law) -> None:
    values: list[bytes | None] = [b"Ada"] * 100
    for at in range(0, 64, 3):
        aads: list[bytes | None] = [bytes(70)] * 100
        aads[at + 1] = bytes(at) + b"x" + bytes(69 - at)
        agrees(law, values, pa.array(aads, pa.binary()), aads)


@pytest.mark.parametrize("count", [3, 2000])
@pytest.mark.parametrize("longest", [13, 40])
@pytest.mark.parametrize("key", ["number", "text", "both", "long", "none"])
def test_values_bound_to_their_rows(law: Law, key: str, longest: int, count: int) -> None:
    draw = random.Random(5)
    numbers = pa.array(range(count))
    texts = pa.array([draw.randbytes(draw.randint(0, 20)) for _ in range(count)], pa.binary())
    long = pa.array([draw.randbytes(draw.choice([5, 70])) for _ in range(count)], pa.binary())
    one, two, three = ("id", numbers), ("name", texts), ("long", long)
    keys = {"number": [one], "text": [two], "both": [one, two], "long": [three]}
    values = mixed(count, longest)
    aad = bound(pa.array(values, pa.binary()), (), AAD, keys.get(key, []))
    agrees(law, values, aad, aad.plain().to_pylist())


def test_a_head_of_any_length_and_rests_that_are_empty(law: Law) -> None:
    values = mixed(50)
    for head in (b"", b"x", bytes(16), bytes(17), os.urandom(2000)):
        for rests in ([b""] * 50, [b"", b"y"] * 25, [b"z"] * 50, [os.urandom(16)] * 50):
            aad = Bound(head=head, rest=cells(pa.array(rests, pa.binary())))
            agrees(law, values, aad, [head + rest for rest in rests])


def test_a_column_context_equals_that_context_in_each_row(law: Law) -> None:
    kernel, values = law.make(), mixed(300, 50)
    column = pa.array(values, pa.binary())
    each = pa.array([AAD] * len(values), pa.string())
    assert kernel.decrypt(kernel.encrypt(column, AAD), each).to_pylist() == values
    assert kernel.decrypt(kernel.encrypt(column, each), AAD).to_pylist() == values


@pytest.mark.parametrize("aad", [os.urandom(1024), os.urandom(1025), os.urandom(70_000)], ids=len)
def test_a_long_context(law: Law, aad: bytes) -> None:
    kernel, values = law.make(), mixed(40)
    column = pa.array(values, pa.binary())
    sealed = kernel.encrypt(column, aad)
    assert kernel.decrypt(sealed, aad).to_pylist() == values
    each = pa.array([aad] * len(values), pa.binary())
    assert kernel.decrypt(sealed, each).to_pylist() == values


@pytest.mark.parametrize("values", [[], [None], [None] * 700, [b""], [b""] * 700, [b"", None]])
def test_nothing_null_and_empty(law: Law, values: list[bytes | None]) -> None:
    kernel, column = law.make(), pa.array(values, pa.binary())
    sealed = kernel.encrypt(column, AAD, prefix=PREFIX)
    sealed.validate(full=True)
    assert [cell and len(cell) for cell in sealed.to_pylist()] == [
        None if value is None else 5 + law.overhead for value in values
    ]
    plain = kernel.decrypt(sealed, AAD, prefix=PREFIX)
    plain.validate(full=True)
    assert plain.to_pylist() == values


WORDS = ["Ada", None, "", "Grace Hopper, admiral", "ü" * 40, "Ada"]
LAYOUTS: dict[str, Any] = {
    "string": pa.array(WORDS, pa.string()),
    "large_string": pa.array(WORDS, pa.large_string()),
    "binary": pa.array(WORDS, pa.string()).cast(pa.binary()),
    "large_binary": pa.array(WORDS, pa.string()).cast(pa.large_binary()),
    "string_view": pa.array(WORDS, pa.string_view()),
    "binary_view": pa.array([w and w.encode() for w in WORDS], pa.binary_view()),
    "fixed": pa.array([b"abc", None, b"xyz", b"abc"], pa.binary(3)),
    "dictionary": pa.array(WORDS, pa.string()).dictionary_encode(),
    "sliced": pa.array(["before", *WORDS, "behind"], pa.string()).slice(1, len(WORDS)),
    "chunked": pa.chunked_array([pa.array(WORDS[:2]), pa.array(WORDS[2:3]), pa.array(WORDS[3:])]),
    "no chunks": pa.chunked_array([], type=pa.string()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(law: Law, layout: str) -> None:
    kernel, column = law.make(), LAYOUTS[layout]
    expected = [w.encode() if isinstance(w, str) else w for w in column.to_pylist()]
    sealed = kernel.encrypt(column, AAD)
    assert isinstance(sealed, pa.Array)
    assert kernel.decrypt(sealed, AAD).to_pylist() == expected
    around = pa.concat_arrays([sealed, sealed, sealed]).slice(len(sealed), len(sealed))
    assert kernel.decrypt(around, AAD).to_pylist() == expected


def test_a_slice_sees_only_its_own_rows(law: Law) -> None:
    kernel, values = law.make(), mixed(900, 60)
    column = pa.array(values, pa.binary())
    whole = kernel.encrypt(column, AAD)
    for start, count in [(0, 0), (0, 1), (1, 7), (7, 800), (899, 1), (900, 0)]:
        part = kernel.encrypt(column.slice(start, count), AAD)
        assert kernel.decrypt(part, AAD).to_pylist() == values[start : start + count]
        opened = kernel.decrypt(whole.slice(start, count), AAD)
        assert opened.to_pylist() == values[start : start + count]


def test_input_buffers_are_not_written(law: Law) -> None:
    kernel, column = law.make(), pa.array(mixed(500, 60), pa.binary())
    before = raw_buffers(column)
    sealed = kernel.encrypt(column, AAD, prefix=PREFIX)
    between = raw_buffers(sealed)
    kernel.decrypt(sealed, AAD, prefix=PREFIX)
    kernel.open_each(sealed, b"another", prefix=PREFIX)
    assert raw_buffers(column) == before
    assert raw_buffers(sealed) == between


def test_output_holds_the_rows_and_no_byte_more(law: Law) -> None:
    kernel, column = law.make(), pa.array(mixed(500, 60), pa.binary())
    sealed = kernel.encrypt(column, AAD, prefix=PREFIX)
    assert sealed.buffers()[2].size == sum(len(cell) for cell in sealed.to_pylist() if cell)
    plain = kernel.decrypt(sealed, AAD, prefix=PREFIX)
    assert plain.buffers()[2].size == sum(len(cell) for cell in plain.to_pylist() if cell)


def test_deterministic_if_and_only_if_declared(law: Law) -> None:
    kernel, column = law.make(), pa.array([b"Ada"] * 400 + [b"Ada" * 20] * 400)
    first, second = kernel.encrypt(column, AAD), law.make().encrypt(column, AAD)
    distinct = len({*first.to_pylist(), *second.to_pylist()})
    assert distinct == (2 if law.deterministic else 1600)
    assert first.equals(second) == law.deterministic


def test_another_key_opens_nothing(law: Law) -> None:
    # Not the empty value: AES-SIV's is the synthetic IV alone, under the first half of the key.
    values = [value if value is None else value + b"." for value in mixed(200)]
    sealed = law.make().encrypt(pa.array(values, pa.binary()), AAD)
    for at in (0, len(law.key) - 1):
        other = bytearray(law.key)
        other[at] ^= 1
        plain, opened = law.make(bytes(other)).open_each(sealed, AAD)
        assert plain.null_count == len(values)
        assert opened.tolist() == [value is None for value in values]
        with pytest.raises(DecryptionError):
            law.make(bytes(other)).decrypt(sealed, AAD)


def test_another_context_opens_nothing(law: Law) -> None:
    kernel, values = law.make(), mixed(200)
    sealed = kernel.encrypt(pa.array(values, pa.binary()), AAD)
    for other in (b"", AAD[:-1], AAD + b"\0", AAD.swapcase()):
        plain, _ = kernel.open_each(sealed, other)
        assert plain.null_count == len(values)
        with pytest.raises(DecryptionError):
            kernel.decrypt(sealed, other)


def test_another_prefix_opens_nothing(law: Law) -> None:
    kernel, values = law.make(), mixed(200)
    sealed = kernel.encrypt(pa.array(values, pa.binary()), AAD, prefix=PREFIX)
    for other in (b"", PREFIX[:4], b"\x01\x00\x00\x00\x08", b"\x00" + PREFIX[1:], bytes(4000)):
        assert fails(law, kernel, sealed.to_pylist(), AAD, other)


@pytest.mark.parametrize("size", [0, 5, 16, 17, 40, 600])
def test_a_flipped_bit_anywhere_fails_that_row_alone(law: Law, size: int) -> None:
    kernel, value = law.make(), os.urandom(size)
    cell = kernel.encrypt(pa.array([value]), AAD, prefix=PREFIX).to_pylist()[0]
    places = range(len(cell)) if size < 100 else [*range(60), *range(len(cell) - 60, len(cell))]
    cells = [cell]
    for place in places:
        other = bytearray(cell)
        other[place] ^= 1 << (place % 8)
        cells += [bytes(other), cell]
    plain, opened = kernel.open_each(pa.array(cells, pa.binary()), AAD, prefix=PREFIX)
    plain.validate(full=True)
    assert opened.tolist() == [at % 2 == 0 for at in range(len(cells))]
    assert plain.to_pylist() == [value if at % 2 == 0 else None for at in range(len(cells))]
    with pytest.raises(DecryptionError):
        kernel.decrypt(pa.array(cells, pa.binary()), AAD, prefix=PREFIX)


def test_what_does_not_open_leaves_no_byte_in_the_output(law: Law) -> None:
    kernel = law.make()
    good, bad = b"in the clear for a test", b"canary-canary-canary"
    cells = kernel.encrypt(pa.array([good, bad] * 300), AAD).to_pylist()
    broken = [cell if at % 2 == 0 else cell[:-1] + bytes([cell[-1] ^ 1])
              for at, cell in enumerate(cells)]  # fmt: skip
    plain, _ = kernel.open_each(pa.array(broken, pa.binary()), AAD)
    data = plain.buffers()[2].to_pybytes()
    assert data == (good + bytes(len(bad))) * 300


def test_truncated_extended_and_too_short_values_fail(law: Law) -> None:
    kernel = law.make()
    cell = kernel.encrypt(pa.array([b"Ada Lovelace"]), AAD, prefix=PREFIX).to_pylist()[0]
    broken = [cell[:-1], cell + b"\0", cell[: 5 + law.overhead], cell[: 4 + law.overhead],
              cell[:5], cell[:1], b""]  # fmt: skip
    for other in broken:
        assert fails(law, kernel, [other], AAD, PREFIX)
        assert fails(law, kernel, [cell, other, None, cell], AAD, PREFIX)
    plain, opened = kernel.open_each(pa.array([*broken, cell], pa.binary()), AAD, prefix=PREFIX)
    assert opened.tolist() == [False] * len(broken) + [True]
    assert plain.to_pylist() == [None] * len(broken) + [b"Ada Lovelace"]


def test_faults_are_coded_and_hold_no_value(law: Law) -> None:
    kernel = law.make()
    for size in (0, 15, 24, 33, 63, 128):
        with pytest.raises(KeysetError):
            law.make(bytes(size))
    with pytest.raises(SchemaError):
        kernel.encrypt(pa.array([1, 2]), AAD)
    with pytest.raises(UsageError):
        kernel.encrypt(pa.array(["a", "b"]), pa.array(["x"]))
    with pytest.raises(UsageError):
        kernel.encrypt(pa.array(["a", "b"]), pa.array(["x", None]))
    with pytest.raises(UsageError):
        kernel.encrypt(pa.array(["a", "b"]), "text")
    with pytest.raises(UsageError):
        kernel.encrypt(
            pa.array(["a", "b"]), bound(pa.array(["a"]), (), AAD, [("id", pa.array([1]))])
        )
    absent = bound(pa.array(["a", None]), (), AAD, [("id", pa.array([1, None]))])
    with pytest.raises(UsageError):
        kernel.encrypt(pa.array(["a", "b"]), absent)
    with pytest.raises(DecryptionError) as caught:
        kernel.decrypt(pa.array([b"Ada Lovelace, countess of all engines" * 2]), AAD)
    assert "Ada" not in str(caught.value)


def test_a_kernel_shows_no_key_and_does_not_travel(law: Law) -> None:
    kernel = law.make()
    assert law.key.hex() not in repr(kernel)
    assert str(law.key) not in repr(kernel)
    assert not hasattr(kernel, "__dict__")
    for send in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretTravels):
            send(kernel)


def test_a_read_only_column_and_a_foreign_buffer(law: Law) -> None:
    """Rows that end where the buffer does: nothing may be read behind them."""
    kernel = law.make()
    data = np.frombuffer(b"AdaGrace", dtype=np.uint8)
    offsets = np.array([0, 3, 8], dtype=np.int32)
    column = pa.Array.from_buffers(
        pa.binary(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    assert kernel.decrypt(kernel.encrypt(column, AAD), AAD).to_pylist() == [b"Ada", b"Grace"]
