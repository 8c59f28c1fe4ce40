"""Base64 of many rows: the standard library is the judge, and only its own text is read."""

from __future__ import annotations

import base64
import binascii

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privpipe.kernels._base64 import decode_rows, encode_groups, flatten
from privpipe.kernels._pack import Slices

CHARACTERS = st.sampled_from([*b"AZaz09+/-_==\n!\x00\xff"])


def rows_of(texts: list[bytes], between: int = 0) -> Slices:
    """Rows with so many bytes between them."""
    data = b"".join(text + b"?" * between for text in texts) + bytes(16)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    starts = np.cumsum(lengths + between) - lengths - between
    return Slices(data=np.frombuffer(data, dtype=np.uint8), starts=starts, lengths=lengths)


def twin(text: bytes, *, urlsafe: bool) -> bytes | None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    standard = text.translate(bytes.maketrans(b"-_", b"+/")) if urlsafe else text
    try:
        raw = binascii.a2b_base64(standard)
    except binascii.Error:
        return None
    return raw if encode(raw) == text else None


@given(
    texts=st.lists(
        st.binary(max_size=40).map(base64.urlsafe_b64encode)
        | st.binary(max_size=40).map(base64.b64encode)
        | st.lists(CHARACTERS, max_size=12).map(bytes),
        max_size=12,
    ),
    urlsafe=st.booleans(),
    between=st.integers(0, 5),
)
@example(texts=[b"AA==", b"AB==", b"AAA=", b"AAB=", b"=AAA", b"A=AA", b"AA=A", b"===="],
         urlsafe=False, between=0)  # fmt: skip
@example(texts=[b"", b"AAA", b"AAAA", b"A"], urlsafe=True, between=1)
@settings(deadline=None, max_examples=300)
def test_rows_are_read_as_the_library_writes_them(
    texts: list[bytes], urlsafe: bool, between: int
) -> None:
    decoded = decode_rows(rows_of(texts, between), urlsafe=urlsafe)
    found = [
        bytes(view) if sound else None
        for view, sound in zip(decoded.rows.views(), decoded.sound, strict=True)
    ]
    assert found == [twin(text, urlsafe=urlsafe) for text in texts]
    reach = decoded.rows.starts + decoded.rows.lengths + 16
    assert len(texts) == 0 or int(reach[decoded.sound].max(initial=0)) <= len(decoded.rows.data)


@given(values=st.lists(st.binary(max_size=40), min_size=1, max_size=12), urlsafe=st.booleans())
@settings(deadline=None, max_examples=100)
def test_rows_are_written_as_the_library_does(values: list[bytes], urlsafe: bool) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    data = b"".join(value + bytes(-len(value) % 3) for value in values)
    lengths = np.array([len(value) for value in values])
    text = encode_groups(np.frombuffer(data, dtype=np.uint8), lengths, urlsafe=urlsafe)
    assert text.tobytes() == b"".join(encode(value) for value in values)


@pytest.mark.parametrize("between", [0, 1, 7, 300])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 1], [2], [0, 3]])
def test_rows_are_put_together(between: int, order: list[int]) -> None:
    texts = [b"one", b"", b"three", b"4" * 50]
    rows = rows_of(texts, between).only(np.array(order))
    assert flatten(rows).tobytes() == b"".join(texts[at] for at in order)
    assert flatten(rows.only(slice(0, 0))).tobytes() == b""
