"""Shift: the intervals of a subject stay, and no date leaves the calendar."""

from __future__ import annotations

import copy
import itertools
import pickle
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.errors import InvalidValue, KeysetError, SchemaError, SecretTravels, UsageError
from privpipe.kernels import Shift
from privpipe.kernels._reference_lossy import days_of, shifted

KEY = bytes(range(32))
DAYS = 3650
WIDEST = timedelta(days=DAYS)
DATES = st.dates(date.min + WIDEST, date.max - WIDEST)
MOMENTS = st.builds(datetime.combine, DATES, st.times())
TYPES = [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("us", "Europe/Berlin")]
SUBJECT = st.binary(max_size=20)


@given(
    rows=st.lists(st.tuples(st.none() | DATES, SUBJECT), max_size=20),
    days=st.integers(1, DAYS),
    head=st.binary(max_size=40),
)
def test_dates_agree_with_the_twin(
    rows: list[tuple[date | None, bytes]], days: int, head: bytes
) -> None:
    values = pa.array([row[0] for row in rows], pa.date32())
    subjects = pa.array([row[1] for row in rows], pa.binary())
    kernel = Shift(KEY, days, head=head)
    wanted = [days_of(KEY, days, row[1], head) for row in rows]
    assert kernel.offsets(subjects).to_pylist() == wanted
    moved = kernel.shift(values, subjects)
    moved.validate(full=True)
    assert moved.type == pa.date32()
    assert moved.to_pylist() == [
        None if day is None else shifted(KEY, days, day, subject, head) for day, subject in rows
    ]


@given(
    rows=st.lists(
        st.tuples(
            st.none() | MOMENTS,
            SUBJECT,
        ),
        max_size=20,
    ),
    kind=st.sampled_from(TYPES),
)
def test_moments_agree_with_the_twin(
    rows: list[tuple[datetime | None, bytes]], kind: pa.DataType
) -> None:
    values = pa.array([row[0] for row in rows], pa.timestamp("us"))
    moved = Shift(KEY, 90).shift(values.view(kind), pa.array([row[1] for row in rows], pa.binary()))
    moved.validate(full=True)
    assert moved.type == kind
    # What is moved is the moment; in which zone it is shown does not matter.
    assert moved.view(pa.timestamp("us")).to_pylist() == [
        None if moment is None else shifted(KEY, 90, moment, subject) for moment, subject in rows
    ]


def test_intervals_are_kept() -> None:
    draw = np.random.default_rng(3)
    moments = draw.integers(-(10**15), 10**15, 300)
    subjects = [f"subject {at % 20}".encode() for at in range(300)]
    values = pa.array(moments, pa.timestamp("us", "UTC"))
    moved = Shift(KEY, 30).shift(values, pa.array(subjects)).cast(pa.int64()).to_numpy()
    offsets = (moved - moments).reshape(15, 20)
    assert (offsets == offsets[0]).all()
    assert (offsets % 86_400_000_000 == 0).all()
    assert len(set(offsets[0].tolist())) > 10


def test_a_day_has_24_hours_where_clocks_change() -> None:
    kernel, subject = Shift(KEY, 1), pa.array([b"b"])
    eve = datetime(2024, 3, 30, 12, tzinfo=UTC)
    moved = kernel.shift(pa.array([eve], pa.timestamp("us", "Europe/Berlin")), subject)
    wanted = eve + timedelta(days=kernel.offsets(subject)[0].as_py())
    assert moved.cast(pa.int64())[0].as_py() == int(wanted.timestamp()) * 10**6


def test_every_number_of_days_is_drawn_about_as_often() -> None:
    drawn = Shift(KEY, 3).offsets(pa.array(np.arange(14_000)).cast(pa.string()))
    assert drawn.type == pa.int32()
    numbers, counts = np.unique(drawn.to_numpy(), return_counts=True)
    assert numbers.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    # 2000 are expected of each, with a standard deviation of 41.
    assert (abs(counts - 2000) < 200).all()


def test_key_head_and_days_change_the_draw() -> None:
    subjects = pa.array([f"subject {at}" for at in range(64)])
    kernels = [Shift(KEY, 30), Shift(KEY[::-1], 30), Shift(KEY, 30, head=bytes(16)), Shift(KEY, 31)]
    assert len({tuple(one.offsets(subjects).to_pylist()) for one in kernels}) == 4


def one_moved(kernel: Shift, sign: int) -> bytes:
    """A subject whose dates are moved that way."""
    for at in itertools.count():
        if kernel.offsets(pa.array([str(at).encode()]))[0].as_py() * sign > 0:
            return str(at).encode()
    raise AssertionError


@pytest.mark.parametrize("sign", [-1, 1])
def test_no_date_leaves_the_calendar(sign: int) -> None:
    kernel = Shift(KEY, 5)
    subject = one_moved(kernel, sign)
    days = kernel.offsets(pa.array([subject]))[0].as_py()
    end = date.min if sign < 0 else date.max
    last = end - timedelta(days=days)
    assert kernel.shift(pa.array([last]), pa.array([subject])).to_pylist() == [end]
    beyond = last + timedelta(days=sign)
    for column in (pa.array([beyond, None, last, beyond]), pa.array([end, None, last, end])):
        with pytest.raises(InvalidValue, match=r": 2 that lie outside") as caught:
            kernel.shift(column, pa.array([subject] * 4))
        assert str(beyond.year) + "-" not in str(caught.value)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_no_moment_leaves_the_calendar(kind: pa.DataType, sign: int) -> None:
    kernel = Shift(KEY, 5)
    subject = one_moved(kernel, sign)
    days = kernel.offsets(pa.array([subject]))[0].as_py()
    low, high = -62_135_596_800_000_000, 253_402_300_799_999_999
    end = low if sign < 0 else high
    last = end - days * 86_400_000_000
    moved = kernel.shift(pa.array([last], kind), pa.array([subject]))
    assert moved.cast(pa.int64()).to_pylist() == [end]
    for beyond in (last + sign, end, end + sign, sign * (2**63 - 1)):
        with pytest.raises(InvalidValue, match=r": 1 that lie outside"):
            kernel.shift(pa.array([beyond, last], kind), pa.array([subject] * 2))


def test_dates_beyond_the_calendar_do_not_come_back_into_it() -> None:
    kernel = Shift(KEY, 5)
    for number in (2_932_897, -719_163, 2**31 - 1, -(2**31)):
        subject = one_moved(kernel, -1 if number > 0 else 1)
        with pytest.raises(InvalidValue):
            kernel.shift(pa.array([number], pa.int32()).view(pa.date32()), pa.array([subject]))


def test_a_date_needs_a_subject_and_null_does_not() -> None:
    kernel, day = Shift(KEY, 5), date(2024, 1, 1)
    fine = kernel.shift(pa.array([None, day]), pa.array([None, b"a"]))
    assert fine.null_count == 1
    with pytest.raises(InvalidValue, match=r": 2 of no subject$"):
        kernel.shift(pa.array([None, day, day, day]), pa.array([None, None, b"a", None]))
    both = pa.array([date.max, day, None], pa.date32())
    with pytest.raises(InvalidValue, match=r": 1 that .*, 1 of no subject$"):
        kernel.shift(both, pa.array([one_moved(kernel, 1), None, None]))


def test_what_lies_under_a_null_is_not_looked_at() -> None:
    hidden = pa.array(np.array([2**31 - 1, 5], dtype=np.int32), mask=np.array([True, False]))
    moved = Shift(KEY, 5).shift(hidden.view(pa.date32()), pa.array([b"a", b"a"]))
    assert moved.null_count == 1


def contents(*columns: pa.Array) -> list[bytes | None]:
    """Every buffer of them."""
    return [part and part.to_pybytes() for column in columns for part in column.buffers()]


def test_every_layout() -> None:
    days = [date(2024, 1, 1) + timedelta(days=at) if at % 5 else None for at in range(40)]
    names = [None if at % 10 == 0 else f"subject {at % 7}".encode() for at in range(40)]
    kernel, plain, own = Shift(KEY, 30), pa.array(days), pa.array(names)
    whole = kernel.shift(plain, own).to_pylist()
    before = contents(plain, own)
    assert kernel.shift(plain.slice(3, 20), own.slice(3, 20)).to_pylist() == whole[3:23]
    cut = pa.chunked_array([plain.slice(0, 7), plain.slice(7)])
    parts = pa.chunked_array([own.slice(0, 11), own.slice(11)])
    for values in (cut, plain.dictionary_encode(), cut.dictionary_encode()):
        for kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
            moved = kernel.shift(values, pa.array(names, kind))
            assert (moved.type, moved.to_pylist()) == (pa.date32(), whole)
        assert kernel.shift(values, parts).to_pylist() == whole
        assert kernel.shift(values, own.dictionary_encode()).to_pylist() == whole
    nothing = kernel.shift(pa.chunked_array([], pa.date32()), pa.array([], pa.binary()))
    assert (nothing.type, len(nothing)) == (pa.date32(), 0)
    assert contents(plain, own) == before


def test_what_will_not_do() -> None:
    kernel = Shift(KEY, 5)
    for kind in (pa.int32(), pa.date64(), pa.timestamp("ns"), pa.timestamp("s"), pa.string()):
        with pytest.raises(SchemaError):
            kernel.shift(pa.array([None], kind), pa.array([b"a"]))
    with pytest.raises(SchemaError):
        kernel.shift(pa.array([date.min]), pa.array([1]))
    with pytest.raises(UsageError, match="2 subjects for 1 dates"):
        kernel.shift(pa.array([date.min]), pa.array([b"a", b"b"]))
    for days in (0, -1, 3_652_059):
        with pytest.raises(UsageError):
            Shift(KEY, days)
    with pytest.raises(KeysetError):
        Shift(KEY[:5], 5)


def test_the_widest_shift() -> None:
    drawn = Shift(KEY, 3_652_058).offsets(pa.array([str(at) for at in range(100)])).to_numpy()
    assert drawn.min() < -(10**6)
    assert drawn.max() > 10**6


@pytest.mark.parametrize("send", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_shows_no_key_and_does_not_travel(send: Any) -> None:
    kernel = Shift(KEY, 30, head=b"head")
    assert repr(kernel) == "Shift(30 days)"
    with pytest.raises(SecretTravels):
        send(kernel)
