"""Padding: what comes back is what was put in, and the length tells the bucket alone."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.arrow import padded, unpadded
from privpipe.errors import EncodingError

VALUES = st.lists(st.none() | st.binary(max_size=100) | st.just(b"\0" * 60))


@given(values=VALUES, bucket=st.sampled_from([8, 32]), cut=st.integers(0, 3))
def test_there_and_back(values: list[bytes | None], bucket: int, cut: int) -> None:
    for kind in (pa.binary(), pa.large_binary()):
        array = pa.array(values, kind)[cut:]
        found = padded(array, bucket)
        for value, longer in zip(array.to_pylist(), found.to_pylist(), strict=True):
            if value is None:
                assert longer is None
                continue
            head = struct.pack(">I", len(value)) + value
            assert longer == head + bytes(-len(head) % bucket)
        assert unpadded(found, bucket).to_pylist() == array.to_pylist()
        assert unpadded(found[1:], bucket).to_pylist() == array.to_pylist()[1:]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0\0\0",
        struct.pack(">I", 29) + bytes(28),
        struct.pack(">I", 4) + bytes(60),
        b"\xff" * 32,
    ],
)
def test_what_was_never_padded_is_refused(value: bytes) -> None:
    with pytest.raises(EncodingError):
        unpadded(pa.array([None, value]), 32)
