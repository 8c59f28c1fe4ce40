"""What the values of a class become: the range, the set or the common ancestor of its values."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from privpipe.spark.risk._columns import ORDERED, Asked
from privpipe.spark.risk._ranks import Taxonomy, as_text

__all__ = ["labelled"]

_LARGEST_SET = 8
_ALL = "*"


def labelled(
    classed: DataFrame, known: Sequence[Asked], taxonomies: Sequence[Taxonomy | None]
) -> DataFrame:
    """The distinct values `v0`, `v1`, … of rows with classes (`p`, `b`), with labels `g0`, `g1`, ….

    Numbers and dates become `[least, greatest]`, texts a set of up to eight or a range, and what
    has a hierarchy the nearest text above all of them, or `*`. A value that the whole class has
    stays. `… or null` where some are null; null where all are.
    """
    whole = Window.partitionBy("p", "b")
    marks: dict[str, Column] = {}
    for at in range(len(known)):
        code = F.when(F.col(f"v{at}").isNotNull(), F.col(f"c{at}"))
        marks |= {f"lo{at}": F.min(code).over(whole), f"hi{at}": F.max(code).over(whole)}
    marked = classed.withColumns(marks)
    labels = {
        f"g{at}": _label(at, one, taxonomy)
        for at, (one, taxonomy) in enumerate(zip(known, taxonomies, strict=True))
    }
    return marked.select(
        *(f"v{at}" for at in range(len(known))),
        *(label.alias(name) for name, label in labels.items()),
    )


def _label(at: int, one: Asked, taxonomy: Taxonomy | None) -> Column:
    whole = Window.partitionBy("p", "b")
    value, low, high = F.col(f"v{at}"), F.col(f"lo{at}"), F.col(f"hi{at}")
    text = as_text(value)
    least = F.min_by(text, F.when(value.isNotNull(), F.col(f"c{at}"))).over(whole)
    most = F.max_by(text, F.when(value.isNotNull(), F.col(f"c{at}"))).over(whole)
    span = F.concat(F.lit("["), least, F.lit(", "), most, F.lit("]"))
    if taxonomy is not None:
        several = F.coalesce(*_ancestors(at, taxonomy), F.lit(_ALL))
    elif one.word in ORDERED:
        several = span
    else:
        members = F.collect_set(F.when(high - low < _LARGEST_SET, text)).over(whole)
        listed = F.concat(F.lit("{"), F.array_join(F.array_sort(members), ", "), F.lit("}"))
        several = F.when(high - low < _LARGEST_SET, listed).otherwise(span)
    known = F.when(low == high, least).otherwise(several)
    nulls = F.max(value.isNull()).over(whole)
    return F.when(
        low.isNotNull(), F.when(nulls, F.concat(known, F.lit(" or null"))).otherwise(known)
    )


def _ancestors(at: int, taxonomy: Taxonomy) -> list[Column]:
    """Of each level from below, the text that all values of the class have there, or null."""
    whole = Window.partitionBy("p", "b")
    found = []
    for level in range(1, taxonomy.levels + 1):
        text = F.col(f"t{at}_{level}")
        least = F.min(text).over(whole)
        found.append(F.when(least == F.max(text).over(whole), least))
    return found
