"""Every aggregate, what it is tried on, and its twin in plain Python. One line a case."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from privpipe.aggregates import (
    Aggregate,
    Count,
    Deviation,
    Distinct,
    Enough,
    Histogram,
    Hll,
    Kll,
    Max,
    Mean,
    Min,
    Quantile,
    SharedBins,
    SharedExtreme,
    SharedQuantile,
    SharedTop,
    Sum,
    TopK,
    Variance,
)
from tests.aggregates.batches import (
    Make,
    bigints_to_the_end,
    dates,
    decimals,
    floats,
    integers,
    nothing,
    pairs,
    words,
)
from tests.aggregates.shared import (
    alone,
    enough,
    few,
    measures,
    shared_bins,
    shared_extreme,
    shared_quantile,
    shared_top,
    with_units,
    without_nulls,
)

WIDE = Context(prec=200, rounding=ROUND_HALF_UP)
Twin = Callable[[Sequence[Any]], Any]


@dataclass(frozen=True, slots=True)
class Law:
    """One case. The twin gets a group's values that are not null (rows, for none or two)."""

    name: str
    aggregate: Aggregate
    make: Make
    twin: Twin
    returns: pa.DataType
    same: Callable[[pa.Array, pa.Array], bool] | None = None


def total(values: Sequence[Any]) -> float | int | None:
    """The nearest double of the exact sum, or the exact integer."""
    if not values:
        return None
    if isinstance(values[0], int):
        return int(sum(values))
    odd = float(sum(each for each in values if not math.isfinite(each)))
    if odd != 0:
        return odd
    return nearest(sum((Fraction(each) for each in values), Fraction()))


def nearest(number: Fraction) -> float:
    try:
        return number.numerator / number.denominator
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def mean(values: Sequence[Any]) -> float | None:
    found = total(values)
    return None if found is None else float(found) / len(values)


def decimal_sum(values: Sequence[Decimal]) -> Decimal | None:
    found = Decimal(0)
    for each in values:
        found = WIDE.add(found, each)
    return found if values else None


def decimal_mean(scale: int) -> Twin:
    def twin(values: Sequence[Decimal]) -> Decimal | None:
        found = decimal_sum(values)
        if found is None:
            return None
        long = WIDE.divide(found, Decimal(len(values))).quantize(Decimal(1).scaleb(-39, WIDE),
                                                                 context=WIDE)  # fmt: skip
        return long.quantize(Decimal(1).scaleb(-scale), context=WIDE)

    return twin


def variance(*, population: bool = False, root: bool = False) -> Twin:
    def twin(values: Sequence[Any]) -> float | None:
        divisor = len(values) - (not population)
        if divisor < 1:
            return None
        if not all(math.isfinite(each) for each in values):
            return math.nan
        exact = [Fraction(each) for each in values]
        middle = sum(exact, Fraction()) / len(exact)
        found = nearest(sum(((each - middle) ** 2 for each in exact), Fraction()) / divisor)
        return math.sqrt(found) if root else found

    return twin


def rank(value: Any) -> tuple[bool, Any]:
    """Spark's order: NaN last, and one zero."""
    odd = isinstance(value, float) and math.isnan(value)
    return odd, 0 if odd else value


def least(values: Sequence[Any]) -> Any:
    return _one_zero(min(values, key=rank)) if values else None


def greatest(values: Sequence[Any]) -> Any:
    return _one_zero(max(values, key=rank)) if values else None


def _one_zero(value: Any) -> Any:
    return value + 0.0 if isinstance(value, float) else value


def distinct(values: Sequence[Any]) -> int:
    return len({rank(each) for each in values})


def top(k: int) -> Twin:
    def twin(values: Sequence[Any]) -> list[dict[str, Any]]:
        counted = Counter(values)
        order = sorted(counted, key=lambda each: (-counted[each], each))
        return [{"value": each, "count": counted[each]} for each in order[:k]]

    return twin


def quantile(at: float) -> Twin:
    def twin(values: Sequence[Any]) -> float | None:
        if not values:
            return None
        line = sorted((float(each) for each in values), key=rank)
        position = (len(line) - 1) * at
        low, high = math.floor(position), math.ceil(position)
        if low == high or line[low] == line[high]:
            return line[low] + 0.0
        return (high - position) * line[low] + (position - low) * line[high]

    return twin


def histogram(*edges: float | Decimal) -> Twin:
    def twin(values: Sequence[Any]) -> list[int]:
        found = [0] * (len(edges) + 1)
        for each in values:
            odd = isinstance(each, float) and not math.isfinite(each)
            exact = math.inf if odd and each != -math.inf else each if odd else Fraction(each)
            found[sum(exact >= Fraction(edge) for edge in edges)] += 1
        return found

    return twin


def median_low(values: Sequence[Any]) -> float | None:
    numbers = [float(each) for each in values]
    return statistics.median_low(numbers) if numbers else None


BIG, REAL, COUNT = pa.int64(), pa.float64(), pa.int64()
MONEY = Decimal("0.10")
EDGES = (-1, 0.1, MONEY + 2, 1e17)
TOPPED = pa.list_(pa.struct([("value", pa.string()), ("count", pa.int64())]))

HALVES = tuple(Fraction(each, 2) for each in (0, 1, 2, 3, 4))
TENTHS = (Fraction(1, 10), Fraction(1, 2), Fraction(2, 3))
NUMBERED = pa.list_(pa.struct([("value", pa.int32()), ("count", pa.int64())]))

LAWS = [
    Law("count of rows", Count(), nothing, len, COUNT),
    Law("count of a column", Count(), words, len, COUNT),
    Law("count of two", Count(), pairs, lambda rows: sum(None not in r for r in rows), COUNT),
    Law("sum of tinyint", Sum(), integers(8), total, BIG),
    Law("sum of int", Sum(), integers(32), total, BIG),
    Law("sum of bigint", Sum(), integers(64), total, BIG),
    Law("sum of decimal(9,2)", Sum(), decimals(9, 2), decimal_sum, pa.decimal128(19, 2)),
    Law("sum of decimal(18,0)", Sum(), decimals(18, 0), decimal_sum, pa.decimal128(28, 0)),
    Law("sum of decimal(28,9)", Sum(), decimals(28, 9), decimal_sum, pa.decimal128(38, 9)),
    Law("sum of decimal(38,6)", Sum(), decimals(38, 6, share=0.9), decimal_sum,
        pa.decimal128(38, 6)),
    Law("sum of double", Sum(), floats(), total, REAL),
    Law("sum of finite doubles", Sum(), floats(finite=True), total, REAL),
    Law("sum of float", Sum(), floats(single=True), total, REAL),
    Law("mean of smallint", Mean(), integers(16), mean, REAL),
    Law("mean of bigint", Mean(), bigints_to_the_end, mean, REAL),
    Law("mean of decimal(9,2)", Mean(), decimals(9, 2), decimal_mean(6), pa.decimal128(13, 6)),
    Law("mean of decimal(38,10)", Mean(), decimals(38, 10, share=0.6), decimal_mean(14),
        pa.decimal128(38, 14)),
    Law("mean of double", Mean(), floats(), mean, REAL),
    Law("variance of tinyint", Variance(), integers(8), variance(), REAL),
    Law("variance of bigint", Variance(), bigints_to_the_end, variance(), REAL),
    Law("variance of decimal(38,6)", Variance(population=True), decimals(38, 6),
        variance(population=True), REAL),
    Law("variance of decimal(9,2)", Variance(), decimals(9, 2), variance(), REAL),
    Law("variance of double", Variance(), floats(), variance(), REAL),
    Law("variance of finite doubles", Variance(), floats(finite=True), variance(), REAL),
    Law("deviation of float", Deviation(), floats(single=True, finite=True),
        variance(root=True), REAL),
    Law("min of double", Min(), floats(), least, REAL),
    Law("max of double", Max(), floats(), greatest, REAL),
    Law("min of float", Min(), floats(single=True), least, pa.float32()),
    Law("max of string", Max(), words, greatest, pa.string()),
    Law("min of date", Min(), dates, least, pa.date32()),
    Law("max of decimal(38,6)", Max(), decimals(38, 6), greatest, pa.decimal128(38, 6)),
    Law("distinct double", Distinct(), floats(), distinct, COUNT),
    Law("distinct string", Distinct(), words, distinct, COUNT),
    Law("distinct date", Distinct(), dates, distinct, COUNT),
    Law("top of strings", TopK(3), words, top(3), TOPPED),
    Law("quantile of tinyint", Quantile(0.5), integers(8), quantile(0.5), REAL),
    Law("quantile of double", Quantile(0.9), floats(finite=True), quantile(0.9), REAL),
    Law("quantile of decimal", Quantile(1.0), decimals(18, 4), quantile(1.0), REAL),
    Law("quantiles", Quantile((0.0, 0.3)), integers(32),
        lambda values: [quantile(at)(values) for at in (0.0, 0.3)] if values else None,
        pa.list_(pa.float64())),
    Law("histogram of smallint", Histogram(EDGES), integers(16), histogram(*EDGES),
        pa.list_(BIG)),
    Law("histogram of bigint", Histogram((-2.5, 2**70)), bigints_to_the_end,
        histogram(-2.5, 2**70), pa.list_(BIG)),
    Law("histogram of double", Histogram(EDGES), floats(), histogram(*EDGES), pa.list_(BIG)),
    Law("histogram of decimal", Histogram(EDGES), decimals(20, 2), histogram(*EDGES),
        pa.list_(BIG)),
    Law("hll of strings", Hll(), words, lambda values: distinct([*filter(None, values)]), COUNT),
    Law("hll of doubles", Hll(), floats(), distinct, COUNT),
    Law("hll of dates", Hll(8), dates, distinct, COUNT),
    Law("kll, all kept", Kll(0.5), integers(32), median_low, REAL),
    Law("enough strings", Enough(3), words, enough(3), pa.bool_()),
    Law("shared top", SharedTop(2, most=2), with_units(few), shared_top(2, 2), NUMBERED),
    Law("shared top of strings", SharedTop(3), with_units(words), shared_top(3, 10), TOPPED),
    Law("shared top of rows", SharedTop(3, rows=True), without_nulls(few),
        alone(shared_top(3, 10)), NUMBERED),
    Law("shared bins", SharedBins(3, HALVES), with_units(measures), shared_bins(3, HALVES),
        pa.list_(BIG)),
    Law("shared bins of rows", SharedBins(4, HALVES, rows=True), without_nulls(few),
        alone(shared_bins(4, HALVES)), pa.list_(BIG)),
    Law("one shared bin", SharedBins(2, HALVES[:2]), with_units(few), shared_bins(2, HALVES[:2]),
        pa.list_(BIG)),
    Law("shared quantiles", SharedQuantile(2, HALVES, TENTHS, several=True), with_units(measures),
        shared_quantile(2, HALVES, TENTHS), pa.list_(REAL)),
    Law("shared quantile of rows", SharedQuantile(3, HALVES, TENTHS[1:2], rows=True),
        without_nulls(few), lambda values: (alone(shared_quantile(3, HALVES, TENTHS[1:2]))(values)
                                            or [None])[0], REAL),
    Law("shared least", SharedExtreme(2), with_units(few), shared_extreme(2, min, rank),
        pa.int32()),
    Law("shared greatest", SharedExtreme(2, greatest=True), with_units(measures),
        shared_extreme(2, max, rank), REAL),
    Law("shared greatest of rows", SharedExtreme(3, greatest=True, rows=True), without_nulls(few),
        alone(shared_extreme(3, max, rank)), pa.int32()),
]  # fmt: skip
