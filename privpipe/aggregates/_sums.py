"""Sums and means, exact for every type and in any order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._digits import BASE, DIGITS, as_integers, merged
from privpipe.aggregates._groups import Groups, Int64s, Mask, Values
from privpipe.aggregates._made import bigints, bounded, decimals, scaled, short_decimals
from privpipe.aggregates._numbers import (
    FLOAT_SCALE,
    INFINITE,
    MINUS_INFINITE,
    NOT_A_NUMBER,
    check_number,
    specials,
    summed_values,
)
from privpipe.aggregates._rounded import as_doubles, as_int64s

__all__ = ["Mean", "Sum", "Total", "combined_head", "mapped_head", "totals"]

_SHORT_SUM, _SHORT_ROWS = 4 * 10**14, 2**31


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
        empty = partials.field("rows").to_numpy() == 0
        if pt.is_floating(kind):
            return pa.array(_doubles(partials), mask=empty, from_pandas=False)
        short = as_int64s(_digits_of(partials))
        if not pt.is_decimal128(kind):
            if short is not None:
                return pa.array(short, mask=empty)
            return bigints([each.number if each.rows else None for each in totals(partials)])
        returns = bounded(kind.precision + 10, kind.scale)
        made = None if short is None else short_decimals(short, ~empty, returns)
        if made is not None:
            return made
        return decimals([each.number if each.rows else None for each in totals(partials)], returns)

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
            rows = partials.field("rows").to_numpy()
            figures_of = _doubles(partials) / np.maximum(rows, 1)
            return pa.array(figures_of, mask=rows == 0, from_pandas=False)
        returns = bounded(kind.precision + 4, kind.scale + 4)
        short = _short_means(partials, kind.scale)
        made = None if short is None else short_decimals(*short, returns)
        if made is not None:
            return made
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


def _doubles(partials: pa.Array) -> npt.NDArray[np.float64]:
    """The doubles nearest to the sums; NaN and infinities as IEEE adds them."""
    scale = FLOAT_SCALE if pt.is_floating(partials.type.field("of").type) else 0
    found = as_doubles(_digits_of(partials), scale)
    special = partials.field("special").to_numpy()
    both = INFINITE | MINUS_INFINITE
    found[(special & INFINITE) > 0] = np.inf
    found[(special & MINUS_INFINITE) > 0] = -np.inf
    found[((special & NOT_A_NUMBER) > 0) | ((special & both) == both)] = np.nan
    return found


def _digits_of(partials: pa.Array) -> pa.StructArray:
    parts = [partials.field("first"), partials.field("digits")]
    return pa.StructArray.from_arrays(parts, fields=list(DIGITS))


def _short_means(partials: pa.Array, scale: int) -> tuple[Int64s, Mask] | None:
    """Means of decimals in units of four more places, and which groups have one; None where 64 bits
    might not do.

    Rounded once: of so few places and rows, no quotient is as near to a half as 10^-39.
    """
    sums, rows = as_int64s(_digits_of(partials)), partials.field("rows").to_numpy()
    if sums is None or scale > 18:
        return None
    size, count = np.abs(sums), np.maximum(rows, 1)
    if not len(size) or size.max() > _SHORT_SUM or count.max() > _SHORT_ROWS:
        return None
    quotient = (size * 20_000 + count) // (2 * count)
    return np.where(sums < 0, -quotient, quotient), rows > 0


def _decimal_mean(total: Total, scale: int, places: int) -> int:
    # Spark divides to 39 places first, and then rounds to those of the result.
    quotient = scaled(total.number, total.rows * 10**scale, 39)
    return scaled(quotient, 10**39, places)
