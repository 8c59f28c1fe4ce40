"""`audit-release`: a spec attacked on a sample of its own data, by its worst units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.errors import SourceError, UsageError
from privpipe.features import (
    ROW,
    Attack,
    FeaturePlan,
    FeatureSpec,
    GroupSums,
    Spec,
    attack,
    pass_measures,
)
from privpipe.spark._errors import translated
from privpipe.spark._handed import handed
from privpipe.spark._leaves import quoted
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._groups import Groups, find_groups, listed_rows
from privpipe.spark.features._periods import opened_groups
from privpipe.spark.features._run import plan_source
from privpipe.spark.features._source import find_source
from privpipe.spark.features._sums import group_sums

__all__ = ["attack_features"]

_ROWS = 200_000  # of the sample, about
_SINGLE = 10_000  # rows, where each is a unit
_FAILURE = 1e-6
_ONE = "__privpipe_one"  # the unit that is taken away


def attack_features(
    work: Workspace, spec: FeatureSpec, place: str, *, units: int, draws: int
) -> tuple[Attack, ...]:
    """Draws the release `draws` times with and without each of the `units` that have most rows.

    The pass over the rows runs anew without the unit, and where groups are selected they are found
    anew too, so that what is kept of all others is attacked as well. Nothing is charged, and no
    figure is shown. What holds seems not to with a chance below one in a million, of all units.

    Raises: UsageError for less than one unit, SourceError where the source has no rows, and as a
    release does.
    """
    if not isinstance(spec, Spec):
        raise UsageError(
            "only noisy features are private: of others there is nothing to attack", where=spec.name
        )
    if units < 1:
        raise UsageError("an audit takes at least one unit away")
    source = find_source(work, spec, place)
    opened = opened_groups(work, source)
    rows = source.table.rows(work)
    plan = plan_source(work, source, opened, rows)
    public = None if source.spec.selected else find_groups(opened, source.spec)
    read = listed_rows(opened, source.spec) if public is None else public.placed(opened)
    whole, parts = _sample(read, source.spec, rows, units)

    def neighbour(df: DataFrame) -> tuple[Groups, GroupSums]:
        groups = find_groups(df, source.spec) if public is None else public
        placed = groups.placed(df) if public is None else df
        return groups, _sums(placed, plan, source.spec, groups, rows)

    present = neighbour(whole)
    found = tuple(
        _attack(plan, present, neighbour(part), draws, _FAILURE / units) for part in parts
    )
    if not found:
        raise SourceError("there is no unit to take away", where=place)
    return found


def _attack(
    plan: FeaturePlan,
    present: tuple[Groups, GroupSums],
    absent: tuple[Groups, GroupSums],
    draws: int,
    failure: float,
) -> Attack:
    """Both neighbours' groups have places of their own: they meet by their values."""
    places: dict[tuple[object, ...], int] = {}
    told = []
    for groups, sums in (present, absent):
        values = zip(*map(_distinct, groups.values.columns), strict=True)
        told.append((np.array([places.setdefault(v, len(places)) for v in values], np.int64), sums))
    there = []
    for own, _ in told:
        has = np.zeros(len(places), dtype=np.bool_)
        has[own] = True
        there.append(has)
    one, other = (
        GroupSums(
            groups=own[sums.groups],
            sums=sums.sums,
            pairs=tuple((own[at], values) for at, values in sums.pairs),
        )
        for own, sums in told
    )
    return attack(
        plan, one, other, len(places), there=(there[0], there[1]), draws=draws, failure=failure
    )


def _distinct(column: pa.ChunkedArray) -> list[object]:
    """The values, or what stands for them: Spark has dates beyond Python's."""
    found: list[object] = (
        column.cast(pa.int32()) if pa.types.is_date32(column.type) else column
    ).to_pylist()
    return found


def _sums(df: DataFrame, plan: FeaturePlan, spec: Spec, groups: Groups, rows: int) -> GroupSums:
    return group_sums(
        df,
        pass_measures(plan),
        spec.bounds,
        unit=None if spec.unit == ROW else spec.unit,
        groups=groups.names,
        rows=min(rows, _ROWS),
        salt=spec.hash,
    )


def _sample(
    df: DataFrame, spec: Spec, rows: int, units: int
) -> tuple[DataFrame, Iterator[DataFrame]]:
    """The sample, and the same without one unit, for each that is taken away."""
    spark = df.sparkSession
    with translated("reading a sample"):
        if spec.unit == ROW:
            told = df.limit(_SINGLE).toArrow()
            few = (told.take([at for at in range(len(told)) if at != out]) for out in range(units))
            parts = (handed(spark, part) for part in few)
            return handed(spark, told), parts if len(told) else iter(())
        unit = F.col(quoted(spec.unit))
        sample = df.where(F.pmod(F.xxhash64(unit), F.lit(max(rows // _ROWS, 1))) == 0)
        counted = sample.groupBy(unit.alias(_ONE)).agg(F.count("*").alias("rows"))
        worst = counted.orderBy(F.desc("rows"), _ONE).limit(units).select(_ONE).toArrow()

    def without(at: int) -> DataFrame:
        # As rows, since a literal would stand in the plan.
        one = F.broadcast(handed(spark, worst.slice(at, 1)))
        return sample.join(one, unit == F.col(_ONE), "left_anti")

    return sample, map(without, range(worst.num_rows))
