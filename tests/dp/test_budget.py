"""Budgets are exact, and say no where units differ or numbers are none."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.dp import Budget, parse_budget, total_budget
from privpipe.dp._exact import above, below, parse_exact, rounded_up, shown
from privpipe.errors import BudgetError

AMOUNTS = st.fractions(min_value=0, max_value=100)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0.1, Fraction(1, 10)),
        ("0.1", Fraction(1, 10)),
        (Decimal("0.10"), Fraction(1, 10)),
        ("1/10", Fraction(1, 10)),
        ("1e-6", Fraction(1, 10**6)),
        (1e-6, Fraction(1, 10**6)),
        (3, Fraction(3)),
        (" .5 ", Fraction(1, 2)),
        (Fraction(2, 7), Fraction(2, 7)),
    ],
)
def test_a_number_is_what_was_written(written: Any, meant: Fraction) -> None:
    assert parse_exact(written) == meant
    assert parse_budget({"epsilon": written}).amount == meant


def test_the_double_beside_a_tenth_is_not_a_tenth() -> None:
    assert Fraction(0.1) != parse_exact(0.1)  # what taking a float at its bits would give


@pytest.mark.parametrize(
    "written",
    [
        True,
        None,
        float("nan"),
        float("inf"),
        "nan",
        "1/0",
        "",
        "one",
        "1e9999",
        "1" * 500,
        "1_0",
        b"1",
        "٣",
    ],
)
def test_what_is_no_number_is_refused(written: Any) -> None:
    with pytest.raises(BudgetError, match=r"^\[PP-BUD-00\] f\.yaml:3: .* is no number\nhint: "):
        parse_budget({"epsilon": written}, where="f.yaml:3")


@pytest.mark.parametrize(
    "written",
    [
        {"epsilon": -1},
        {"epsilon": 1, "delta": 1},
        {"epsilon": 1, "delta": "-1e-9"},
        {"rho": 1, "epsilon": 1},
        {"delta": "1e-9"},
        {"eps": 1},
        {},
    ],
)
def test_a_budget_that_means_nothing_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(BudgetError, match=r"f\.yaml:3"):
        parse_budget(written, where="f.yaml:3")


def test_a_budget_is_made_of_fractions() -> None:
    with pytest.raises(BudgetError, match="exact fractions"):
        Budget(unit="epsilon", amount=0.1)  # type: ignore[arg-type]
    with pytest.raises(BudgetError, match="no unit"):
        Budget(unit="mu", amount=Fraction(1))  # type: ignore[arg-type]


def test_kinds() -> None:
    kinds = [Budget.of_epsilon(1), Budget.of_epsilon(1, delta="1e-9"), Budget.of_rho("0.5")]
    assert [each.kind for each in kinds] == ["pure", "approximate", "zcdp"]


def test_ten_tenths_are_one() -> None:
    tenths = [Budget.of_epsilon(0.1)] * 10
    assert total_budget(tenths, "epsilon") == Budget.of_epsilon(1)
    assert sum([0.1] * 10) != 1  # what floats would give


def test_units_do_not_mix() -> None:
    for mixed in (
        lambda: Budget.of_epsilon(1) + Budget.of_rho(1),
        lambda: Budget.of_epsilon(1).holds(Budget.of_rho(1)),
        lambda: Budget.of_rho(1).minus(Budget.of_epsilon(1)),
    ):
        with pytest.raises(BudgetError, match="do not compare"):
            mixed()


def test_both_parts_must_fit() -> None:
    budget = Budget.of_epsilon(1, delta="1e-6")
    assert budget.holds(budget)
    assert not budget.holds(Budget.of_epsilon("1/2", delta="1.1e-6"))
    assert not budget.holds(Budget.of_epsilon("1.0000000000000000001"))
    with pytest.raises(BudgetError, match="is more than"):
        budget.minus(Budget.of_epsilon(2))


@given(AMOUNTS, AMOUNTS, st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_laws(one: Fraction, other: Fraction, weights: list[int]) -> None:
    a, b = Budget.of_epsilon(one, delta="1e-9"), Budget.of_epsilon(other)
    assert a + b == b + a
    assert (a + b).minus(b) == a
    assert (a + b).holds(a)
    assert total_budget(a.split(weights), "epsilon") == a
    assert parse_budget(json.loads(json.dumps(a.as_record()))) == a


@pytest.mark.parametrize("weights", [[], [0, 1], [-1, 2]])
def test_a_split_by_no_weights_is_refused(weights: list[int]) -> None:
    with pytest.raises(BudgetError, match="weights above 0"):
        Budget.of_rho(1).split(weights)


@given(st.fractions(min_value=-(10**6), max_value=10**6))
def test_doubles_on_either_side(value: Fraction) -> None:
    assert below(value) <= value <= above(value)
    for side in (below(value), above(value)):
        assert Fraction(float(side)) == side
        assert below(side) == side == above(side)
    assert value < rounded_up(float(above(value))) <= above(value) + Fraction(2, 10**9)


def test_shown() -> None:
    assert shown(Fraction(1, 10)) == "0.1"
    assert shown(Fraction(1, 3)) == "about 0.333333"
    with pytest.raises(BudgetError):
        above(Fraction(10) ** 400)
