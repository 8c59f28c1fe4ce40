"""`audit-release`: a spec attacked on a sample of its own data, by its worst units."""

from __future__ import annotations

from collections.abc import Iterator

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
from privpipe.spark.features._groups import Groups, find_groups
from privpipe.spark.features._run import plan_source
from privpipe.spark.features._source import find_source
from privpipe.spark.features._sums import group_sums

__all__ = ["attack_features"]

_ROWS = 200_000  # of the sample, about
_SINGLE = 10_000  # rows, where each is a unit


def attack_features(
    work: Workspace, spec: FeatureSpec, place: str, *, units: int, draws: int
) -> tuple[Attack, ...]:
    """Draws the release `draws` times with and without each of the `units` that have most rows.

    The pass over the rows runs anew without the unit, so that what it keeps of all others is
    attacked too. Nothing is charged, and no figure is shown.

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
    opened = source.opened(work)
    rows = source.table.df.count()
    plan = plan_source(work, source, opened, rows)
    groups = find_groups(opened, source.spec)
    whole, parts = _sample(groups.placed(opened), source.spec, rows, units)
    present = _sums(whole, plan, source.spec, groups, rows)
    found = tuple(
        attack(
            plan, present, _sums(part, plan, source.spec, groups, rows), len(groups), draws=draws
        )
        for part in parts
    )
    if not found:
        raise SourceError("there is no unit to take away", where=place)
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
        most = sample.groupBy(unit).count().orderBy(F.desc("count"), unit).limit(units)
        worst = most.select(unit.alias("__one")).toArrow()

    def without(at: int) -> DataFrame:
        # As rows, since a literal would stand in the plan.
        one = F.broadcast(handed(spark, worst.slice(at, 1)))
        return sample.join(one, unit == F.col("__one"), "left_anti")

    return sample, map(without, range(worst.num_rows))
