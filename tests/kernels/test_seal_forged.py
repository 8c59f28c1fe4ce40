"""Sealed columns altered, mixed up, or of another make: no row of them opens to anything."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privpipe.errors import DecryptionError, SchemaError, UsageError
from privpipe.kernels import Opener, Sealer, _seal, _unseal
from privpipe.kernels._pem import generate_pair
from tests.kernels.sealed import (
    AAD,
    KIND,
    OPENER,
    PAIRS,
    SEALER,
    Rows,
    flip,
    mixed,
    opened,
    sealed_rows,
    with_,
)


def test_a_flipped_bit_in_key_or_text_fails_that_row_alone() -> None:
    row = sealed_rows([b"Ada Lovelace"])[0]
    assert row is not None
    for field in ("key", "ct"):
        whole = row[field]
        assert whole is not None
        rows: Rows = []
        for place in range(len(whole)):
            rows += [with_(row, **{field: flip(whole, place, place % 8)}), row]
        assert opened(rows) == [None, b"Ada Lovelace"] * len(whole)


@pytest.mark.parametrize("few", [0, 800])
def test_cut_and_lengthened_fields_fail(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_unseal, "_FEW", few)
    row, other = sealed_rows([b"Ada"])[0], sealed_rows([b"Grace"])[0]
    assert row is not None
    for field in ("key", "ct"):
        whole = row[field]
        assert whole is not None
        for broken in (b"", whole[:1], whole[:27], whole[:28], whole[:-1], whole + b"\0"):
            assert opened([with_(row, **{field: broken})]) == [None]
            assert opened([other, with_(row, **{field: broken}), row]) == [b"Grace", None, b"Ada"]


def test_a_struct_with_a_null_in_it_fails() -> None:
    row, other = sealed_rows([b"Ada"])[0], sealed_rows([b"Grace"])[0]
    halves: Rows = [with_(row, key=None), with_(row, ct=None), with_(row, key=None, ct=None)]
    for half in halves:
        assert opened([half]) == [None]
        _, mask = OPENER.open_each(pa.array([half, None, row], KIND), AAD)
        assert mask.tolist() == [False, True, True]
    assert opened([row, *halves, None, other, row]) == [
        b"Ada", None, None, None, None, b"Grace", b"Ada",
    ]  # fmt: skip


def test_rows_may_change_places_but_not_their_halves() -> None:
    """A column's context binds no row: that is what a context a row is for."""
    first, second = sealed_rows([b"Ada", b"Grace"])
    assert opened([second, first]) == [b"Grace", b"Ada"]
    third = sealed_rows([b"Emmy"])[0]
    assert first is not None
    assert third is not None
    assert opened([with_(first, key=third["key"]), with_(third, key=first["key"])]) == [None, None]
    assert opened([with_(first, ct=third["ct"]), third]) == [None, b"Emmy"]
    each = pa.array([b"row 1", b"row 2"])
    bound = sealed_rows([b"Ada", b"Grace"], each)
    assert opened(bound[::-1], each) == [None, None]


def test_another_context_or_private_key_opens_nothing() -> None:
    values = mixed(50)
    rows = [*sealed_rows(values[:20]), *sealed_rows(values[20:])]
    for aad in (b"", AAD[:-1], AAD + b"\0"):
        assert opened(rows, aad) == [None] * 50
    for pair in (generate_pair("x25519"), PAIRS["rsa2048"]):
        assert opened(rows, opener=Opener(pair[0])) == [None] * 50
    rsa = Sealer(PAIRS["rsa2048"][1]).fresh().encrypt(pa.array([b"Ada"]), AAD).to_pylist()
    assert opened(rsa) == [None]


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_a_data_key_of_another_size_is_not_taken(kind: str, size: int) -> None:
    """A foreign producer's AES-128 key, well sealed, is no key of this format."""
    private, public = PAIRS[kind]
    data_key = os.urandom(size)
    wrapped = _seal._seal_key(Sealer(public)._public, data_key)
    text = AESGCM(data_key).encrypt(bytes(12), b"Ada", AAD) if size in (16, 24) else bytes(19)
    assert opened([{"key": wrapped, "ct": bytes(12) + text}], opener=Opener(private)) == [None]


def test_one_answer_for_every_failure() -> None:
    row = sealed_rows([b"canary-canary"])[0]
    assert row is not None
    said = set()
    for broken in (with_(row, key=bytes(80)), with_(row, key=b""), with_(row, ct=bytes(41)),
                   with_(row, ct=None)):  # fmt: skip
        for rows in ([broken], [row, broken], [broken] * 900):
            with pytest.raises(DecryptionError) as caught:
                OPENER.decrypt(pa.array(rows, KIND), AAD)
            said.add(str(caught.value))
    assert len(said) == 1
    assert "canary" not in said.pop()


def test_what_fails_leaves_no_byte_in_the_output() -> None:
    good, bad = b"in the clear for a test", b"canary-canary-canary"
    for parts in (1, 2):
        rows = [row for _ in range(parts) for row in sealed_rows([good, bad] * 500)]
        for at in range(1, len(rows), 2):
            row: Any = rows[at]
            rows[at] = with_(row, ct=flip(row["ct"], -1))
        plain, _ = OPENER.open_each(pa.array(rows, KIND), AAD)
        assert b"canary" not in plain.buffers()[2].to_pybytes()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"a"]),
        pa.array([1]),
        pa.array([{"key": b"a"}]),
        pa.array([{"key": b"a", "ct": b"b", "more": b"c"}]),
        pa.array([{"key": b"a", "text": b"b"}]),
        pa.array([{"key": 1, "ct": b"b"}]),
        pa.array([{"key": b"a", "ct": [b"b"]}]),
        pa.chunked_array([pa.array([b"a"])]),
    ],
    ids=lambda column: str(column.type),
)
def test_other_types_are_refused(column: Any) -> None:
    for open_ in (OPENER.decrypt, OPENER.open_each):
        with pytest.raises(SchemaError):
            open_(column, AAD)


def test_associated_data_that_does_not_fit_is_refused() -> None:
    column = pa.array([*sealed_rows([b"a"]), *sealed_rows([b"b"])], KIND)
    for aad in (pa.array(["x"]), pa.array(["x"] * 3), pa.array(["x", None]), "text", None):
        with pytest.raises(UsageError):
            OPENER.decrypt(column, aad)
        with pytest.raises(UsageError):
            SEALER.fresh().encrypt(pa.array(["a", "b"]), aad)
    with pytest.raises(SchemaError):
        SEALER.fresh().encrypt(pa.array([1, 2]), AAD)
