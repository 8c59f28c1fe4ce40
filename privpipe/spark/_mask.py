"""Text with its characters hidden, or cut off after the first few."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from privpipe.policy import Mask

__all__ = ["mask", "prefix"]


def mask(source: Column, _: DataType, settings: Mask) -> Column:
    """`char` for every character but those at the ends that are shown.

    Characters are Unicode code points; where there are no more than the ends show, all are hidden.
    Null stays null, empty stays empty. Masks that keep characters are a worker's.
    """
    value = _text(source)
    length = F.length(value)
    first, last = settings.show.first, settings.show.last
    if first + last == 0:
        return F.repeat(F.lit(settings.char), length)
    long = length > first + last
    hidden = F.repeat(F.lit(settings.char), F.when(long, length - first - last).otherwise(length))
    shown = F.concat(
        F.substring(value, 1, first),
        hidden,
        F.substring(value, length - (last - 1), F.lit(last)),
    )
    return F.when(long, shown).otherwise(hidden)


def prefix(source: Column, characters: int) -> Column:
    """The first so many characters, and no more."""
    return F.substring(_text(source), 1, characters)


def _text(source: Column) -> Column:
    """Without a collation, under which patterns match otherwise; and with no byte that is not
    UTF-8: Spark goes by the first byte of a character, and would read on past the value's end."""
    return F.make_valid_utf8(source.cast(StringType()))
