"""Masks that keep the characters of a list."""

from __future__ import annotations

import doctest

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import SchemaError, UsageError
from privpipe.kernels import _masks, masks
from privpipe.kernels._reference_lossy import masked

CHARS = st.sampled_from("ab1-. é\0€😀\U0001e030")
TEXTS = st.lists(st.none() | st.text(CHARS, max_size=9), max_size=12)
KEEP = st.text(CHARS, max_size=3) | st.just("punctuation")
ENDS = st.integers(0, 4)


@given(texts=TEXTS, first=ENDS, last=ENDS, keep=KEEP, char=CHARS)
def test_the_twin_agrees(
    texts: list[str | None], first: int, last: int, keep: str, char: str
) -> None:
    made = masks(pa.array(texts, pa.string()), first=first, last=last, keep=keep, char=char)
    made.validate(full=True)
    assert made.to_pylist() == [
        None if text is None else masked(text, first, last, keep, char) for text in texts
    ]


@given(rows=st.lists(st.lists(st.sampled_from([*b"a-\xc3\xa9\xe2\x82\xac\xf0"]).map(int))))
def test_bytes_that_are_no_utf8_show_nothing_of_the_next_row(rows: list[list[int]]) -> None:
    cells = [bytes(row) for row in rows]
    made = masks(
        pa.array(cells, pa.binary()).view(pa.string()), first=0, last=1, keep="-", char="*"
    )
    made.validate(full=True)
    texts = [cell.decode(errors="replace") for cell in cells]
    assert made.to_pylist() == [masked(text, 0, 1, "-", "*") for text in texts]


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str
)
def test_every_layout_of_text(kind: pa.DataType) -> None:
    texts = ["ab-cd", None, "", "é-"] * 3
    column = pa.array(texts, pa.string()).cast(kind).slice(1, 9)
    made = masks(column, first=0, last=1, keep="-", char="*")
    assert made.to_pylist() == [None, "", "*-", "**-*d", None, "", "*-", "**-*d", None]


SCRIPTS = [
    "078-05-1120",
    "Žluťoučký kůň",
    "x\ny\r\n\\$[]^-&&~",
    "नमस्ते!",
    "Cafe\u0301, 3½ ⠓⠊ Ⓐ",
    "𝔘𝔫𝔦-7 😀\U0001e030",
    "\ue000\u0378\u200d",
]


def test_punctuation_is_no_part_of_a_word() -> None:
    made = masks(pa.array(SCRIPTS), first=0, last=0, keep="punctuation", char="*").to_pylist()
    assert made == [masked(text, 0, 0, "punctuation", "*") for text in SCRIPTS]
    assert made[:5] == [
        "***-**-****",
        "********* ***",
        "*\n*\r\n\\$[]^-&&~",
        "******!",
        "*****, ** ** *",
    ]


def test_what_lies_under_a_null_is_not_read() -> None:
    offsets = pa.py_buffer(np.array([0, 3, 9, 12], dtype=np.int32))
    column = pa.Array.from_buffers(
        pa.string(), 3, [pa.py_buffer(b"\x05"), offsets, pa.py_buffer(b"a-bSECRETc-d")]
    )
    assert masks(column, first=0, last=0, keep="-", char="*").to_pylist() == ["*-*", None, "*-*"]


def test_what_it_refuses() -> None:
    for char in ("", "ab"):
        with pytest.raises(UsageError):
            masks(pa.array(["a"]), first=0, last=0, keep="-", char=char)
    with pytest.raises(UsageError):
        masks(pa.array(["a"]), first=-1, last=0, keep="-", char="*")
    with pytest.raises(SchemaError):
        masks(pa.array([1]), first=0, last=0, keep="-", char="*")


def test_its_examples() -> None:
    assert doctest.testmod(_masks).failed == 0
