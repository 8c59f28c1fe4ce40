"""Many needles at once are found as each one alone would be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.testing._needles import _BLOCK, HEAD, Needles

LETTERS = st.binary(max_size=60).map(lambda text: bytes(b"ab"[each & 1] for each in text))
NEEDLES = st.lists(LETTERS.filter(lambda text: len(text) >= HEAD), max_size=12)


@given(needles=NEEDLES, content=LETTERS)
def test_it_finds_what_bytes_finds(needles: list[bytes], content: bytes) -> None:
    """Two letters alone, so that needles share heads, repeat and overlap."""
    for text in (content, b"".join(needles), b"a".join(needles)):
        found = list(Needles(zip(needles, range(99), strict=False)).inside(text))
        assert found == [at for at, needle in enumerate(needles) if needle in text]


@pytest.mark.parametrize("at", [0, 1, _BLOCK - 9, _BLOCK - 8, _BLOCK - 1, _BLOCK, 2 * _BLOCK - 3])
@pytest.mark.parametrize("length", [HEAD, HEAD + 5])
def test_where_blocks_meet(at: int, length: int) -> None:
    filler = random.Random(at).randbytes(2 * _BLOCK + 30)
    needle = b"\xffneedle, and more"[:length]
    content = filler[:at] + needle + filler[at:]
    needles = Needles([(needle, "it"), (needle[:-1] + b"?", "another")])
    assert list(needles.inside(content)) == ["it"]
    assert list(needles.inside(content[: at + length])) == ["it"], "at the very end"
    assert list(needles.inside(content[: at + length - 1])) == []


def test_a_short_needle_is_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes"):
        Needles([(b"1234567", "short")])
