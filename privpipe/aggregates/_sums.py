"""Sums and means, exact for every type and in any order."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._digits import BASE, DIGITS, as_integers, merged
from privpipe.aggregates._groups import Groups, Values
from privpipe.aggregates._made import bigints, bounded, decimals, nearest, scaled
from privpipe.aggregates._numbers import (
    INFINITE,
    MINUS_INFINITE,
    NOT_A_NUMBER,
    check_number,
    specials,
    summed_values,
    unit,
)

__all__ = ["Mean", "Sum", "Total", "combined_head", "mapped_head", "totals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What is known of one group: `number` * `unit` of its column's type is the sum."""

    rows: int
    special: int
    number: int


@dataclass(frozen=True, slots=True)
class _Summed:
    """The partial of sums and means.

    `of` is always null: its type is that of the column. `special` has flags for NaN and the
    infinities, which stay out of the digits.
    """

    dp: ClassVar[bool] = True

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """The digits of each group's sum."""
        check_number(values.type, type(self).__name__.lower())
        return groups.once("sum", values, lambda: _mapped(groups, values))

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Digits added up."""
        return _struct(combined_head(groups, partials), merged(groups, partials))


@dataclass(frozen=True, slots=True)
class Sum(_Summed):
    """The sum of the values that are not null, or null where there is none.

    Integers: a bigint, and beyond it an error, which no order of rows brings about or avoids.
    Decimals: ten digits more. Floats: the double nearest to the exact sum, in any order of rows;
    NaN and infinities as IEEE adds them, and zeros of both signs are 0.0.

    >>> column = pa.array([1e300, 1.0, -1e300, None])
    >>> total = Sum().map(Groups([0, 0, 0, 0], 1), column)
    >>> Sum().finish(total).to_pylist()
    [1.0]
    """

    def finish(self, partials: pa.Array) -> pa.Array:
        """Sums of the type that Spark SQL gives."""
        kind = partials.type.field("of").type
        if pt.is_decimal128(kind):
            figures = [each.number if each.rows else None for each in totals(partials)]
            return decimals(figures, bounded(kind.precision + 10, kind.scale))
        if not pt.is_floating(kind):
            return bigints([each.number if each.rows else None for each in totals(partials)])
        return pa.array([_float_sum(each) for each in totals(partials)], pa.float64())

    def native(self, kind: pa.DataType) -> str | None:
        """Spark's own for integers, and for decimals whose sums cannot overflow on the way."""
        if pt.is_decimal128(kind):
            return "sum({0})" if kind.precision <= 28 else None
        # A bigint's sum may leave 64 bits on the way and come back.
        return "sum({0})" if pt.is_signed_integer(kind) and kind != pa.int64() else None


@dataclass(frozen=True, slots=True)
class Mean(_Summed):
    """The mean of the values that are not null, or null where there is none.

    Integers and floats: a double, the exact sum rounded once and divided by the number of rows.
    Decimals: four more places, as Spark SQL rounds them.

    >>> column = pa.array([1, 2, None])
    >>> Mean().finish(Mean().map(Groups([0, 0, 0], 1), column)).to_pylist()
    [1.5]
    """

    def finish(self, partials: pa.Array) -> pa.Array:
        """Means of the type that Spark SQL gives."""
        kind = partials.type.field("of").type
        if not pt.is_decimal128(kind):
            rows = [(each, _real_sum(each, kind)) for each in totals(partials)]
            return pa.array([_divided(total, each.rows) for each, total in rows], pa.float64())
        returns = bounded(kind.precision + 4, kind.scale + 4)
        limit = 10 ** bounded(kind.precision + 10, kind.scale).precision
        figures: list[int | None] = []
        for each in totals(partials):
            if abs(each.number) >= limit:
                # Spark's own sum beneath the mean is an error then.
                decimals([each.number], bounded(kind.precision + 10, kind.scale))
            figures.append(_decimal_mean(each, kind.scale, returns.scale) if each.rows else None)
        return decimals(figures, returns)

    def native(self, kind: pa.DataType) -> str | None:
        """As for sums. Spark's `avg` of integers adds doubles; the quotient of bigints does not."""
        if pt.is_decimal128(kind):
            return "avg({0})" if kind.precision <= 28 else None
        small = pt.is_signed_integer(kind) and kind != pa.int64()
        return "sum({0}) / nullif(count({0}), 0)" if small else None


def totals(partials: pa.Array, first: str = "first", digits: str = "digits") -> Iterator[Total]:
    """The sums of partials, one a group; they are in units of the type."""
    parts = [partials.field(first), partials.field(digits)]
    sums = as_integers(pa.StructArray.from_arrays(parts, fields=list(DIGITS)))
    rows, special = partials.field("rows").to_pylist(), partials.field("special").to_pylist()
    for count, flags, (number, place) in zip(rows, special, sums, strict=True):
        yield Total(rows=count, special=flags, number=number << (BASE * place))


def _special_figure(special: int) -> float | None:
    """NaN or an infinity where the flags say so."""
    if special & NOT_A_NUMBER or (special & INFINITE and special & MINUS_INFINITE):
        return math.nan
    if special:
        return math.inf if special & INFINITE else -math.inf
    return None


def mapped_head(groups: Groups, values: pa.Array) -> tuple[dict[str, pa.Array], Groups, pa.Array]:
    """The fields before the digits, and the groups and values that are numbers."""
    inside, numbers = groups.valid(values)
    special: Values = np.zeros(groups.count, dtype=np.int8)
    flags = specials(numbers)
    rows = inside.sizes
    if flags is not None:
        special = inside.reduce(np.bitwise_or, flags, 0)
        inside, numbers = inside.kept(flags == 0), numbers.filter(pa.array(flags == 0))
    head = {
        "of": pa.nulls(groups.count, values.type),
        "rows": pa.array(rows),
        "special": pa.array(special),
    }
    return head, inside, numbers


def combined_head(groups: Groups, partials: pa.Array) -> dict[str, pa.Array]:
    """The fields before the digits."""
    rows, special = partials.field("rows").to_numpy(), partials.field("special").to_numpy()
    return {
        "of": pa.nulls(groups.count, partials.type.field("of").type),
        "rows": pa.array(groups.reduce(np.add, rows, 0)),
        "special": pa.array(groups.reduce(np.bitwise_or, special, 0)),
    }


def _mapped(groups: Groups, values: pa.Array) -> pa.Array:
    head, inside, numbers = mapped_head(groups, values)
    return _struct(head, summed_values(inside, numbers))


def _struct(head: dict[str, pa.Array], sums: pa.StructArray) -> pa.Array:
    return pa.StructArray.from_arrays(
        [*head.values(), sums.field("first"), sums.field("digits")],
        names=[*head, "first", "digits"],
    )


def _float_sum(total: Total) -> float | None:
    return _real_sum(total, pa.float64()) if total.rows else None


def _real_sum(total: Total, kind: pa.DataType) -> float:
    found = _special_figure(total.special)
    step = unit(kind)
    return nearest(total.number * step.numerator, step.denominator) if found is None else found


def _divided(total: float, rows: int) -> float | None:
    return total / rows if rows else None


def _decimal_mean(total: Total, scale: int, places: int) -> int:
    # Spark divides to 39 places first, and then rounds to those of the result.
    quotient = scaled(total.number, total.rows * 10**scale, 39)
    return scaled(quotient, 10**39, places)
