"""Kryptonite's k2 fields: the layout of its source, and end to end with the kernels."""

from __future__ import annotations

import base64
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.errors import DecryptionError, InvalidValue, SchemaError
from privpipe.kernels import AesGcm, AesSiv, _reference_foreign, parse_k2, read_avro
from privpipe.kernels._k2 import K2
from tests.kernels.foreign import buffers, layouts, records, same_as

TINK = b"\x01\x3b\x9a\xca\x01"


def field(
    sealed: bytes = TINK + bytes(28), *, key_id: str = "keyA", algorithm: bytes = b"02",
    serde: bytes = b"01",
) -> str:  # fmt: skip
    return _reference_foreign.k2_write(serde, algorithm, key_id, sealed).decode()


def published(vectors: Path) -> tuple[bytes, bytes, list[dict[str, str]]]:
    """The raw key, prefix and samples that Kryptonite's documentation has of keyset `keyA`."""
    found = [
        record
        for record in records(vectors, "tink_published")
        if record["kind"] == "keyset_ciphertexts" and "kryptonite" in record["source"]
    ]
    assert len(found) == 1
    keys = found[0]["keyset"]["key"]
    proto = base64.b64decode(keys[0]["keyData"]["value"])
    assert proto[:2] == b"\x1a\x10"  # field 3, of 16 bytes: the key
    prefix = b"\x01" + int(keys[0]["keyId"]).to_bytes(4, "big")
    return proto[2:], prefix, found[0]["samples"]


def test_the_published_samples_are_of_the_older_format(vectors: Path) -> None:
    """Their ciphertexts open; what they open to is Kryo's, and their envelope is refused."""
    key, prefix, samples = published(vectors)
    assert len(samples) == 6
    sealed = pa.array([bytes.fromhex(sample["ct"]) for sample in samples])
    opened = AesGcm(key).decrypt(sealed, b"k102keyA", prefix=prefix)
    assert opened.to_pylist() == [bytes.fromhex(sample["pt"]) for sample in samples]
    for sample in samples:
        with pytest.raises(InvalidValue, match="k1") as caught:
            parse_k2(pa.array([sample["envelope_b64"]]))
        assert sample["envelope_b64"][:8] not in str(caught.value)


SCHEMA = {
    "type": "record",
    "name": "person",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "age", "type": ["null", "int"]},
    ],
}


@pytest.mark.parametrize("algorithm", [b"02", b"03"])
def test_fields_under_the_published_key_end_to_end(vectors: Path, algorithm: bytes) -> None:
    key, prefix, _ = published(vectors)
    kernel: Any = AesGcm(key) if algorithm == b"02" else AesSiv(key * 4)
    rows = [{"name": "Ada", "age": (1, 36)}, {"name": "Grace", "age": (0, None)}]
    plain = [_reference_foreign.avro_write(SCHEMA, row) for row in rows]
    aad = b"k2" + algorithm + b"keyA"
    sealed = kernel.encrypt(pa.array(plain), aad, prefix=prefix).to_pylist()
    fields = [field(sealed[0], algorithm=algorithm), None, field(sealed[1], algorithm=algorithm)]
    parsed = parse_k2(pa.array(fields))
    assert parsed.aad == aad
    opened = kernel.decrypt(parsed.ciphertexts, parsed.aad, prefix=prefix)
    assert read_avro(opened).to_pylist() == [
        {"name": "Ada", "age": 36}, None, {"name": "Grace", "age": None},
    ]  # fmt: skip
    # The head is authenticated, but for the serde.
    other = b"03" if algorithm == b"02" else b"02"
    for wrong in (
        field(sealed[0], algorithm=algorithm, key_id="keyB"),
        field(sealed[0], algorithm=other),
    ):
        parsed = parse_k2(pa.array([wrong]))
        with pytest.raises(DecryptionError):
            kernel.decrypt(parsed.ciphertexts, parsed.aad, prefix=prefix)


def rows_of(parsed: K2) -> list[tuple[Any, ...]]:
    count = len(parsed.ciphertexts)
    aads = [parsed.aad] * count if isinstance(parsed.aad, bytes) else parsed.aad.to_pylist()
    parsed.ciphertexts.validate(full=True)
    parsed.key_ids.validate(full=True)
    parsed.algorithms.validate(full=True)
    return [
        (algorithm, key_id, aad if sealed is not None else None, sealed)
        for algorithm, key_id, aad, sealed in zip(
            parsed.algorithms.to_pylist(), parsed.key_ids.to_pylist(), aads,
            parsed.ciphertexts.to_pylist(), strict=True,
        )
    ]  # fmt: skip


def test_several_keysets_and_algorithms_in_one_column() -> None:
    fields = [
        field(key_id="keyA"), None, field(key_id="ключ", algorithm=b"03"), field(key_id=""),
        field(key_id="k" * 255, sealed=bytes(16)), field(key_id="keyA"),
    ]  # fmt: skip
    parsed = parse_k2(pa.array(fields))
    assert pa.types.is_dictionary(parsed.key_ids.type)
    assert parsed.key_ids.to_pylist() == ["keyA", None, "ключ", "", "k" * 255, "keyA"]
    assert parsed.algorithms.to_pylist() == [
        "AES-GCM", None, "AES-SIV", "AES-GCM", "AES-GCM", "AES-GCM",
    ]  # fmt: skip
    assert not isinstance(parsed.aad, bytes)
    assert parsed.aad.to_pylist()[2] == "k203ключ".encode()
    assert parsed.ciphertexts.to_pylist()[4] == bytes(16)


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_nothing_and_nulls(values: list[None]) -> None:
    parsed = parse_k2(pa.array(values, pa.string()))
    assert rows_of(parsed) == [(None, None, None, None)] * len(values)


TEXTS = [field(), None, field(key_id="b", sealed=bytes(99)), field()]


@pytest.mark.parametrize("layout", layouts(TEXTS))
def test_every_layout(layout: str) -> None:
    column = layouts(TEXTS)[layout]
    before = None if isinstance(column, pa.ChunkedArray) else buffers(column)
    want = [(None,) * 4 if text is None else want_of(text.encode()) for text in TEXTS]
    assert rows_of(parse_k2(column)) == same_as(layout, want)
    if before is not None:
        assert buffers(column) == before


def want_of(text: bytes) -> tuple[str, str, bytes, bytes]:
    algorithm, key_id, aad, sealed = _reference_foreign.k2_parse(text)
    return {"02": "AES-GCM", "03": "AES-SIV"}[algorithm], key_id, aad, sealed


REFUSED = {
    "Kryo": (field(serde=b"00"), "Kryo"),
    "a serde of tomorrow": (field(serde=b"02"), "unknown serde"),
    "FPE": (field(algorithm=b"04"), "FF3-1"),
    "envelope, keyset": (field(algorithm=b"05"), "a keyset wraps"),
    "envelope, KMS": (field(algorithm=b"06"), "a KMS wraps"),
    "another algorithm": (field(algorithm=b"01"), "unknown algorithm"),
    "cut off": (field(sealed=bytes(15)), "cut off"),
    "a key id beyond the end": (base64.b64encode(b"k20102\xff" + bytes(60)).decode(), "cut off"),
    "a key id that is no text": (base64.b64encode(b"k20102\x01\xff" + bytes(60)).decode(), "UTF-8"),
    "too short": (base64.b64encode(b"k20102").decode(), "too short"),
    "empty": ("", "too short"),
    "another magic": (base64.b64encode(b"k3" + bytes(60)).decode(), "no k2 field"),
    "no base64": ("k20102keyA!!", "not base64"),
    "no padding": (field(sealed=bytes(33)).rstrip("="), "not base64"),
    "urlsafe base64": (field(sealed=b"\xff\xfe\xfd" * 16).replace("/", "_"), "not base64"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_readable_field_is_refused(case: str) -> None:
    text, words = REFUSED[case]
    for column in ([text], [field(), text], [text, None, field(key_id="b")]):
        with pytest.raises(InvalidValue, match=words) as caught:
            parse_k2(pa.array(column))
        assert len(text) < 8 or text not in str(caught.value)


def test_numbers_are_no_fields() -> None:
    with pytest.raises(SchemaError):
        parse_k2(pa.array([1]))


FIELDS = st.builds(
    lambda key_id, algorithm, sealed: field(sealed, key_id=key_id, algorithm=algorithm),
    st.text(max_size=12, alphabet=st.characters(exclude_categories=["Cs"])),
    st.sampled_from([b"02", b"03"]),
    st.binary(min_size=16, max_size=60),
)


@given(texts=st.lists(st.none() | FIELDS, max_size=12))
@settings(deadline=None, max_examples=100)
def test_it_agrees_with_its_twin(texts: list[str | None]) -> None:
    want = [(None,) * 4 if text is None else want_of(text.encode()) for text in texts]
    assert rows_of(parse_k2(pa.array(texts, pa.string()))) == want


@given(text=FIELDS, at=st.integers(0, 500), put=st.binary(min_size=1, max_size=1))
@settings(deadline=None, max_examples=200)
def test_a_changed_field_is_read_by_both_or_by_none(text: str, at: int, put: bytes) -> None:
    raw = bytearray(text.encode())
    raw[at % len(raw)] = put[0]
    try:
        want = [want_of(bytes(raw))]
    except (InvalidValue, UnicodeDecodeError):
        with pytest.raises(InvalidValue):
            parse_k2(pa.array([bytes(raw)]))
        return
    assert rows_of(parse_k2(pa.array([bytes(raw)]))) == want


def test_a_long_column() -> None:
    draw = random.Random(5)
    texts = [field(draw.randbytes(draw.randint(16, 90))) for _ in range(3000)]
    parsed = parse_k2(pa.array(texts))
    assert parsed.aad == b"k202keyA"
    assert rows_of(parsed) == [want_of(text.encode()) for text in texts]
