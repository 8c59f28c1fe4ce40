"""HMAC against published vectors, the standard's examples, and its scalar twin."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.errors import EncodingError, KeysetError, SecretTravels, UsageError
from privpipe.kernels import HmacSha256, HmacSha512, _column, _hmac
from privpipe.kernels._pack import Bytes
from privpipe.kernels._reference_prf import hmac_sha256
from tests.kernels.test_vectors import by_key, records, unhex

# RFC 4231, test cases 1, 2, 5 (cut to 128 bits), 6 and 7.
EXAMPLES = [
    (b"\x0b" * 20, b"Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
    (b"\xaa" * 131, b"This is a test using a larger than block-size key and a larger than "
     b"block-size data. The key needs to be hashed before being used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
]  # fmt: skip


@pytest.mark.parametrize("case", EXAMPLES, ids=range(5))
def test_examples_of_the_standard(case: tuple[bytes, bytes, str]) -> None:
    key, message, text = case
    tag = bytes.fromhex(text)
    for cut in range(len(message) + 1):
        kernel = HmacSha256(key, head=message[:cut])
        tags = kernel.compute(pa.array([message[cut:], None]), size=len(tag))
        assert tags.to_pylist() == [tag, None]


def test_published_vectors_singly(vectors: Path) -> None:
    valid = 0
    for case in records(vectors, "hmac"):
        if case["hash"] != "SHA256":
            continue
        key, message, tag = unhex(case, "key", "msg", "tag")
        made = HmacSha256(key).compute(pa.array([message]), size=len(tag)).to_pylist() == [tag]
        assert made == (case["result"] == "valid"), case["id"]
        valid += made
    assert valid > 30


def test_published_vectors_over_sha_512(vectors: Path) -> None:
    valid = 0
    for case in records(vectors, "hmac"):
        if case["hash"] != "SHA512":
            continue
        key, message, tag = unhex(case, "key", "msg", "tag")
        made = HmacSha512(key, head=message[:5]).compute(pa.array([message[5:]]), size=len(tag))
        assert (made.to_pylist() == [tag]) == (case["result"] == "valid"), case["id"]
        valid += made.to_pylist() == [tag]
    assert valid == 30


def test_published_vectors_in_batches(vectors: Path) -> None:
    valid = [
        case
        for case in records(vectors, "hmac")
        if case["result"] == "valid" and case["hash"] == "SHA256"
    ]
    for (key, bits), cases in by_key(valid, "key", "tag_bits").items():
        rows = [unhex(case, "msg", "tag") for case in cases] * 20
        column = pa.array([message for message, _ in rows], pa.binary())
        tags = HmacSha256(bytes.fromhex(key)).compute(column, size=int(bits) // 8)
        assert tags.to_pylist() == [tag for _, tag in rows]


def test_vectors_that_tink_published(vectors: Path) -> None:
    items = json.loads((vectors / "tink_published.json").read_text("utf-8"))["items"]
    cases = [
        item for item in items if item.get("key_type") == "HmacPrfKey" and item["hash"] == "SHA256"
    ]
    assert cases
    for case in cases:
        key, message, tag = unhex(case, "key", "msg", "out")
        tags = HmacSha256(key).compute(pa.array([message] * 3), size=len(tag))
        assert tags.to_pylist() == [tag] * 3


def test_keysets_that_tink_made(vectors: Path) -> None:
    keysets = json.loads((vectors / "tink_interop.json").read_text("utf-8"))["keysets"]
    compared = 0
    made = {"HMAC_SHA256_PRF": HmacSha256, "HMAC_SHA512_PRF": HmacSha512}
    for keyset in [each for each in keysets if each["type"] in made]:
        for key in [each for each in keyset["keys"] if each["status"] == "ENABLED"]:
            kernel, samples = made[keyset["type"]](bytes.fromhex(key["raw_key"])), keyset["samples"]
            column = pa.array([base64.b64decode(sample["msg"]) for sample in samples])
            tags = [base64.b64decode(sample["out"][str(key["id"])]) for sample in samples]
            whole = kernel.compute(column).to_pylist()
            assert [tag[: len(own)] for tag, own in zip(whole, tags, strict=True)] == tags
            for at, tag in enumerate(tags):
                cut = kernel.compute(column.slice(at, 1), size=samples[at]["out_len"])
                assert cut.to_pylist() == [tag]
            compared += len(tags)
    assert compared > 400


@settings(max_examples=100)
@given(
    key=st.binary(min_size=1, max_size=140),
    head=st.binary(max_size=140),
    values=st.lists(st.none() | st.binary(max_size=400), max_size=20),
    skip=st.integers(0, 3),
    size=st.integers(1, 32),
)
def test_any_head_and_column_agree_with_the_twin(
    key: bytes, head: bytes, values: list[bytes | None], skip: int, size: int
) -> None:
    column = pa.array(values, pa.binary())
    expected = [
        value if value is None else hmac_sha256(key, value, head)[:size] for value in values
    ]
    kernel = HmacSha256(key, head=head)
    chunks = pa.chunked_array([column.slice(0, skip), column.slice(skip)], column.type)
    assert kernel.compute(chunks, size=size).to_pylist() == expected
    assert kernel.compute(column.slice(skip), size=size).to_pylist() == expected[skip:]


@pytest.mark.parametrize("size", [3, _hmac._LONG, _hmac._LONG + 1])
def test_equal_values_are_hashed_once_unless_they_are_long(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    inner = HmacSha256._tags

    def counted(self: HmacSha256, values: pa.Array) -> Bytes:
        hashed.append(len(values))
        return inner(self, values)

    monkeypatch.setattr(HmacSha256, "_tags", counted)
    column = pa.array([b"a" * size, None, b"b" * size, b"a" * size] * 50)
    tags = HmacSha256(bytes(32)).compute(column)
    assert tags.to_pylist() == [
        value and hmac_sha256(bytes(32), value) for value in column.to_pylist()
    ]
    assert hashed == [2 if size <= _hmac._LONG else 150]


def test_what_a_kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeysetError):
        HmacSha256(b"")
    for size in (-1, 0, 33):
        with pytest.raises(UsageError):
            HmacSha256(bytes(32)).compute(pa.array(["Ada"]), size=size)
    monkeypatch.setattr(_column, "LONGEST", 100)
    with pytest.raises(EncodingError):
        HmacSha256(bytes(32)).compute(pa.array(["short", "x" * 101]))


def test_it_does_not_travel() -> None:
    kernel = HmacSha256(bytes(range(32)))
    assert repr(kernel) == "HmacSha256(key)"
    with pytest.raises(SecretTravels):
        kernel.__reduce__()
