"""Variances and standard deviations, from exact sums of values and of their squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import pyarrow as pa

from privpipe.aggregates._digits import DIGITS, merged
from privpipe.aggregates._groups import Groups
from privpipe.aggregates._made import nearest
from privpipe.aggregates._numbers import check_number, summed_squares, summed_values, unit
from privpipe.aggregates._sums import Total, combined_head, mapped_head, totals

__all__ = ["Deviation", "Variance"]


@dataclass(frozen=True, slots=True)
class Variance:
    """The variance of the values that are not null: of the sample, or of the `population`.

    A double, the nearest one to the exact variance, in any order of rows. Null where the divisor
    would be 0, as Spark's `var_samp` of one value; NaN where a value is NaN or infinite.

    >>> column = pa.array([1e15 + 1, 1e15 + 2, 1e15 + 3])
    >>> Variance().finish(Variance().map(Groups([0, 0, 0], 1), column)).to_pylist()
    [1.0]
    """

    dp: ClassVar[bool] = True

    population: bool = False

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """The digits of the sums of values and of their squares."""
        check_number(values.type, type(self).__name__.lower())
        return groups.once("squares", values, lambda: _mapped(groups, values))

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Digits added up."""
        sums = merged(groups, _digits(partials, "first", "digits"))
        squares = merged(groups, _digits(partials, "square_first", "square_digits"))
        return _struct(combined_head(groups, partials), sums, squares)

    def finish(self, partials: pa.Array) -> pa.Array:
        """Doubles."""
        step = unit(partials.type.field("of").type) ** 2
        squares = totals(partials, "square_first", "square_digits")
        return pa.array(
            [
                self._figure(one, square.number, step)
                for one, square in zip(totals(partials), squares, strict=True)
            ],
            pa.float64(),
        )

    def _figure(self, total: Total, squares: int, step: Fraction) -> float | None:
        divisor = total.rows if self.population else total.rows - 1
        if divisor <= 0:
            return None
        if total.special:
            return math.nan
        numerator = (total.rows * squares - total.number**2) * step.numerator
        return nearest(numerator, total.rows * divisor * step.denominator)


@dataclass(frozen=True, slots=True)
class Deviation(Variance):
    """The standard deviation: the root of `Variance`, rounded once more."""

    def _figure(self, total: Total, squares: int, step: Fraction) -> float | None:
        found = Variance(self.population)._figure(total, squares, step)  # noqa: SLF001 (its own)
        return None if found is None else math.sqrt(found)


def _mapped(groups: Groups, values: pa.Array) -> pa.Array:
    head, inside, numbers = mapped_head(groups, values)
    sums = summed_values(inside, numbers)
    return _struct(head, sums, summed_squares(inside, numbers))


def _digits(partials: pa.Array, first: str, digits: str) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [partials.field(first), partials.field(digits)], fields=list(DIGITS)
    )


def _struct(head: dict[str, pa.Array], sums: pa.StructArray, squares: pa.StructArray) -> pa.Array:
    parts = [each.field(name) for each in (sums, squares) for name in ("first", "digits")]
    names = [*head, "first", "digits", "square_first", "square_digits"]
    return pa.StructArray.from_arrays([*head.values(), *parts], names=names)
