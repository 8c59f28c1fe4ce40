"""Numbers as the half-open interval that they lie in: `[10, 20)`.

Everything is counted in `decimal(38, n)`, where n is how many decimals the grid has (six at most,
the most that Spark's decimals add without rounding). A value is cut down to n decimals first,
which moves no value over a line of the grid. `double` and `float` count as the shortest decimal
that names them, the number that a reader sees: 0.3 lies in `[0.3, 0.4)`, although the double is
a little less.
"""

from __future__ import annotations

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
    if settings.bounds:
        label = _by_bounds(source, kind, settings.bounds)
    elif settings.width is not None:
        scale = _scale(settings.width, settings.start)
        label = _between(_cut(source, kind, scale), scale, settings.width, settings.start)
        if isinstance(kind, _WHOLE):
            # Far cheaper, and null where 64 bits are too few for a whole step.
            label = F.coalesce(by_width(source, settings.width, settings.start), label)
        label = F.coalesce(label, stop(_TOO_LARGE, StringType()))
    else:
        raise PolicyError("a bucket has neither width nor bounds")
    cases = F.when(source.isNull(), F.lit(None))
    if isinstance(kind, DoubleType):
        for name in ("nan", "inf", "-inf"):
            cases = cases.when(source == F.lit(float(name)), F.lit(name))
    return cases.otherwise(label).cast(StringType())


def by_width(count: Column, width: float, start: float, top: int | None = None) -> Column:
    """The label of a whole number; the last bucket ends at `top`.

    Null where the grid has fractions or the bucket reaches beyond 64 bits.
    """
    if _scale(width, start) or max(_units(width, 0), abs(_units(start, 0))) >= 1 << 62:
        return F.lit(None).cast(StringType())
    return _between(count.cast(LongType()), None, width, start, top)


def _scale(*numbers: float) -> int:
    found = decimals(*numbers)
    if found is None:
        raise PolicyError("more than six decimals", hint="write the bucket's numbers with fewer")
    return found


def _units(number: float, scale: int) -> int:
    return int(exact(number) * 10**scale)


def _literal(units: int, scale: int | None) -> Column:
    """So many units of 10^-scale; a 64-bit integer where there is no scale."""
    if scale is None:
        return F.lit(units).cast(LongType())
    return F.lit(f"{units}E-{scale}").cast(DecimalType(38, scale))


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


def _between(
    cut: Column, scale: int | None, width: float, start: float, top: int | None = None
) -> Column:
    """The label; null where a bound of it cannot be counted."""
    step = _units(width, scale or 0)
    over = F.pmod(cut, _literal(step, scale))
    ahead = _units(start, scale or 0) % step
    if ahead:
        over = F.pmod(over - _literal(ahead, scale), _literal(step, scale))
    low = F.try_subtract(cut, over)
    high = F.try_add(low, _literal(step, scale))
    if top is not None:
        high = F.least(high, _literal(_units(top, scale or 0), scale))
    return F.concat(F.lit("["), _text(low, scale), F.lit(", "), _text(high, scale), F.lit(")"))


def _text(number: Column, scale: int | None) -> Column:
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
