"""Numbers as the half-open interval that they lie in: `[10, 20)`.

They are counted in units of 10^-n, where n is how many decimals the grid has (six at most, the most
that Spark's decimals add without rounding): as 64-bit integers where these hold them, and else, far
slower, in `decimal(38, n)`. A value is cut down to whole units first, which moves no value over a
line of the grid. `double` and `float` count as the shortest decimal that names them, the number
that a reader sees: 0.3 lies in `[0.3, 0.4)`, although the double is a little less.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
)

from privpipe.errors import InvalidValue, PolicyError
from privpipe.policy import Bucket, Generalize, decimals, exact
from privpipe.spark._stop import stop

__all__ = ["bucket", "by_width"]

_WHOLE = (ByteType, ShortType, IntegerType, LongType)
_TOO_LARGE = InvalidValue(
    "a number is too large for buckets of this width", hint="give `bounds`, or redact"
)


def bucket(source: Column, kind: DataType, settings: Bucket | Generalize) -> Column:
    """The label of the bucket that a number lies in, by `width` or by `bounds`.

    NaN and the infinities are `nan`, `inf` and `-inf`. Where there is a `width`, a number beyond
    what `decimal(38, n)` counts stops the job.
    """
    if isinstance(kind, FloatType):
        # By way of its text: 0.1 as a float is not the double that is written 0.1.
        source, kind = source.cast("string").cast("double"), DoubleType()
    strange = []
    if isinstance(kind, DoubleType):
        strange = [F.when(source == F.lit(float(n)), F.lit(n)) for n in ("nan", "inf", "-inf")]
    if settings.bounds:
        known = [F.when(source.isNotNull(), _by_bounds(source, kind, settings.bounds))]
        return F.coalesce(*strange, *known).cast(StringType())
    if settings.width is None:
        raise PolicyError("a bucket has neither width nor bounds")
    width, start = settings.width, settings.start
    scale = _scale(width, start)

    def slowly(value: Column) -> Column:
        return _between_decimals(_cut(value, kind, scale), scale, width, start)

    return F.coalesce(
        # First, and so always evaluated: what it has in common with itself is computed once.
        _between(_counted(source, kind, scale), scale, width, start),
        *strange,
        # In a lambda, which is not compiled: a method of this length would not be either.
        F.element_at(F.transform(F.array(source), slowly), 1),
        F.when(source.isNotNull(), stop(_TOO_LARGE, StringType())),
    ).cast(StringType())


def by_width(count: Column, width: int, start: int, top: int | None = None) -> Column:
    """The label of a whole number; the last bucket ends at `top`.

    Null where the bucket reaches beyond 64 bits.
    """
    return _between(count.cast(LongType()), 0, width, start, top)


def _scale(*numbers: float) -> int:
    found = decimals(*numbers)
    if found is None:
        raise PolicyError("more than six decimals", hint="write the bucket's numbers with fewer")
    return found


def _units(number: float, scale: int) -> int:
    return int(exact(number) * 10**scale)


def _literal(units: int, scale: int) -> Column:
    """So many units of 10^-scale."""
    return F.lit(f"{units}E-{scale}").cast(DecimalType(38, scale))


def _long(number: int) -> Column:
    return F.lit(number).cast(LongType())


def _cut(value: Column, kind: DataType, scale: int) -> Column:
    """`value` rounded down to `scale` decimals; null where 38 digits do not hold it."""
    counted = DecimalType(38, scale)
    if isinstance(kind, DecimalType) and kind.scale > scale:
        return F.floor(value, F.lit(scale)).try_cast(counted)
    near = value.try_cast(counted)
    if not isinstance(kind, DoubleType):
        return near
    # The cast takes the shortest decimal, and rounds half up.
    below = F.try_subtract(near, _literal(1, scale))
    return F.when(near.cast("double") > value, below).otherwise(near)


def _counted(value: Column, kind: DataType, scale: int) -> Column:
    """`value` rounded down to units of 10^-`scale`, a `bigint`; null where that is too narrow."""
    power = 10**scale
    if isinstance(kind, _WHOLE):
        return F.try_multiply(value.cast(LongType()), _long(power))
    if isinstance(kind, DoubleType):
        return _counted_double(value, power)
    short = DecimalType(18, scale)
    cut = (
        F.floor(value, F.lit(scale))
        if isinstance(kind, DecimalType) and kind.scale > scale
        else value
    )
    return (cut.try_cast(short) * F.lit(Decimal(power))).cast(LongType())


def _counted_double(value: Column, power: int) -> Column:
    # The most units whose double is no more than `value`. Both are exact in a double, so their
    # quotient is the double nearest to that decimal; far below 2^53 units, no two decimals of the
    # grid share one, and the product before is less than a unit off.
    near = F.floor(value * F.lit(float(power)))

    def fits(units: Column) -> Column:
        return units.cast(DoubleType()) / F.lit(float(power)) <= value

    units = F.when(fits(near + 1), near + 1).when(fits(near), near).otherwise(near - 1)
    return F.when(F.abs(value) < F.lit(float(2**50 // power)), units)


def _between(
    units: Column, scale: int, width: float, start: float, top: int | None = None
) -> Column:
    """The label of a number counted in 64 bits; null where a bound of it needs more."""
    step = _units(width, scale)
    if max(step, abs(_units(start, scale))) >= 1 << 62:
        return F.lit(None).cast(StringType())
    low, high = _bounds(units, step, _units(start, scale) % step, _long)
    if top is not None:
        high = F.least(high, _long(_units(top, scale)))
    return _label(_in_digits(low, scale), _in_digits(high, scale))


def _between_decimals(cut: Column, scale: int, width: float, start: float) -> Column:
    """The label of a number counted in 38 digits; null where a bound of it needs more."""
    step = _units(width, scale)
    low, high = _bounds(cut, step, _units(start, scale) % step, lambda n: _literal(n, scale))
    return _label(_text(low, scale), _text(high, scale))


def _bounds(
    number: Column, step: int, ahead: int, literal: Callable[[int], Column]
) -> tuple[Column, Column]:
    over = F.pmod(number, literal(step))
    if ahead:
        over = F.pmod(over - literal(ahead), literal(step))
    low = F.try_subtract(number, over)
    return low, F.try_add(low, literal(step))


def _label(low: Column, high: Column) -> Column:
    return F.concat(F.lit("["), low, F.lit(", "), high, F.lit(")"))


def _in_digits(units: Column, scale: int) -> Column:
    """Units of 10^-`scale` as a decimal: plain, with no zeros at its end."""
    if not scale:
        return units.cast("string")
    power = _long(10**scale)
    whole, part = F.abs(F.call_function("div", units, power)), F.abs(units % power)
    decimals = F.rtrim(F.lpad(part.cast("string"), scale, "0"), F.lit("0"))
    return F.concat(
        F.when(units < 0, F.lit("-")).otherwise(F.lit("")),
        whole.cast("string"),
        F.when(part == 0, F.lit("")).otherwise(F.concat(F.lit("."), decimals)),
    )


def _text(number: Column, scale: int) -> Column:
    """Plain, with no zeros at its end. With six decimals or fewer there is never an exponent."""
    text = number.cast("string")
    return F.regexp_replace(text, r"\.?0+$", "") if scale else text


def _by_bounds(value: Column, kind: DataType, bounds: tuple[float, ...]) -> Column:
    scale = _scale(*bounds)
    cut = None if isinstance(kind, DoubleType) else _cut(value, kind, scale)

    def below(bound: float) -> Column:
        if cut is None:
            return value < F.lit(float(bound))
        # What 38 digits do not hold is beyond every bound, on its side of nought.
        return F.coalesce(cut < _literal(_units(bound, scale), scale), value.cast("double") < 0)

    names = ["-inf", *(_plain(_units(bound, scale), scale) for bound in bounds), "inf"]
    label = F.when(below(bounds[0]), F.lit(f"(-inf, {names[1]})"))
    for i, bound in enumerate(bounds[1:], 1):
        label = label.when(below(bound), F.lit(f"[{names[i]}, {names[i + 1]})"))
    return label.otherwise(F.lit(f"[{names[-2]}, inf)"))


def _plain(units: int, scale: int) -> str:
    digits = tuple(int(digit) for digit in str(abs(units)))
    text = format(Decimal((int(units < 0), digits, -scale)), "f")
    return text.rstrip("0").rstrip(".") if scale else text
