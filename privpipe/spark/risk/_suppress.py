"""Rows of small classes left out, or their quasi-identifiers nulled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from privpipe.errors import AnonymityError, UsageError
from privpipe.spark._errors import translated
from privpipe.spark._leaves import apart, quoted
from privpipe.spark.risk._anonymized import Anonymized, Goal
from privpipe.spark.risk._columns import Asked, asked_apart, whole_columns
from privpipe.spark.risk._measure import class_sizes

__all__ = ["few", "suppress", "suppressible"]


def suppress(
    df: DataFrame,
    quasi: Sequence[str],
    k: int,
    *,
    how: Literal["rows", "cells"] = "rows",
    limit: float | None = None,
) -> Anonymized:
    """`df` without the rows of classes below `k` rows, or with nulls in their quasi columns.

    Under `how="cells"` the rows stay, as a class of their own with those that had nulls there
    before; where that class is below `k` too, it is refused. `limit` is the largest share of rows
    that may be lost so. The result is measured before it is handed back.

    Source: Samarati and Sweeney 1998 (suppression); the limit as in ARX.

    Raises: AnonymityError where the limit is passed, no class has `k` rows, or the result does not
    hold; UsageError, SchemaError as `measure_risk`.
    """
    known, _ = asked_apart(df, quasi, ())
    goal = Goal(k=k)
    if how not in ("rows", "cells"):
        raise UsageError(f"suppression of {how!r}", hint='"rows" or "cells"')
    if limit is not None and not 0 <= limit <= 1:
        raise UsageError(f"a limit of {limit}", hint="a share of the rows, from 0 to 1")
    if how == "cells":
        whole_columns(known)
    with translated("looking for small classes"):
        names = {f"q{at}": one.value for at, one in enumerate(known)}
        sizes = class_sizes(df.groupBy(*(c.alias(n) for n, c in names.items())).agg(
            F.count(F.lit(1)).alias("n")), list(names))  # fmt: skip
    lost = suppressible(sizes, k, 1.0 if limit is None else limit)
    left = few(df, known, k, how=how)
    return Anonymized(df=left, report=goal.proven(left, quasi), suppressed=lost)


def suppressible(sizes: Mapping[int, int], k: int, limit: float) -> int:
    """How many rows are in classes below `k`. Raises AnonymityError where that is too many."""
    rows = sum(size * n for size, n in sizes.items())
    lost = sum(size * n for size, n in sizes.items() if size < k)
    if lost == rows:
        raise AnonymityError(
            f"no class has {k} row(s), of {rows} in all",
            hint="make the columns coarser first (`generalize_to_k`), or ask for less",
        )
    if lost > limit * rows:
        raise AnonymityError(
            f"{lost} of {rows} rows are in classes below {k}, more than the limit of {limit:g}",
            hint="make the columns coarser first (`generalize_to_k`), or allow for more",
        )
    return lost


def few(df: DataFrame, known: Sequence[Asked], k: int, *, how: str = "rows") -> DataFrame:
    """`df` with its classes below `k` suppressed."""
    size = apart(df.columns, "privpipe_class_size")
    whole = Window.partitionBy(*(one.value for one in known))
    sized = df.withColumn(size, F.count(F.lit(1)).over(whole))
    enough = F.col(size) >= k
    if how == "rows":
        return sized.where(enough).drop(size)
    nulled = {one.path[0]: F.when(enough, F.col(quoted(one.path[0]))) for one in known}
    return sized.select(*(nulled.get(name, F.col(quoted(name))).alias(name) for name in df.columns))
