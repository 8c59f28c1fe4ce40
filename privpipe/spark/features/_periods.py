"""Calendar periods of a column's times, beside the column itself, which figures may be of too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DateType

from privpipe.features import ExactSpec, Group, Spec, place_of
from privpipe.spark._leaves import quoted
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._entity_time import beginning, check_time
from privpipe.spark.features._source import FeatureSource
from privpipe.spark.features._times import time_type

__all__ = ["is_listed", "literal_date", "opened_groups", "period_warnings"]


def opened_groups(
    work: Workspace, source: FeatureSource[Spec] | FeatureSource[ExactSpec]
) -> DataFrame:
    """The spec's columns, opened, and the keys of groups that are periods: dates, null of null.

    Days of timestamps begin in the session's time zone, those of dates and of timestamps without a
    zone where they say.

    Raises: SpecError for times that do not open, SchemaError for what is no time; reads no row.
    """
    spec, keys = source.spec, []
    timed = [(each, each.period) for each in spec.groups if each.period is not None]
    for group, _ in timed:
        check_time(source.table, group.column, _place(spec, group))
    opened = source.opened(work)
    for group, period in timed:
        time_type(opened, group.column, _place(spec, group))
        time = F.col(quoted(group.column))
        keys.append(beginning(time, period.by, DateType()).alias(group.key))
    return opened.select("*", *keys) if keys else opened


def is_listed(key: Column, group: Group, values: Sequence[object]) -> Column:
    """Whether a key is one of a group's listed values: of periods, between the first and the last.

    Dates go to Spark as text: py4j's way through `java.sql.Date` has the Julian calendar before
    1582, and no year before 1000.
    """
    if group.period is not None and group.period.ends is not None:
        return key.between(*map(literal_date, group.period.ends))
    return key.isin([literal_date(each) if isinstance(each, date) else each for each in values])


def literal_date(day: date) -> Column:
    """A date in an expression."""
    return F.lit(day.isoformat()).cast("date")


def period_warnings(source: FeatureSource[Spec] | FeatureSource[ExactSpec]) -> tuple[str, ...]:
    """What periods of shifted times say no more."""
    spec, table = source.spec, source.table
    return tuple(
        f"{_place(spec, group)}: {group.column} is shifted, so its periods are of the shifted dates"
        for group in spec.groups
        if group.period is not None and table.protection(group.column) == "shift"
    )


def _place(spec: Spec | ExactSpec, group: Group) -> str:
    return place_of(spec, f"groups.{group.column}", group.line)
