"""The laws of every function on arrays (tests/kernels/functions.py lists them)."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.errors import DecryptionError, SchemaError, SecretTravels
from privpipe.kernels import AesCmac
from tests.kernels.functions import BYTES, FUNCTIONS, KEY, Function, ways

CASES = [case for law in FUNCTIONS for case in ways(law)]
Laws = list[Function]


def over(laws: Laws) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("law", laws, ids=lambda law: law.name)


def check(law: Function, column: pa.Array) -> pa.Array:
    """All that holds of any column, in whichever layout; what became of it."""
    values = column.to_pylist()
    out = law.run(column)
    assert isinstance(out, pa.Array)
    out.validate(full=True)
    cells = out.to_pylist()
    assert [cell is None for cell in cells] == [value is None for value in values]
    if law.twin is not None:
        assert cells == [None if value is None else law.twin(law.key, value) for value in values]
    elif law.deterministic:
        assert cells == law.run(law.column(values)).to_pylist()
    if law.opens is not None:
        assert [cell if cell is None else law.opens(law.key, cell) for cell in cells] == values
    if law.undo is not None:
        assert law.back(out).to_pylist() == values
    return out


def pieces(column: pa.Array, cuts: list[int]) -> pa.ChunkedArray:
    edges = [0, *sorted(min(cut, len(column)) for cut in cuts), len(column)]
    chunks = [column.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    return pa.chunked_array(chunks, column.type)


@over(CASES)
def test_any_column(law: Function) -> None:
    rows = st.lists(st.none() | law.values, max_size=30)

    @settings(max_examples=40)
    @given(values=rows, cuts=st.lists(st.integers(0, 30), max_size=3), skip=st.integers(0, 3))
    def holds(values: list[Any], cuts: list[int], skip: int) -> None:
        column = law.column(values)
        check(law, column.slice(skip))
        check(law, pieces(column, cuts))

    holds()


@over(CASES)
@pytest.mark.parametrize("count", [0, 1, 2, 9, 100, 700])
def test_columns_of_every_length(law: Function, count: int) -> None:
    check(law, law.sample(count))
    check(law, law.sample(count, nulls=False))


@over(CASES)
@pytest.mark.parametrize("values", [[], [None], [None] * 700], ids=len)
def test_nothing_and_nulls_have_the_type_of_values(law: Function, values: list[None]) -> None:
    out = check(law, law.column(values))
    assert out.type == law.run(law.sample(20)).type
    if law.undo is not None:
        assert law.back(out).type == law.back(law.run(law.sample(20))).type


def layouts(kind: pa.DataType) -> list[pa.DataType]:
    """The types that hold the same values."""
    for text, large, view in (
        (pa.string(), pa.large_string(), pa.string_view()),
        (pa.binary(), pa.large_binary(), pa.binary_view()),
    ):
        if kind == text:
            return [large, view, pa.dictionary(pa.int32(), kind), pa.dictionary(pa.int8(), large)]
    return []


@over(CASES)
def test_every_layout(law: Function) -> None:
    column = law.sample(90)
    whole = pa.concat_arrays([column, column, column])
    # A dictionary may have a null among its words.
    words = pa.DictionaryArray.from_arrays(pa.array([*range(90)][::-1], pa.int16()), column)
    for other in [
        whole.slice(len(column), len(column)),
        pieces(column, [0, 7, 7, 60]),
        pa.chunked_array([], law.kind),
        *(pa.array(column.to_pylist(), kind) for kind in layouts(law.kind)),
        *([words, words.slice(5, 70)] if layouts(law.kind) else []),
    ]:
        check(law, other)


@over([law for law in CASES if layouts(law.kind)])
def test_rows_that_end_where_the_buffer_does(law: Function) -> None:
    """Nothing may be read behind them, and the buffer is read-only."""
    texts = [
        value.encode() if isinstance(value, str) else value
        for value in law.sample(60, nulls=False).to_pylist()
    ]
    ends = np.array([0, *itertools.accumulate(map(len, texts))], dtype=np.int32)
    data = pa.py_buffer(b"".join(texts))
    check(law, pa.Array.from_buffers(law.kind, len(texts), [None, pa.py_buffer(ends), data]))


@over(CASES)
def test_a_row_does_not_depend_on_the_rows_around_it(law: Function) -> None:
    column = law.sample(300)
    whole = law.run(column)
    for start, count in [(0, 0), (0, 1), (1, 1), (3, 1), (7, 250), (299, 1), (300, 0)]:
        part = check(law, column.slice(start, count))
        assert part.type == whole.type
        if law.deterministic:
            assert part.to_pylist() == whole.slice(start, count).to_pylist()
        if law.undo is not None:
            back = law.back(whole.slice(start, count))
            assert back.to_pylist() == column.slice(start, count).to_pylist()
    if law.undo is not None:
        assert law.back(pieces(whole, [5, 200])).to_pylist() == column.to_pylist()


def buffers(column: pa.Array) -> Iterator[bytes | None]:
    """Every buffer of it, a dictionary's words included."""
    for buffer in column.buffers():
        yield buffer and buffer.to_pybytes()
    if isinstance(column, pa.DictionaryArray):
        yield from buffers(column.dictionary)


@over(CASES)
def test_input_buffers_are_not_written(law: Function) -> None:
    plain = law.sample(300)
    worded = [pa.array(plain.to_pylist(), kind) for kind in layouts(law.kind)]
    for column in [plain, plain.slice(3, 200), *worded]:
        before = list(buffers(column))
        out = law.run(column)
        between = list(buffers(out))
        if law.undo is not None:
            law.back(out)
        assert list(buffers(column)) == before
        assert list(buffers(out)) == between


@over(CASES)
def test_deterministic_if_and_only_if_declared(law: Function) -> None:
    column = law.sample(100, nulls=False)
    first, second = law.run(column).to_pylist(), law.run(column).to_pylist()
    assert (first == second) == law.deterministic
    if not law.deterministic:
        same = law.run(law.column([column[0].as_py()] * 100)).to_pylist()
        assert all(one != other for one, other in zip(first, second, strict=True))
        assert all(one != other for one, other in itertools.pairwise(same))


@over([law for law in CASES if law.key])
def test_another_key_gives_something_else(law: Function) -> None:
    column = law.sample(200)
    out = law.run(column)
    for key in law.other_keys():
        assert law.run(column, key).to_pylist() != out.to_pylist()
        if law.undo is None:
            continue
        if law.authenticates:
            with pytest.raises(DecryptionError):
                law.back(out, key)
        else:
            assert law.back(out, key).to_pylist() != column.to_pylist()


def altered(cell: Any) -> list[Any]:
    """A cell with something changed, cut or added, in each of its fields."""
    if isinstance(cell, dict):
        return [{**cell, name: other} for name in cell for other in altered(cell[name])]
    if isinstance(cell, str):
        # Nothing is added: what readers of base64 do behind the padding differs.
        middle = len(cell) // 2
        turned = "B" if cell[middle] == "A" else "A"
        return [cell[:middle] + turned + cell[middle + 1 :], cell[:-1], cell[:middle], ""]
    if isinstance(cell, bytes):
        flipped = [cell[:at] + bytes([cell[at] ^ 1]) + cell[at + 1 :] for at in range(len(cell))]
        return [*flipped, cell + b"\0", *([cell[:-1], b""] if cell else [])]
    return [cell + 1]


@over([law for law in CASES if law.authenticates])
def test_altered_values_are_refused(law: Function) -> None:
    out = law.run(law.sample(40))
    cells = out.to_pylist()
    for at in (0, 1, 20, 39):
        for other in altered(cells[at]):
            for column in ([other], [*cells[:at], other, *cells[at + 1 :]]):
                with pytest.raises(DecryptionError):
                    law.back(pa.array(column, out.type))


@over(CASES)
def test_another_type_is_refused_with_a_code(law: Function) -> None:
    for column in (pa.array([[True], None]), pa.array([{"a": 1}])):
        with pytest.raises(SchemaError):
            law.run(column)


@over([law for law in FUNCTIONS if law.key])
def test_a_kernel_shows_no_key_and_does_not_travel(law: Function) -> None:
    kernel = law.kernel(law.key)
    for shown in (repr(kernel), str(kernel)):
        assert law.key.hex() not in shown
        assert str(law.key) not in shown
    assert not hasattr(kernel, "__dict__")
    for send in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(SecretTravels):
            send(kernel)


@over(FUNCTIONS)
def test_threads_share_a_kernel(law: Function) -> None:
    kernel, column = law.kernel(law.key), law.sample(500)
    with ThreadPoolExecutor(4) as pool:
        outs = list(pool.map(lambda _: law.apply(kernel, column), range(12)))
    for out in outs:
        if law.deterministic:
            assert out.equals(outs[0])
        if law.undo is not None:
            assert law.undo(kernel, out).to_pylist() == column.to_pylist()


def forgets_offsets(kernel: Any, column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return kernel.compute(column)
    return kernel.compute(pa.Array.from_buffers(column.type, len(column), column.buffers()))


def writes_its_input(kernel: Any, column: pa.Array) -> pa.Array:
    out = kernel.compute(column)
    np.frombuffer(column.buffers()[2], dtype=np.uint8)[-1] ^= 1
    return out


SOUND = Function(name="sound", kernel=AesCmac, key=KEY, apply=AesCmac.compute, **BYTES)
PLANTED: dict[str, tuple[Callable[[Function], None], dict[str, Any]]] = {
    "another kernel's twin": (test_any_column, {"twin": lambda _, value: value}),
    "drops a row": (test_any_column, {"apply": lambda kernel, column: kernel.compute(column[1:])}),
    "fills nulls": (
        test_any_column,
        {"apply": lambda kernel, column: kernel.compute(column).fill_null(bytes(16))},
    ),
    "forgets offsets": (
        test_a_row_does_not_depend_on_the_rows_around_it,
        {"apply": forgets_offsets},
    ),
    "writes its input": (test_input_buffers_are_not_written, {"apply": writes_its_input}),
    "is random": (
        test_deterministic_if_and_only_if_declared,
        {"apply": lambda _, column: AesCmac(os.urandom(32)).compute(column)},
    ),
    "is not random": (test_deterministic_if_and_only_if_declared, {"deterministic": False}),
    "has one key": (test_another_key_gives_something_else, {"kernel": lambda _: AesCmac(KEY)}),
    "shows its key": (
        test_a_kernel_shows_no_key_and_does_not_travel,
        {"kernel": lambda key: [key]},
    ),
    "loses what it had": (
        test_any_column,
        {"undo": lambda _, column: pa.array([b"Ada"] * len(column))},
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    test, changes = PLANTED[fault]
    test(SOUND)
    with pytest.raises(AssertionError):
        test(replace(SOUND, **changes))
