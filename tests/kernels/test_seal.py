"""Write-only columns: what a public key sealed, its private key opens, row by row."""

from __future__ import annotations

import copy
import gc
import itertools
import os
import pickle
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import KeysetError, SecretTravels
from privpipe.kernels import Opener, Sealer, _seal, _unseal
from privpipe.kernels._reference_seal import unseal
from tests.kernels.sealed import (
    AAD,
    KIND,
    OPENER,
    PAIRS,
    PRIVATE,
    SEALER,
    SIZES,
    Rows,
    flip,
    mixed,
    opened,
    sealed_rows,
    with_,
)


@pytest.mark.parametrize("kind", PAIRS)
def test_every_row_opens_alone_and_its_twin_reads_it(kind: str) -> None:
    private, public = PAIRS[kind]
    values = [os.urandom(size) for size in [*range(40), 100, 255, 256, 1100]]
    opener = Opener(private)
    sealed = Sealer(public).fresh().encrypt(pa.array(values, pa.binary()), AAD)
    sealed.validate(full=True)
    assert sealed.type == KIND
    rows = sealed.to_pylist()
    assert len({row["key"] for row in rows}) == 1
    for value, row in zip(values, rows, strict=True):
        assert len(row["key"]) == SIZES[kind]
        assert len(row["ct"]) == 28 + len(value)
        assert unseal(private, row["key"], row["ct"], AAD) == value
        assert opened([row], opener=opener) == [value]
    assert opened(rows, opener=opener) == values


@pytest.mark.parametrize("values", [[], [None], [None] * 700, [b""], [b""] * 700, [b"", None]])
def test_nothing_null_and_empty(values: list[bytes | None]) -> None:
    sealed = SEALER.fresh().encrypt(pa.array(values, pa.binary()), AAD)
    sealed.validate(full=True)
    assert sealed.null_count == values.count(None)
    assert [row and (len(row["key"]), len(row["ct"])) for row in sealed.to_pylist()] == [
        None if value is None else (80, 28) for value in values
    ]
    # Under a null struct its fields are null too: no key is written for a value that is not there.
    assert sealed.field("key").null_count == sealed.field("ct").null_count == sealed.null_count
    assert sealed.field("key").buffers()[2].size == 80 * (len(values) - values.count(None))
    assert opened(sealed.to_pylist()) == values


CHUNKS = st.lists(st.lists(st.none() | st.binary(max_size=60), max_size=12), max_size=6)


@given(chunks=CHUNKS, aad=st.binary(max_size=40), few=st.sampled_from([0, 3, 800]))
def test_any_column_agrees_with_its_twin(
    chunks: list[list[bytes | None]], aad: bytes, few: int
) -> None:
    """Each chunk under a data key of its own, together in one column, shuffled."""
    rows = [row for chunk in chunks for row in sealed_rows(chunk, aad)]
    values = list(itertools.chain(*chunks))
    order = list(range(len(rows)))
    random.Random(len(rows)).shuffle(order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_unseal, "_FEW", few)
        assert opened([rows[at] for at in order], aad) == [values[at] for at in order]
    for row, value in zip(rows, values, strict=True):
        if row is not None:
            key, text = row["key"], row["ct"]
            assert key is not None
            assert text is not None
            assert unseal(PRIVATE, key, text, aad) == value


WORDS = ["Ada", None, "", "Grace Hopper, admiral", "ü" * 40, "Ada"]
LAYOUTS: dict[str, Any] = {
    "string": pa.array(WORDS, pa.string()),
    "large_string": pa.array(WORDS, pa.large_string()),
    "string_view": pa.array(WORDS, pa.string_view()),
    "fixed": pa.array([b"abc", None, b"xyz", b"abc"], pa.binary(3)),
    "dictionary": pa.array(WORDS, pa.string()).dictionary_encode(),
    "null in a dictionary": pa.DictionaryArray.from_arrays([0, 1, None, 0], pa.array(["a", None])),
    "sliced": pa.array(["before", *WORDS, "behind"], pa.string()).slice(1, len(WORDS)),
    "chunked": pa.chunked_array([pa.array(WORDS[:2]), pa.array(WORDS[2:3]), pa.array(WORDS[3:])]),
    "no chunks": pa.chunked_array([], type=pa.string()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_plaintext(layout: str) -> None:
    column = LAYOUTS[layout]
    sealed = SEALER.fresh().encrypt(column, AAD)
    assert isinstance(sealed, pa.StructArray)
    expected = [w.encode() if isinstance(w, str) else w for w in column.to_pylist()]
    assert OPENER.decrypt(sealed, AAD).to_pylist() == expected


FIELDS: dict[str, Any] = {
    "binary": lambda column: column,
    "large": lambda column: column.cast(pa.large_binary()),
    "view": lambda column: column.cast(pa.binary_view()),
    "dictionary": lambda column: column.dictionary_encode(),
}


@pytest.mark.parametrize("text", FIELDS)
@pytest.mark.parametrize("key", FIELDS)
def test_every_layout_of_sealed_columns(key: str, text: str) -> None:
    values = mixed(60)
    rows = [*sealed_rows(values[:20]), *sealed_rows(values[20:])]
    whole = pa.array(rows, KIND)
    fields = [FIELDS[key](whole.field("key")), FIELDS[text](whole.field("ct"))]
    column = pa.StructArray.from_arrays(fields, names=["key", "ct"], mask=whole.is_null())
    turned = pa.StructArray.from_arrays(fields[::-1], names=["ct", "key"], mask=whole.is_null())
    for each in (column, turned):
        assert OPENER.decrypt(each, AAD).to_pylist() == values
        for start, count in [(0, 0), (0, 1), (1, 30), (19, 2), (25, 35), (60, 0)]:
            part = OPENER.decrypt(each.slice(start, count), AAD)
            assert part.to_pylist() == values[start : start + count]


def test_fixed_size_keys() -> None:
    values: list[bytes | None] = [b"a", b"b"]
    whole = pa.array(sealed_rows(values), KIND)
    fields = [whole.field("key").cast(pa.binary(80)), whole.field("ct")]
    column = pa.StructArray.from_arrays(fields, names=["key", "ct"])
    assert OPENER.decrypt(column, AAD).to_pylist() == values


def test_chunks_and_one_associated_data_a_row() -> None:
    values, draw = mixed(90), random.Random(3)
    aads: list[bytes | None] = [
        None if value is None else draw.randbytes(draw.choice([0, 1, 16, 40])) for value in values
    ]
    each = pa.array(aads, pa.binary())
    parts = [
        SEALER.fresh().encrypt(pa.array(values[a:b], pa.binary()), each.slice(a, b - a))
        for a, b in itertools.pairwise([0, 10, 10, 50, 90])
    ]
    whole = pa.concat_arrays(parts)
    cut = pa.chunked_array([whole.slice(0, 33), whole.slice(33)])
    for column in (whole, pa.chunked_array(parts), cut):
        for own in (each, pa.chunked_array([each.slice(0, 7), each.slice(7)])):
            plain = OPENER.decrypt(column, own)
            assert isinstance(plain, pa.Array)
            assert plain.to_pylist() == values
    turned = pa.array([*aads[1:], aads[0]], pa.binary()).fill_null(b"none")
    _, mask = OPENER.open_each(whole, turned)
    for value, ok, mine, other in zip(values, mask, aads, turned.to_pylist(), strict=True):
        assert ok == (value is None or mine == other)
    plain, mask = OPENER.open_each(pa.chunked_array([], type=KIND), AAD)
    assert (plain.type, len(plain), len(mask)) == (pa.binary(), 0, 0)


def test_many_data_keys_in_one_column() -> None:
    """More than are cached, small groups and large ones, shuffled; twice, and between damage."""
    values: list[bytes | None] = []
    rows: Rows = []
    for size in [1] * 270 + [900, 1500]:
        part = mixed(size, seed=size)
        values += part
        rows += sealed_rows(part)
    order = list(range(len(rows)))
    random.Random(5).shuffle(order)
    rows, values = [rows[at] for at in order], [values[at] for at in order]
    for _ in range(2):
        assert opened(rows) == values
    for at, row in enumerate(rows):
        if row is not None and at % 3 == 0:
            text = row["ct"]
            assert text is not None
            rows[at], values[at] = with_(row, ct=flip(text, -1)), None
    assert opened(rows) == values


def test_each_distinct_key_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    genuine = _seal._open_key

    def counted(private: Any, sealed: bytes) -> bytes:
        calls.append(sealed)
        return genuine(private, sealed)

    monkeypatch.setattr(_seal, "_open_key", counted)
    opener = Opener(PRIVATE)
    rows = [*sealed_rows([b"a"] * 500), *sealed_rows([b"b"] * 500)] * 2
    broken = with_(rows[0], key=bytes(80))
    for _ in range(3):
        opened([*rows, broken], opener=opener)
    assert len(calls) == 3
    # What has not even the size of a sealed key is not tried, nor kept.
    opened([with_(rows[0], key=os.urandom(size)) for size in (0, 79, 81, 5000)], opener=opener)
    assert len(calls) == 3
    for _ in range(300):
        opened(sealed_rows([b"x"]), opener=opener)
    assert opener._keys._cached.cache_info().currsize == 256


def test_equal_plaintexts_differ() -> None:
    sealed = SEALER.fresh().encrypt(pa.array(["Ada"] * 2000), AAD)
    assert len(set(sealed.field("ct").to_pylist())) == 2000
    keys = {SEALER.fresh().encrypt(pa.array(["Ada"]), AAD)[0]["key"].as_py() for _ in range(50)}
    assert len(keys) == 50


def test_a_data_key_counts_its_values() -> None:
    sealed = SEALER.fresh()
    assert sealed.remaining == 2**32
    sealed.encrypt(pa.array(["a", None, "c"]), AAD)
    assert sealed.remaining == 2**32 - 2
    sealed._left = 3
    sealed.encrypt(pa.array([None] * 10, pa.string()), AAD)
    with pytest.raises(KeysetError, match="3 values left"):
        sealed.encrypt(pa.array(["a"] * 4), AAD)
    assert sealed.remaining == 3
    sealed.encrypt(pa.array(["a"] * 3), AAD)
    with pytest.raises(KeysetError) as caught:
        sealed.encrypt(pa.chunked_array([pa.array(["a"])]), AAD)
    assert "fresh" in str(caught.value)
    assert sealed.encrypt(pa.array([], pa.string()), AAD).type == KIND


def test_threads_share_both_ends() -> None:
    sealed = SEALER.fresh()
    columns = [pa.array(mixed(300, seed=at), pa.binary()) for at in range(20)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(sealed.encrypt, columns, [AAD] * 20))
        plains = list(pool.map(OPENER.decrypt, made, [AAD] * 20))
    assert all(plain.equals(column) for plain, column in zip(plains, columns, strict=True))
    assert sealed.remaining == 2**32 - sum(len(column) - column.null_count for column in columns)


def raw_buffers(column: pa.Array) -> list[bytes | None]:
    return [buffer and buffer.to_pybytes() for buffer in column.buffers()]


def test_input_buffers_are_not_written() -> None:
    column = pa.array(mixed(500), pa.binary())
    before = raw_buffers(column)
    sealed = pa.concat_arrays([SEALER.fresh().encrypt(column, AAD) for _ in range(2)])
    between = raw_buffers(sealed)
    OPENER.decrypt(sealed, AAD)
    OPENER.open_each(sealed, b"another")
    assert raw_buffers(column) == before
    assert raw_buffers(sealed) == between


TRAVELS: dict[str, Any] = {
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", TRAVELS)
def test_nothing_travels(way: str) -> None:
    sealed, opener = SEALER.fresh(), Opener(PRIVATE)
    opener.decrypt(sealed.encrypt(pa.array(["Ada"] * 1000), AAD), AAD)
    for holder in (SEALER, sealed, opener, *_parts(sealed), *_parts(opener)):
        with pytest.raises(SecretTravels) as caught:
            TRAVELS[way](holder)
        assert caught.value.hint
    assert _parts(sealed)
    assert _parts(opener)


def _parts(holder: object) -> list[object]:
    """The objects of ours that hang on it."""
    found: list[object] = []
    for part in gc.get_referents(holder):
        if type(part).__module__.startswith("privpipe.kernels") and not isinstance(part, type):
            found += [part, *_parts(part)]
    return found


def test_no_key_shows() -> None:
    data_key = bytes(range(65, 97))
    sealed = _seal.SealedKey(data_key, bytes(80))
    for holder in (sealed, SEALER, OPENER):
        assert not hasattr(holder, "__dict__")
        for text in (repr(holder), str(holder)):
            assert len(text) < 50
            assert data_key.decode() not in text
            assert data_key.hex() not in text
    assert repr(SEALER) == f"Sealer({SEALER.fingerprint:#010x})"
    assert repr(OPENER) == f"Opener({SEALER.fingerprint:#010x})"
