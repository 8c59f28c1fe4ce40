"""What a column seems to hold, told with no key."""

from __future__ import annotations

import base64
import os

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.errors import SchemaError
from privpipe.kernels import AesGcm, AesSiv, Fernet, _reference_foreign, classify, recognize
from privpipe.kernels._recognize import KINDS, Recognized
from tests.kernels.foreign import buffers, layouts, same_as

PLAIN, TINK, TINK_TEXT, FERNET, K2, DLP, VAULT = range(7)


def tink(key_id: int, value: str = "Ada", kernel: AesGcm | AesSiv | None = None) -> bytes:
    prefix = b"\x01" + key_id.to_bytes(4, "big")
    sealed: bytes = (
        (kernel or AesGcm(bytes(32))).encrypt(pa.array([value]), b"", prefix=prefix)[0].as_py()
    )
    return sealed


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


SURROGATE = "PHONE_TOKEN(36):" + text(b"\x01" + bytes(26))
TRANSIT = "vault:v3:" + text(bytes(40))
TOKEN = Fernet(bytes(32)).encrypt(pa.array([""]), now=1_700_000_000)[0].as_py()
FIELD = _reference_foreign.k2_write(b"01", b"02", "keyA", tink(5)).decode()
TEXTS = [text(tink(2**32 - 1)), None, TOKEN, FIELD, SURROGATE, TRANSIT, "", "Ada"]
CODES = [TINK_TEXT, None, FERNET, K2, DLP, VAULT, PLAIN, PLAIN]


@pytest.mark.parametrize("layout", layouts(TEXTS))
def test_every_layout(layout: str) -> None:
    column = layouts(TEXTS)[layout]
    before = None if isinstance(column, pa.ChunkedArray) else buffers(column)
    found = classify(column)
    assert found.type == pa.uint8()
    assert found.to_pylist() == same_as(layout, CODES)
    if before is not None:
        assert buffers(column) == before


def test_binary_ciphertexts() -> None:
    values = [tink(1), None, tink(2, "", AesSiv(bytes(64))), b"\x01" + bytes(19), b"", b"\x00" * 30]
    values += [AesGcm(bytes(32)).encrypt(pa.array(["x"]), b"", nonces=b"\2" * 12)[0].as_py()]
    assert classify(pa.array(values)).to_pylist() == [TINK, None, TINK, PLAIN, PLAIN, PLAIN, PLAIN]


PLAINTEXTS = [
    "Academic year 2024, first term...", "Addison", "AQ", "A" * 28, "gAAAAA", "gAAAAA" + "A" * 93,
    "gAAAAA" + "A" * 95, "k20102", "azIwMTAyBGtleUE=", FIELD[:-1], "vault:", "vault:v1",
    "vault:x1:AA",
    "PHONE_TOKEN(36)", "PHONE_TOKEN(36):AAAA", "f(x):y", "see (1):x", text(b"\x01" + bytes(19)),
    text(tink(7))[:-1], "naïve (3):abc", "ü" * 40, "\x01short", "AQ==" * 8, "2024-01-01",
    "(4):AAAA",
]  # fmt: skip


@pytest.mark.parametrize("value", PLAINTEXTS, ids=range(len(PLAINTEXTS)))
def test_what_only_resembles_them_is_plain(value: str) -> None:
    assert classify(pa.array([value, "x" * 200])).to_pylist() == [PLAIN, PLAIN]


def test_every_k2_field_is_known_by_its_head() -> None:
    for serde in (b"00", b"01"):
        for algorithm in (b"02", b"03", b"04", b"05", b"06"):
            made = _reference_foreign.k2_write(serde, algorithm, "k", bytes(21))
            assert classify(pa.array([made])).to_pylist() == [K2]
    assert classify(pa.array([text(b"k20901" + bytes(40))])).to_pylist() == [PLAIN]


def test_a_summary() -> None:
    values = [*[tink(7)] * 3, tink(2**31 + 5), b"Ada", b"Ada", *[None] * 9]
    assert recognize(pa.array(values)) == (
        Recognized(kind="tink", count=4, key_ids=(7, 2**31 + 5), distinct_keys=2),
        Recognized(kind="plain", count=2, key_ids=(), distinct_keys=0),
    )
    texts = [text(tink(at)) for at in range(1, 41)]
    (found,) = recognize(pa.array(texts))
    assert found.kind == "tink base64"
    assert found.distinct_keys == 40
    assert len(found.key_ids) == 16
    assert set(found.key_ids) <= set(range(1, 41))


@pytest.mark.parametrize("values", [[], [None]])
def test_nothing_and_nulls(values: list[None]) -> None:
    assert classify(pa.array(values, pa.string())).to_pylist() == values
    assert recognize(pa.array(values, pa.binary())) == ()


def test_numbers_have_no_kind() -> None:
    for work in (classify, recognize):
        with pytest.raises(SchemaError):
            work(pa.array([1]))


def test_a_summary_holds_no_value() -> None:
    secret = "vault:v1:" + text(os.urandom(40))
    assert secret[9:20] not in repr(recognize(pa.array([secret])))


@given(values=st.lists(st.none() | st.binary(max_size=120), max_size=20))
@settings(deadline=None, max_examples=100)
def test_any_bytes_have_a_kind(values: list[bytes | None]) -> None:
    codes = classify(pa.array(values, pa.binary())).to_pylist()
    assert [code is None for code in codes] == [value is None for value in values]
    assert all(code is None or code < len(KINDS) for code in codes)
    # A value is judged by itself, whatever stands beside it.
    alone = [classify(pa.array([value], pa.binary()))[0].as_py() for value in values]
    assert codes == alone
    assert sum(found.count for found in recognize(pa.array(values, pa.binary()))) == len(
        [value for value in values if value is not None]
    )
