"""Dictionary: the same entry for the same value, and every entry about as often."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import KeysetError, SchemaError, SecretTravels, UsageError
from privpipe.kernels import AesCmac, Dictionary, _words
from privpipe.kernels._reference_lossy import entry

KEY = bytes(range(32))
ENTRIES = ["Alpha", "Beta", "Gamma"]


@given(
    values=st.lists(st.none() | st.binary(max_size=40), max_size=20),
    entries=st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=40, unique=True),
    size=st.sampled_from([16, 24, 32]),
    head=st.binary(max_size=40),
)
def test_the_twin_agrees(
    values: list[bytes | None], entries: list[str], size: int, head: bytes
) -> None:
    key = KEY[:size]
    made = Dictionary(key, entries, head=head).replace(pa.array(values, pa.binary()))
    made.validate(full=True)
    assert made.type == pa.string()
    assert made.to_pylist() == [
        None if value is None else entry(key, entries, value, head) for value in values
    ]


def test_the_draw_is_the_tag_as_written() -> None:
    """By hand from the documented rule, for a number of entries that is no power of two."""
    values = pa.array([f"value {at}" for at in range(50)])
    entries = [f"entry {at}" for at in range(1000)]
    tags = AesCmac(KEY, head=b"h").compute(values).to_pylist()
    wanted = [entries[int.from_bytes(tag[:8], "big") % 1000] for tag in tags]
    assert Dictionary(KEY, entries, head=b"h").replace(values).to_pylist() == wanted
    # Read as signed, half of the numbers would lead elsewhere.
    assert any(tag[0] >= 0x80 for tag in tags)


def test_text_and_its_bytes_have_one_entry() -> None:
    texts = ["Ada", "Zoë", "", None]
    coded = [None if text is None else text.encode() for text in texts]
    kernel = Dictionary(KEY, ENTRIES)
    assert kernel.replace(pa.array(texts)).equals(kernel.replace(pa.array(coded)))


def test_key_head_and_list_change_the_draw() -> None:
    values = pa.array([f"value {at}" for at in range(64)])
    drawn = [
        Dictionary(KEY, ENTRIES).replace(values),
        Dictionary(KEY[::-1], ENTRIES).replace(values),
        Dictionary(KEY, ENTRIES, head=bytes(16)).replace(values),
        Dictionary(KEY, ENTRIES[::-1]).replace(values),
        Dictionary(KEY, [*ENTRIES, "Delta"]).replace(values),
    ]
    assert len({tuple(each.to_pylist()) for each in drawn}) == 5


def test_every_entry_is_drawn_about_as_often() -> None:
    values = pa.array(np.arange(14_000)).cast(pa.string())
    entries = [f"entry {at}" for at in range(7)]
    counts = Dictionary(KEY, entries).replace(values).value_counts().field("counts")
    assert len(counts) == 7
    # 2000 are expected of each, with a standard deviation of 41.
    assert all(1800 < count < 2200 for count in counts.to_pylist())


@pytest.mark.parametrize(
    "entries", [[], ["Ulm"], ["Ulm", ""], ["Ulm", "Bonn", "Ulm"], ["Ulm", "\ud800"]]
)
def test_lists_that_will_not_do(entries: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        Dictionary(KEY, entries)
    assert "Ulm" not in str(caught.value)


def test_keys_and_columns_that_will_not_do() -> None:
    with pytest.raises(KeysetError):
        Dictionary(KEY[:31], ENTRIES)
    with pytest.raises(SchemaError):
        Dictionary(KEY, ENTRIES).replace(pa.array([1, 2]))


def test_past_two_gibibytes_it_is_a_large_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_words, "LARGE", 40)
    kernel, values = Dictionary(KEY, ["a" * 9, "b" * 9]), pa.array(["x", None, "y", "z", "w"])
    small, large = (kernel.replace(pa.concat_arrays([values] * times)) for times in (1, 2))
    assert (small.type, large.type) == (pa.string(), pa.large_string())
    assert large.to_pylist()[:5] == small.to_pylist()
    # What is null has no length, and does not make the column large.
    assert kernel.replace(pa.array(["x", None, None, None, None, None])).type == pa.string()


def test_the_caller_may_change_the_list_afterwards() -> None:
    entries, values = list(ENTRIES), pa.array(["a", "b", "c", "d"])
    kernel = Dictionary(KEY, entries)
    before = kernel.replace(values)
    entries.clear()
    assert kernel.replace(values).equals(before)


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_shows_no_key_and_does_not_travel(send: Any) -> None:
    kernel = Dictionary(KEY, ENTRIES, head=b"head")
    assert repr(kernel) == "Dictionary(3 entries)"
    with pytest.raises(SecretTravels):
        send(kernel)
