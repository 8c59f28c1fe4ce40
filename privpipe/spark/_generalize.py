"""Values made coarser: dates, ages, coordinates, and the beginnings of texts."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    DataType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    StringType,
    TimestampNTZType,
)

from privpipe.errors import InternalError, InvalidValue, PolicyError
from privpipe.policy import Generalize
from privpipe.spark._bucket import bucket, by_width
from privpipe.spark._mask import prefix
from privpipe.spark._stop import stop

__all__ = ["generalize"]


def generalize(source: Column, kind: DataType, settings: Generalize) -> Column:
    """By the one way that the settings have, but for networks and hierarchies."""
    if settings.network is not None or settings.hierarchy is not None:
        raise InternalError("networks and hierarchies are no expressions")
    if settings.to == "age":
        return _age(source, settings)
    if settings.to is not None:
        return _first_day(source, kind, settings.to)
    if settings.prefix is not None:
        return prefix(source, settings.prefix)
    if settings.round is not None:
        return _rounded(source, kind, settings.round)
    return bucket(source, kind, settings)


def _first_day(source: Column, kind: DataType, unit: str) -> Column:
    """The first day of the month, quarter or year, at midnight; a `timestamp`'s day and midnight
    are those of the session's zone."""
    if isinstance(kind, DateType):
        return F.trunc(source, unit)
    if isinstance(kind, TimestampNTZType):
        # `date_trunc` would go by way of the session's zone, which may have no such midnight.
        return F.trunc(source.cast(DateType()), unit).cast(kind)
    return F.date_trunc(unit, source)


def _age(source: Column, settings: Generalize) -> Column:
    """Whole years on the day `on`; who was born on 29 February is a year older on 1 March."""
    if settings.on is None:
        raise PolicyError("`to: age` needs the day `on`")
    years = (settings.width or 0, settings.start)
    if not all(float(number).is_integer() and abs(number) < 1 << 31 for number in years):
        raise PolicyError("ages are counted in whole years")
    on, born = date.fromisoformat(settings.on), source.cast(DateType())
    early = F.month(born) * 100 + F.dayofmonth(born) > on.month * 100 + on.day
    whole = F.lit(on.year) - F.year(born) - F.when(early, 1).otherwise(0)
    error = InvalidValue(
        "a date of birth is after the day on which ages are counted",
        hint="set `on` to a later day, or mend the source",
    )
    age = F.when(born > F.lit(settings.on).cast(DateType()), stop(error, IntegerType()))
    age = age.otherwise(whole)
    top, width = settings.top, settings.width
    if width is None:
        # `least` passes nulls over.
        return F.when(age >= top, top).otherwise(age) if top is not None else age
    label = F.when(age.isNull(), F.lit(None).cast(StringType()))
    if top is not None:
        label = label.when(age >= top, F.lit(f"{top}+"))
    return label.otherwise(by_width(age, int(width), int(settings.start), top))


def _rounded(source: Column, kind: DataType, decimals: int) -> Column:
    """Half up (away from nought), as the shortest decimal of a `float` or `double` says."""
    if isinstance(kind, FloatType):
        return F.round(source.cast("string").cast("double"), decimals).cast(kind)
    if not isinstance(kind, DecimalType):
        return F.round(source, decimals)
    if decimals >= kind.scale:
        return source
    # 99.96 has no place in a decimal(4, 2) once it is 100.0.
    rounded = F.round(source, decimals).try_cast(kind)
    error = InvalidValue("a number outgrows its type where it is rounded", hint="bucket it")
    return F.when(source.isNotNull(), F.coalesce(rounded, stop(error, kind)))
