"""Fixed point: every value has a stated fate, sums have no order, and overflow is foreseen."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.dp import FixedPoint, check_sum
from privpipe.errors import BudgetError, FixedOverflow, SchemaError

CENTS = FixedPoint.of(low="-1.5", high="2.25", step="0.01")
FATES = {
    "exact": (0.29, 29),
    "rounded": (0.294, 29),
    "above": (7.0, 225),
    "below": (-7.0, -150),
    "huge": (1e308, 225),
    "-huge": (-1e308, -150),
    "inf": (np.inf, 225),
    "-inf": (-np.inf, -150),
    "-0.0": (-0.0, 0),
    "tiny": (5e-324, 0),
    "nan": (np.nan, None),
}


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("fate", FATES.values(), ids=FATES.keys())
def test_fates(fate: tuple[float, int | None], kind: Any) -> None:
    value, meant = fate
    with np.errstate(over="ignore"):
        units, valid = CENTS.encode(np.array([value], dtype=kind))
    assert valid.tolist() == [meant is not None]
    assert units.tolist() == [meant or 0]
    assert units.dtype == np.int64


def test_nulls_and_the_input_stay() -> None:
    values = np.array([1.0, np.nan, 2.0, np.inf])
    valid = np.array([True, True, False, False])
    values.flags.writeable = valid.flags.writeable = False
    units, there = CENTS.encode(values, valid)
    assert units.tolist() == [100, 0, 0, 0]
    assert there.tolist() == [True, False, False, False]
    assert CENTS.encode(np.zeros(0))[0].tolist() == []


@pytest.mark.parametrize(
    "kind", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
)
def test_every_integer_clamps(kind: Any) -> None:
    ends = np.iinfo(kind)
    units, valid = CENTS.encode(np.array([ends.min, 0, 1, 2, 3, ends.max], dtype=kind))
    assert units.tolist() == [-150 if ends.min else 0, 0, 100, 200, 225, 225]
    assert valid.all()
    assert CENTS.encode(np.array([True, False]))[0].tolist() == [100, 0]


@given(
    st.integers(-(10**6), 10**6),
    st.integers(1, 10**6),
    st.sampled_from(["1", "3", "1000", "0.01", "0.125", "1/3", "0.000001"]),
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=20),
)
def test_integers_round_exactly(low: int, span: int, step: str, values: list[int]) -> None:
    grid = Fraction(step)
    fixed = FixedPoint.of(low=low * grid, high=(low + span) * grid, step=step)
    units, _ = fixed.encode(np.array(values, dtype=np.int64))
    clamped = [min(max(Fraction(value), fixed.low), fixed.high) for value in values]
    assert units.tolist() == [round(value / grid) for value in clamped]


@given(st.lists(st.floats(width=64), max_size=30))
def test_no_float_raises_or_leaves_the_range(values: list[float]) -> None:
    for fixed in (
        CENTS,
        FixedPoint.of(low=0, high=1, step=f"1/{1 << 53}"),
        FixedPoint.of(low=-(10**18), high=10**18, step=1000),
    ):
        units, valid = fixed.encode(np.array(values))
        assert ((units >= fixed.low_units) & (units <= fixed.high_units))[valid].all()
        assert not units[~valid].any()
        assert valid.tolist() == [value == value for value in values]  # noqa: PLR0124  # not NaN


def test_sums_have_no_order() -> None:
    generator = np.random.default_rng(7)
    values = generator.normal(0, 1, 10_000) * 10.0 ** generator.integers(-8, 8, 10_000)
    fixed = FixedPoint.of(low=-1000, high=1000, step="0.0001")
    orders = [generator.permutation(len(values)) for _ in range(6)]

    def partitioned(rows: Any, parts: int) -> Any:
        return sum(part.sum() for part in np.array_split(rows, parts))

    units = [partitioned(fixed.encode(values[order])[0], 1 + at) for at, order in enumerate(orders)]
    floats = [partitioned(values[order], 1 + at) for at, order in enumerate(orders)]
    assert len(set(units)) == 1
    assert len(set(floats)) > 1  # what sums of floats do


def test_overflow_is_foreseen() -> None:
    fixed = FixedPoint.of(low=-10, high="1000000", step="0.01")
    assert fixed.largest == 10**8
    most = ((1 << 63) - 1) // fixed.largest
    check_sum(fixed.largest, most)
    with pytest.raises(FixedOverflow, match="more than 64 bits"):
        check_sum(fixed.largest, most + 1)


def test_back_again() -> None:
    units = np.array([-12345, 7, 0, (1 << 63) - 1], dtype=np.int64)
    shown = ["-123.45", "0.07", "0.00", "92233720368547758.07"]
    assert CENTS.decimals(units) == [Decimal(each) for each in shown]
    assert [str(each) for each in CENTS.decimals(units)] == shown
    assert CENTS.doubles(units[:3]).tolist() == [-123.45, 0.07, 0.0]
    eighths = FixedPoint.of(low=0, high=1, step="0.125")
    assert eighths.decimals(np.array([3])) == [Decimal("0.375")]
    with pytest.raises(BudgetError, match="no decimal"):
        FixedPoint.of(low=0, high=1, step="1/3").decimals(units)


@pytest.mark.parametrize(
    ("low", "high", "step", "error"),
    [
        (0, 1, 0, BudgetError),
        (0, 1, -1, BudgetError),
        (0, 3, "3/2", BudgetError),
        (0, "0.015", "0.01", BudgetError),
        (2, 1, 1, BudgetError),
        (1, 1, 1, BudgetError),
        ("nan", 1, 1, BudgetError),
        (0, float("inf"), 1, BudgetError),
        (0, 1 << 54, 1, FixedOverflow),
        (0, "1e-20", "1e-30", FixedOverflow),
        (0, 1 << 70, 1 << 60, FixedOverflow),
    ],
)
def test_no_grid_of_these(low: Any, high: Any, step: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        FixedPoint.of(low=low, high=high, step=step)


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        (np.array(["1"]), None),
        (np.array([1j]), None),
        (np.zeros((2, 2)), None),
        (np.array(["2020-01-01"], dtype="M8[D]"), None),
        (np.zeros(2), np.array([True])),
        (np.zeros(2), np.array([1, 0])),
    ],
)
def test_no_numbers(values: Any, valid: Any) -> None:
    with pytest.raises(SchemaError):
        CENTS.encode(values, valid)
