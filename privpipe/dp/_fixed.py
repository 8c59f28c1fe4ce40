"""Fixed point: values clamped to a range and rounded to a grid, as int64.

Sums of integers do not depend on their order, where sums of floats tell the order and more
(Mironov 2012; Casacuberta et al. 2022), and the range bounds what a row can do. Whether a sum can
leave 64 bits is known from the range and the number of rows, before any value is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from privpipe.dp._exact import Written, parse_exact, shown
from privpipe.dp._noise import Int64s
from privpipe.dp._sensitivity import INT64_MAX
from privpipe.errors import BudgetError, FixedOverflow, SchemaError

__all__ = ["FixedPoint", "check_sum"]

_EXACT = 1 << 53  # integers up to here are doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPoint:
    """The grid of multiples of `step` from `low` to `high`; a value's unit is `step`.

    `step` is an integer or one over an integer (0.01), and both ends lie on the grid.

    Raises: `BudgetError` for ends off the grid or in the wrong order, `FixedOverflow` for more than
    2^53 steps to one side of 0, where a double no longer tells two neighbours apart.

    >>> cents = FixedPoint.of(low=0, high=100, step="0.01")
    >>> units, valid = cents.encode(np.array([1.239, 250.0, -0.0, np.nan]))
    >>> units.tolist(), valid.tolist(), cents.decimals(units[:1])
    ([124, 10000, 0, 0], [True, True, True, False], [Decimal('1.24')])
    """

    low: Fraction
    high: Fraction
    step: Fraction

    def __post_init__(self) -> None:
        if self.step <= 0 or 1 not in (self.step.numerator, self.step.denominator):
            raise BudgetError(
                f"no step of a grid: {shown(self.step)}",
                hint="an integer, or one over an integer such as 0.01",
            )
        if self.step.denominator > _EXACT:
            raise FixedOverflow("a step below 2^-53", hint="a coarser step")
        if self.low >= self.high:
            raise BudgetError("the lower clamp is not below the upper one")
        if (self.low / self.step).denominator != 1 or (self.high / self.step).denominator != 1:
            raise BudgetError("a clamp lies between two steps", hint="multiples of the step")
        if max(abs(self.low), abs(self.high)) > _EXACT * self.step:
            raise FixedOverflow("a range of more than 2^53 steps", hint="a coarser step")
        if max(abs(self.low), abs(self.high)) > INT64_MAX:
            raise FixedOverflow("a range that 64 bits do not hold", hint="a narrower range")

    @classmethod
    def of(cls, *, low: Written, high: Written, step: Written = 1) -> FixedPoint:
        """From numbers as a policy writes them."""
        return cls(low=parse_exact(low), high=parse_exact(high), step=parse_exact(step))

    @property
    def low_units(self) -> int:
        """The lower end, in steps."""
        return int(self.low / self.step)

    @property
    def high_units(self) -> int:
        """The upper end, in steps."""
        return int(self.high / self.step)

    @property
    def largest(self) -> int:
        """The largest absolute value, in steps: what one row adds to a sum at most."""
        return max(abs(self.low_units), abs(self.high_units))

    def encode(
        self, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None = None
    ) -> tuple[Int64s, npt.NDArray[np.bool_]]:
        """Clamped and rounded units, and which rows have one.

        Input: a vector of any integer, float or bool type, and perhaps which rows are not null.
        Output: two vectors of the same length; a row without a value has 0 units, and counts
        nowhere. Fates: NaN is as null; -inf and inf, as every value beyond an end, become that end;
        -0.0 becomes 0; halves of a step go to the even one. No value raises.

        Raises: `SchemaError` for another type or shape.
        """
        if values.ndim != 1 or values.dtype.kind not in "iufb":
            raise SchemaError(f"no vector of numbers: {values.dtype}, {values.ndim} dimensions")
        if valid is not None and (valid.shape != values.shape or valid.dtype != np.bool_):
            raise SchemaError("which rows are valid is a bool for each row")
        there = np.ones(len(values), dtype=np.bool_) if valid is None else valid.copy()
        if values.dtype.kind == "f":
            units = self._from_floats(values.astype(np.float64, copy=False), there)
        else:
            units = self._from_integers(values)
        units[~there] = 0
        return units, there

    def decimals(self, units: Int64s) -> list[Decimal]:
        """Exact decimals, of the step's own places.

        Raises: `BudgetError` where the step is no finite decimal, as a third is not.
        """
        places = 0
        while 10**places % self.step.denominator:
            places += 1
            if places > 18:
                raise BudgetError(f"a step that is no decimal: {self.step}")
        factor = int(self.step * 10**places)
        return [_decimal(int(unit) * factor, places) for unit in units]

    def doubles(self, units: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Units as values: one division or product of doubles."""
        real = np.asarray(units, dtype=np.float64)
        return real * float(self.step.numerator) / float(self.step.denominator)

    def _from_floats(self, values: npt.NDArray[np.float64], there: npt.NDArray[np.bool_]) -> Int64s:
        there &= ~np.isnan(values)
        # Clamped first, so that no product overflows, and again in units, so that no rounding of
        # a double leaves the range.
        clamped = np.clip(np.where(there, values, 0.0), float(self.low), float(self.high))
        scaled = clamped * float(self.step.denominator) / float(self.step.numerator)
        return np.clip(np.rint(scaled).astype(np.int64), self.low_units, self.high_units)

    def _from_integers(self, values: npt.NDArray[Any]) -> Int64s:
        if values.dtype.kind == "u":
            small = np.minimum(values, np.uint64(INT64_MAX)).astype(np.int64)
        else:
            small = values.astype(np.int64, copy=False)
        # The whole numbers just outside the range: clamped to them, a product with the denominator
        # stays within 2^54 steps, and what lies outside still does.
        lowest = max(self.low // 1 - 1, -INT64_MAX)
        highest = min(self.high // 1 + 1, INT64_MAX)
        clamped = np.clip(small, lowest, highest)
        if self.step.denominator > 1:
            units = clamped * np.int64(self.step.denominator)
        else:
            units = _halves_to_even(clamped, self.step.numerator)
        return np.asarray(np.clip(units, self.low_units, self.high_units), dtype=np.int64)


def check_sum(largest: int, rows: int) -> None:
    """That `rows` values of at most `largest` units each sum within 64 bits, in any order.

    Raises: `FixedOverflow`.
    """
    if largest * rows > INT64_MAX:
        raise FixedOverflow(
            f"{rows} rows of up to {largest} units each may sum to more than 64 bits hold",
            hint="a coarser step or narrower clamps",
        )


def _halves_to_even(values: Int64s, step: int) -> Int64s:
    """`values` / `step`, rounded; without a product, so that nothing overflows."""
    down, rest = np.divmod(values, np.int64(step))
    over = rest - (step - rest)  # above 0: beyond half
    return np.asarray(down + ((over > 0) | ((over == 0) & (down % 2 == 1))), dtype=np.int64)


def _decimal(digits: int, places: int) -> Decimal:
    """digits / 10^places, in no context: nothing rounds."""
    magnitude = tuple(int(each) for each in str(abs(digits)))
    return Decimal((int(digits < 0), magnitude, -places))
