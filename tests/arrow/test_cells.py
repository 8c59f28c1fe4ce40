from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.arrow import Cells, build, cells, encode
from privpipe.errors import EncodingError, SchemaError
from tests.arrow import _twins as twins

KINDS = [*twins.TEXTS, *twins.BLOBS, pa.binary(3), *list(twins.DICTIONARIES)[:2]]


def listed(bare: Cells) -> list[bytes | None]:
    """Row by row, as the class says."""
    rows = [
        bytes(bare.data[start : start + length])
        for start, length in zip(bare.starts, bare.lengths, strict=True)
    ]
    if bare.valid is None:
        return list(rows)
    assert not any(rows[i] for i in np.flatnonzero(~bare.valid))
    return [row if held else None for row, held in zip(rows, bare.valid, strict=True)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(data=st.data())
def test_cells_are_the_values(kind: pa.DataType, data: st.DataObject) -> None:
    column, plain, _ = data.draw(twins.columns(st.just(kind)))
    assert listed(cells(column)) == [twins.canonical(value, kind) for value in plain]


@given(
    plain=st.lists(st.none() | st.binary(max_size=9)),
    lead=st.integers(0, 3),
    spare=st.integers(0, 3),
)
def test_build_is_the_inverse_of_cells(plain: list[bytes | None], lead: int, spare: int) -> None:
    data = np.frombuffer(bytes(lead) + b"".join(x or b"" for x in plain) + bytes(spare), np.uint8)
    ends = lead + np.cumsum([0, *(len(x or b"") for x in plain)], dtype=np.int64)
    valid = np.array([x is not None for x in plain], dtype=np.bool_)
    for mask in (valid, None if valid.all() else valid):
        column = build(data, ends, mask)
        column.validate(full=True)
        assert column.type == pa.binary()
        assert column.to_pylist() == plain
        assert listed(cells(column)) == plain


def test_cells_share_the_columns_buffer() -> None:
    column = pa.array(["one", None, "three"])
    bare = cells(column[1:])
    assert bare.data.ctypes.data == column.buffers()[2].address
    assert not bare.data.flags.writeable
    assert [bare.starts.dtype, bare.lengths.dtype] == [np.int64, np.int64]


def test_cells_without_nulls_have_no_mask() -> None:
    assert cells(pa.array(["one", None, "three"])[2:]).valid is None


def test_a_word_of_a_dictionary_may_be_null() -> None:
    words = pa.array([b"one", None])
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.int8()), words)
    assert listed(cells(column)) == [b"one", None, None, b"one"]
    assert cells(column[3:]).valid is None


def test_a_dictionary_with_no_words() -> None:
    column = pa.DictionaryArray.from_arrays(pa.nulls(2, pa.int8()), pa.array([], pa.string()))
    assert listed(cells(column)) == [None, None]


def test_unsigned_indices_of_a_dictionary() -> None:
    indices = pa.array([1, None, 0], pa.uint64())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["a", "b"]))
    assert listed(cells(column)) == [b"b", None, b"a"]


def test_build_turns_large_past_two_gib() -> None:
    data = np.zeros(2**31 + 5, dtype=np.uint8)  # never touched, so never there
    small = build(data, np.array([0, 2**31 - 1]), None)
    large = build(data, np.array([0, 3, 2**31 + 5]), np.array([False, True]))
    assert [small.type, large.type] == [pa.binary(), pa.large_binary()]
    large.validate()
    assert cells(large).lengths.tolist() == [0, 2**31 + 2]


@pytest.mark.parametrize("kind", [pa.int32(), pa.null(), pa.list_(pa.string())], ids=str)
def test_what_holds_no_bytes_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(SchemaError, match="holds no bytes"):
        cells(pa.array([None], kind))


def test_chunks_that_fit_no_one_array_are_refused() -> None:
    chunk = pa.ListArray.from_arrays(pa.array([0, 2**31 - 1], pa.int32()), pa.nulls(2**31 - 1))
    column = pa.chunked_array([chunk, chunk])
    with pytest.raises(EncodingError, match="2 GiB"):
        encode(column)
