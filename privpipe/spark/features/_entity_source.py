"""What features of entities are made of: events, and the moments for which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType

from privpipe.catalog import ColumnRecord
from privpipe.errors import SchemaError, SourceError
from privpipe.features import EntitySpec, figure_place, on_line, place_of, window_type
from privpipe.spark._leaves import quoted
from privpipe.spark._lips import sealed_lips
from privpipe.spark._types import arrow_type
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._entity_key import EntityKey, find_entity, refuse_strangers
from privpipe.spark.features._entity_time import (
    beginning,
    check_time,
    refuse_other_shift,
    shift_warnings,
)
from privpipe.spark.features._source import (
    OPENED,
    Stored,
    column_of,
    does_not_open,
    find_spec_table,
    find_table,
)
from privpipe.spark.features._times import refuse_hours, time_type

__all__ = ["EntitySource", "find_entities"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySource:
    """Events and moments, lazily, both as `entity`, `time`, `asof`.

    Events have `c<place>` for each column beside; without labels their `asof` is the beginning of
    their grain, else null. `spec` names columns as the tables do; `carried` is the fact of the
    written column of entities, which is a copy; `tables` are those that are read.
    """

    spec: EntitySpec
    events: DataFrame
    labels: DataFrame | None
    columns: tuple[str, ...]
    carried: tuple[ColumnRecord, ...] = ()
    tables: tuple[Stored, ...]
    warnings: tuple[str, ...]

    @property
    def time_type(self) -> DataType:
        """The type of moments."""
        return self.events.schema["time"].dataType


def find_entities(work: Workspace, spec: EntitySpec, place: str) -> EntitySource:
    """The tables that the spec names, as they are now, the latter at `place`; reads no row.

    Raises: SourceError, SchemaError for columns that are not there or of no fitting type, SpecError
    for those that stand under a protection that features cannot be made of.
    """
    table = find_spec_table(work, spec, place)
    spec = _spelt(spec, table.df)
    _refuse_lost(spec, table)
    key = find_entity(work, table, spec.entity, place_of(spec, "entity"))
    check_time(table, spec.event_time, place_of(spec, "event_time"))
    columns = tuple(dict.fromkeys(each.column for each in spec.aggregates if each.column))
    opened = table.opened(work, spec.columns, spec.entity)
    time = time_type(opened, spec.event_time, place_of(spec, "event_time"))
    refuse_hours(spec.windows, spec.event_time, place_of(spec, "windows"), time)
    _check_figures(spec, opened)
    moment = F.col(quoted(spec.event_time))
    events = opened.select(
        F.col(quoted(spec.entity)).alias("entity"),
        moment.alias("time"),
        (
            F.lit(None).cast(time) if spec.grain is None else beginning(moment, spec.grain, time)
        ).alias("asof"),
        *(F.col(quoted(name)).alias(f"c{at}") for at, name in enumerate(columns)),
    )
    source = EntitySource(
        spec=spec,
        events=events,
        labels=None,
        columns=columns,
        carried=_carried(spec, key),
        tables=(table,),
        warnings=tuple(shift_warnings(spec, table)),
    )
    return source if spec.labels is None else _labelled(work, source, table, key)


def _labelled(
    work: Workspace, source: EntitySource, events: Stored, key: EntityKey
) -> EntitySource:
    """With the moments of the table of labels, whose column of entities is then written."""
    spec, labels = source.spec, source.spec.labels
    assert labels is not None  # noqa: S101 (asked where there are labels)
    where = f"{spec.file}:{labels.line} labels"
    try:
        table = find_table(work, work.find(work.keep(labels.table)))
    except SourceError as error:
        told = f"{error.message}: {labels.table}"
        raise SourceError(told, where=where, hint=error.hint) from None
    names = table.df.columns
    spelt = replace(
        labels,
        entity=column_of(names, labels.entity, spec, where),
        time=column_of(names, labels.time, spec, where),
    )
    keys = {labels.entity: spelt.entity, labels.time: spelt.time}
    spec, labels = replace(spec, labels=spelt, protect=_protect(spec, keys)), spelt
    other = find_entity(work, table, labels.entity, where)
    warnings = refuse_strangers(key, other, where)
    check_time(table, labels.time, where)
    refuse_other_shift(spec, events, table, labels.time, where)
    return replace(
        source,
        spec=spec,
        labels=_moments(work, spec, table, source.time_type, where),
        carried=_carried(spec, other),
        tables=(events, table),
        warnings=(*source.warnings, *warnings),
    )


def _carried(spec: EntitySpec, key: EntityKey) -> tuple[ColumnRecord, ...]:
    """Nothing where the spec protects the copy itself."""
    name = spec.keys[0]
    return key.as_column(name) if name in spec.clear else ()


def _spelt(spec: EntitySpec, df: DataFrame) -> EntitySpec:
    def name(column: str) -> str:
        return column_of(df.columns, column, spec)

    keys = {} if spec.labels is not None else {key: name(key) for key in spec.keys}
    return replace(
        spec,
        entity=name(spec.entity),
        event_time=name(spec.event_time),
        protect=_protect(spec, keys),
        aggregates=tuple(
            each if each.column is None else replace(each, column=name(each.column))
            for each in spec.aggregates
        ),
    )


def _protect(spec: EntitySpec, keys: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What protects the written columns, the keys by the names that their table gives them: no
    protection is lost for the case of a letter."""
    told = spec.protections
    return tuple({**dict(spec.protect), **{new: told[old] for old, new in keys.items()}}.items())


def _refuse_lost(spec: EntitySpec, table: Stored) -> None:
    for each in spec.aggregates:
        protection = None if each.column is None else table.protection(each.column)
        if protection is None or protection in OPENED:
            continue
        if not (protection == "pseudonymize" and each.kind in ("distinct", "count")):
            raise does_not_open(str(each.column), protection, figure_place(spec, each.name))


def _check_figures(spec: EntitySpec, df: DataFrame) -> None:
    for each in spec.aggregates:
        kind = None if each.column is None else arrow_type(df.schema[each.column].dataType)
        with on_line(figure_place(spec, each.name)), sealed_lips(str(each.column)):
            try:
                window_type(each.kind, kind)
            except SchemaError as error:
                text = f"{error.message} (column {each.column})"
                raise SchemaError(text, hint=error.hint) from None


def _moments(
    work: Workspace, spec: EntitySpec, table: Stored, time: DataType, where: str
) -> DataFrame:
    assert spec.labels is not None  # noqa: S101 (asked where there are labels)
    entity, at = spec.labels.entity, spec.labels.time
    df = table.opened(work, (entity, at), entity)
    kind = time_type(df, at, where)
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
