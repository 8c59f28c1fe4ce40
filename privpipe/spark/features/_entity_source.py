"""What features of entities are made of: events, and the moments for which they are told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from privpipe.errors import SchemaError, SpecError
from privpipe.features import EntitySpec, window_type
from privpipe.policy import Tokenize
from privpipe.spark._leaves import quoted, spelt
from privpipe.spark._lips import sealed_lips
from privpipe.spark._recorded import settings_of
from privpipe.spark._types import arrow_type
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._source import OPENED, Stored, does_not_open, find_table

__all__ = ["EntitySource", "find_entities", "months_before"]

_TIMES = (DateType, TimestampType, TimestampNTZType)
_KEYS = (BinaryType, BooleanType, DateType, DecimalType, IntegralType, StringType)
# Of one entity one value in each row.
_STANDS_FOR_ONE = ("pseudonymize", "tokenize", "vault", "encrypt_deterministic")
_GRAINS = {"week": "WEEK", "month": "MM"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySource:
    """Events and moments, lazily, both as `entity`, `time`, `asof`.

    Events have `c<place>` for each column beside; without labels their `asof` is the beginning of
    their grain, else null. `spec` names columns as the tables do; `warnings` are for the user. The
    source is read in its `version`.
    """

    spec: EntitySpec
    events: DataFrame
    labels: DataFrame | None
    columns: tuple[str, ...]
    warnings: tuple[str, ...]
    version: int | None

    @property
    def time_type(self) -> DataType:
        """The type of moments."""
        return self.events.schema["time"].dataType


def find_entities(work: Workspace, spec: EntitySpec, place: str) -> EntitySource:
    """The tables that the spec names, as they are now, the latter at `place`; reads no row.

    Raises: SourceError, SchemaError for columns that are not there or of no fitting type, SpecError
    for those that stand under a protection that features cannot be made of.
    """
    table = find_table(work, place)
    spec = _spelt(spec, table.df)
    _refuse_lost(spec, table)
    key = _entity(table, spec.entity, f"{spec.file} entity")
    _time(table, spec.event_time, f"{spec.file} event_time")
    columns = tuple(dict.fromkeys(each.column for each in spec.aggregates if each.column))
    opened = table.opened(work, spec.columns, spec.entity)
    time = _time_type(opened, spec.event_time)
    _refuse_hours(spec, time)
    _check_figures(spec, opened)
    moment = F.col(quoted(spec.event_time))
    events = opened.select(
        F.col(quoted(spec.entity)).alias("entity"),
        moment.alias("time"),
        (F.lit(None).cast(time) if spec.grain is None else _begin(moment, spec.grain, time)).alias(
            "asof"
        ),
        *(F.col(quoted(name)).alias(f"c{at}") for at, name in enumerate(columns)),
    )
    labels, warnings = None, []
    if spec.labels is not None:
        of = find_table(work, work.find(work.keep(spec.labels.table)))
        named = replace(
            spec.labels,
            entity=spelt(of.df.columns, spec.labels.entity),
            time=spelt(of.df.columns, spec.labels.time),
        )
        spec = replace(spec, labels=named)
        where = f"{spec.file}:{named.line} labels"
        warnings += _refuse_strangers(spec, table, of, where)
        labels = _labels(work, spec, of, key, time, where)
    if any(window.months for window in spec.windows) and _shifted(table, spec.event_time):
        warnings.append(f"{spec.event_time} is shifted, so months are of the shifted dates")
    return EntitySource(
        spec=spec,
        events=events,
        labels=labels,
        columns=columns,
        warnings=tuple(warnings),
        version=table.version,
    )


def months_before(asof: Column, months: int, kind: DataType) -> Column:
    """The beginning of the month, so many months before the one that a moment is in: of timestamps,
    in the session's time zone."""
    return F.add_months(F.trunc(asof.cast("date"), "MM"), -months).cast(kind)


def _begin(time: Column, grain: str, kind: DataType) -> Column:
    day = time.cast("date")
    return (F.trunc(day, _GRAINS[grain]) if grain in _GRAINS else day).cast(kind)


def _spelt(spec: EntitySpec, df: DataFrame) -> EntitySpec:
    def name(column: str) -> str:
        return spelt(df.columns, column)

    return replace(
        spec,
        entity=name(spec.entity),
        event_time=name(spec.event_time),
        aggregates=tuple(
            each if each.column is None else replace(each, column=name(each.column))
            for each in spec.aggregates
        ),
    )


def _refuse_lost(spec: EntitySpec, table: Stored) -> None:
    for each in spec.aggregates:
        protection = None if each.column is None else table.protection(each.column)
        if protection is None or protection in OPENED:
            continue
        if not (protection == "pseudonymize" and each.kind in ("distinct", "count")):
            place = f"aggregates.{each.name}"
            raise does_not_open(str(each.column), protection, spec.file, each.line, place)


def _entity(table: Stored, column: str, where: str) -> DataType:
    """The type of who an event is of, as it is stored."""
    fact, kind = table.fact(column), table.df.schema[column].dataType
    if fact is not None and fact.protection not in _STANDS_FOR_ONE:
        raise SpecError(
            f"{column} stands under `{fact.protection}`, which does not stand for one entity",
            where=where,
            hint=f"one that does: {', '.join(_STANDS_FOR_ONE)}",
        )
    settings = None if fact is None else settings_of(fact)
    if isinstance(settings, Tokenize) and settings.tweak is not None:
        raise SpecError(
            f"{column} has one token for each value of {settings.tweak}",
            where=where,
            hint="take a column of which one entity has one token",
        )
    plain = not isinstance(kind, StringType) or kind.collation == "UTF8_BINARY"
    if not isinstance(kind, _KEYS) or not plain:
        raise SchemaError(
            f"{column} is {kind.simpleString()}, which tells no entities apart",
            where=where,
            hint="text, bytes, integers, decimals, dates and booleans do",
        )
    return kind


def _time(table: Stored, column: str, where: str) -> None:
    protection = table.protection(column)
    if protection not in (None, "shift", *OPENED):
        raise SpecError(
            f"{column} stands under `{protection}`, and does not open",
            where=where,
            hint="a time that is kept, encrypted or shifted",
        )


def _shifted(table: Stored, column: str) -> bool:
    return table.protection(column) == "shift"


def _time_type(df: DataFrame, column: str) -> DataType:
    kind = df.schema[column].dataType
    if not isinstance(kind, _TIMES):
        raise SchemaError(
            f"{column} is {kind.simpleString()}, and no time",
            where=f"column {column}",
            hint="a date or a timestamp; cast it where the table is made",
        )
    return kind


def _refuse_hours(spec: EntitySpec, time: DataType) -> None:
    for window in spec.windows:
        if isinstance(time, DateType) and window.hours % 24:
            raise SchemaError(
                f"{window.text} is no whole number of days, and {spec.event_time} has dates alone",
                where=f"{spec.file}:{spec.windows_line} windows",
                hint="whole days, or a time with hours",
            )


def _check_figures(spec: EntitySpec, df: DataFrame) -> None:
    for each in spec.aggregates:
        kind = None if each.column is None else arrow_type(df.schema[each.column].dataType)
        with sealed_lips(each.name):
            window_type(each.kind, kind)


def _refuse_strangers(spec: EntitySpec, events: Stored, labels: Stored, where: str) -> list[str]:
    """Values that are never equal would give features of nothing, silently."""
    assert spec.labels is not None  # noqa: S101 (asked where there are labels)
    one, other = events.fact(spec.entity), labels.fact(spec.labels.entity)
    if _shifted(events, spec.event_time) != _shifted(labels, spec.labels.time):
        raise SpecError(
            "of the times of events and of labels one is shifted, and one is not",
            where=where,
            hint="times are compared as they stand: shift both, by one domain and subject",
        )
    if one is None or other is None:
        known = one if other is None else other
        if known is None:
            return []
        return [
            f"{spec.entity} stands in clear in the one table, and under `{known.protection}` in "
            "the other: features are found only where the two hold equal tokens"
        ]

    def said(fact: object) -> list[object]:
        names = ("protection", "primitive", "scope", "domain", "family", "context", "settings")
        return [getattr(fact, name) for name in names]

    if said(one) != said(other):
        raise SpecError(
            f"{spec.entity} and {spec.labels.entity} have different tokens of one entity",
            where=where,
            hint="protect both under one domain and in one way",
        )
    return []


def _labels(
    work: Workspace, spec: EntitySpec, table: Stored, key: DataType, time: DataType, where: str
) -> DataFrame:
    assert spec.labels is not None  # noqa: S101 (asked where there are labels)
    entity, at = spec.labels.entity, spec.labels.time
    found = _entity(table, entity, where)
    if found != key:
        raise SchemaError(
            f"{entity} is {found.simpleString()}, and {spec.entity} {key.simpleString()}",
            where=where,
            hint="cast one of them where its table is made",
        )
    _time(table, at, where)
    df = table.opened(work, (entity, at), entity)
    kind = _time_type(df, at)
    # A date would come before what happened on it, if events had dates alone; a day's beginning
    # comes before all that it has.
    if kind != time and not isinstance(kind, DateType):
        raise SchemaError(
            f"{at} is {kind.simpleString()}, and {spec.event_time} {time.simpleString()}",
            where=where,
            hint="the time of labels is of the events' type, or a date: that is its beginning",
        )
    moment = F.col(quoted(at)).cast(time)
    return df.select(
        F.col(quoted(entity)).alias("entity"), moment.alias("time"), moment.alias("asof")
    )
