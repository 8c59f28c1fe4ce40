"""AES-CMAC against published vectors, the standards' examples, and its scalar twin."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privpipe.errors import EncodingError, KeysetError, SecretTravels, UsageError
from privpipe.kernels import AesCmac, _column
from privpipe.kernels._batches import batches
from privpipe.kernels._cmac import Cmac
from privpipe.kernels._reference_prf import cmac
from tests.kernels.kernels import always_alone, always_in_batches
from tests.kernels.test_vectors import by_key, records, unhex

WAYS = {"shipped": lambda *_: always_in_batches(), "batched": always_in_batches,
        "alone": always_alone}  # fmt: skip

# RFC 4493, section 4, and NIST's examples of SP 800-38B: one message, cut to 0, 16, 40, 64 bytes.
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
EXAMPLES = {
    "2b7e151628aed2a6abf7158809cf4f3c": {
        0: "bb1d6929e95937287fa37d129b756746",
        16: "070a16b46b4d4144f79bdd9dd04a287c",
        40: "dfa66747de9ae63030ca32611497c827",
        64: "51f0bebf7e3b9d92fc49741779363cfe",
    },
    "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b": {
        0: "d17ddf46adaacde531cac483de7a9367",
        16: "9e99a7bf31e710900662f65e617c5184",
        40: "8a1de5be2eb31aad089a82e6ee908b0e",
        64: "a1d5df0eed790f794d77589659f39a11",
    },
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4": {
        0: "028962f61b7bf89efc6b551f4667d983",
        16: "28a7023f452e8f82bd4bf28d8c37c35c",
        40: "aaf3d8f1de5640c232f5b169b9c911e6",
        64: "e1992190549f6ed5696a2c056c315410",
    },
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    with WAYS[request.param](Cmac):
        yield request.param


in_every_way = pytest.mark.usefixtures("way")


@in_every_way
@pytest.mark.parametrize("key", EXAMPLES, ids=len)
def test_examples_of_the_standards(key: str) -> None:
    kernel, cases = AesCmac(bytes.fromhex(key)), EXAMPLES[key]
    tags = [bytes.fromhex(tag) for tag in cases.values()]
    values = pa.array([MESSAGE[:size] for size in cases])
    assert kernel.compute(values).to_pylist() == tags
    many = pa.concat_arrays([values] * 300)
    assert kernel.compute(many).to_pylist() == tags * 300


@in_every_way
@pytest.mark.parametrize("key", EXAMPLES, ids=len)
def test_a_head_and_a_value_are_one_message(key: str) -> None:
    for size, tag in EXAMPLES[key].items():
        for cut in range(size + 1):
            kernel = AesCmac(bytes.fromhex(key), head=MESSAGE[:cut])
            tags = kernel.compute(pa.array([MESSAGE[cut:size]] * 2))
            assert tags.to_pylist() == [bytes.fromhex(tag)] * 2


@in_every_way
def test_published_vectors_singly(vectors: Path) -> None:
    valid = 0
    for case in records(vectors, "aes_cmac"):
        key, message, tag = unhex(case, "key", "msg", "tag")
        assert case["tag_bits"] == 128
        if len(key) not in (16, 24, 32):
            assert case["result"] == "invalid"
            with pytest.raises(KeysetError):
                AesCmac(key)
            continue
        made = AesCmac(key).compute(pa.array([message])).to_pylist() == [tag]
        assert made == (case["result"] == "valid"), case["id"]
        valid += made
    assert valid > 40


@in_every_way
def test_published_vectors_in_batches(vectors: Path) -> None:
    valid = [case for case in records(vectors, "aes_cmac") if case["result"] == "valid"]
    for (key,), cases in by_key(valid, "key").items():
        rows = [unhex(case, "msg", "tag") for case in cases] * 100
        column = pa.array([message for message, _ in rows], pa.binary())
        expected = pa.array([tag for _, tag in rows], pa.binary(16))
        assert AesCmac(bytes.fromhex(key)).compute(column).equals(expected)


@in_every_way
def test_vectors_that_tink_published(vectors: Path) -> None:
    items = json.loads((vectors / "tink_published.json").read_text("utf-8"))["items"]
    cases = [item for item in items if item.get("key_type") == "AesCmacPrfKey"]
    assert len(cases) > 3
    for case in cases:
        key, message, tag = unhex(case, "key", "msg", "out")
        column = pa.array([message] * 50)
        assert AesCmac(key).compute(column, size=len(tag)).to_pylist() == [tag] * 50, case["id"]


@in_every_way
def test_keysets_that_tink_made(vectors: Path) -> None:
    keysets = json.loads((vectors / "tink_interop.json").read_text("utf-8"))["keysets"]
    compared = 0
    for keyset in [each for each in keysets if each["type"] == "AES_CMAC_PRF"]:
        for key in [each for each in keyset["keys"] if each["status"] == "ENABLED"]:
            kernel, samples = AesCmac(bytes.fromhex(key["raw_key"])), keyset["samples"]
            column = pa.array([base64.b64decode(sample["msg"]) for sample in samples])
            tags = [base64.b64decode(sample["out"][str(key["id"])]) for sample in samples]
            whole = kernel.compute(column).to_pylist()
            assert [tag[: len(own)] for tag, own in zip(whole, tags, strict=True)] == tags
            for at, tag in enumerate(tags):
                cut = kernel.compute(column.slice(at, 1), size=samples[at]["out_len"])
                assert cut.to_pylist() == [tag]
            compared += len(tags)
    assert compared > 200


@in_every_way
def test_any_head_and_column_agree_with_the_twin() -> None:
    @settings(max_examples=100)
    @given(
        key=st.sampled_from([16, 24, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)),
        head=st.binary(max_size=70),
        values=st.lists(st.none() | st.binary(max_size=100), max_size=30),
        skip=st.integers(0, 3),
        size=st.integers(1, 16),
    )
    def holds(key: bytes, head: bytes, values: list[bytes | None], skip: int, size: int) -> None:
        column = pa.array(values, pa.binary())
        expected = [value if value is None else cmac(key, value, head)[:size] for value in values]
        kernel = AesCmac(key, head=head)
        chunks = pa.chunked_array([column.slice(0, skip), column.slice(skip)], column.type)
        assert kernel.compute(chunks, size=size).to_pylist() == expected
        assert kernel.compute(column.slice(skip), size=size).to_pylist() == expected[skip:]

    holds()


@in_every_way
@pytest.mark.parametrize("lead", range(16))
def test_every_border_behind_every_head(lead: int) -> None:
    values = [
        bytes([size % 256]) * size for size in [*range(52), 95, 96, 97, 1535, 1536, 1537, 5000]
    ]
    random.Random(lead).shuffle(values)
    for head in (bytes(lead), bytes(range(16 + lead)), bytes(range(160 + lead))):
        tags = AesCmac(bytes(32), head=head).compute(pa.array(values)).to_pylist()
        assert tags == [cmac(bytes(32), value, head) for value in values]


@in_every_way
def test_output_is_of_one_width_with_zeros_under_nulls() -> None:
    column = pa.array([b"Ada", None, b"Grace"] * 50)
    for size in range(1, 17):
        tags = AesCmac(bytes(32)).compute(column, size=size)
        tags.validate(full=True)
        assert tags.type == pa.binary(size)
        data = tags.buffers()[1].to_pybytes()
        assert len(data) == 150 * size
        assert data[size : 2 * size] == bytes(size)


def test_what_a_kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (0, 15, 17, 31, 33, 64):
        with pytest.raises(KeysetError):
            AesCmac(bytes(size))
    for size in (-1, 0, 17):
        with pytest.raises(UsageError):
            AesCmac(bytes(32)).compute(pa.array(["Ada"]), size=size)
    monkeypatch.setattr(_column, "LONGEST", 100)
    with pytest.raises(EncodingError):
        AesCmac(bytes(32)).compute(pa.array(["short", "x" * 101]))


def test_no_part_of_it_travels() -> None:
    kernel = AesCmac(bytes(range(32)), head=b"a head")
    assert repr(kernel) == "AesCmac(256-bit key)"
    with pytest.raises(SecretTravels):
        kernel.__reduce__()
    with pytest.raises(SecretTravels):
        kernel._cmac.__reduce_ex__(4)


def test_batches_bound_the_memory_and_leave_the_long_rows_out() -> None:
    lengths = np.array([1] * 5000 + [200] + [1] * 5000)
    (batch,) = batches(lengths, Cmac.cost)
    assert batch.long.tolist() == [5000]
    column = pa.array(np.full(600_000, "Ada Lovelace"))
    kernel = AesCmac(bytes(32))
    tracemalloc.start()
    tags = kernel.compute(column)
    peak = tracemalloc.get_traced_memory()[1] - tags.nbytes
    tracemalloc.stop()
    # The integers of take-in for each row of the column, and the buffers of one batch.
    assert peak / len(column) < 60
