"""When an event was: times of events and of labels, and how they are moved."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from privpipe.catalog import ColumnRecord
from privpipe.errors import SpecError
from privpipe.features import EntitySpec
from privpipe.policy import Shift
from privpipe.spark._recorded import settings_of
from privpipe.spark.features._source import OPENED, Stored

__all__ = [
    "beginning",
    "check_time",
    "refuse_other_shift",
    "shift_warnings",
]

_GRAINS = {"week": "WEEK", "month": "MM", "quarter": "QUARTER", "year": "YEAR"}


def beginning(time: Column, grain: str, kind: DataType) -> Column:
    """Of the day, week, month, quarter or year that a time is in."""
    day = time.cast("date")
    return (F.trunc(day, _GRAINS[grain]) if grain in _GRAINS else day).cast(kind)


def check_time(table: Stored, column: str, where: str) -> None:
    """Raises SpecError where the time does not open, and is not shifted either."""
    protection = table.protection(column)
    if protection not in (None, "shift", *OPENED):
        raise SpecError(
            f"{column} stands under `{protection}`, and does not open",
            where=where,
            hint="a time that is kept, encrypted or shifted",
        )


def shift_warnings(spec: EntitySpec, events: Stored) -> list[str]:
    """What shifted times of events say no more."""
    fact = _shift(events, spec.event_time)
    if fact is None:
        return []
    subject, warnings = _settings(fact).subject, []
    if subject.lower() != spec.entity.lower():
        warnings.append(
            f"{spec.event_time} is shifted by {subject}: where one {spec.entity} has several, its "
            "events are moved by different numbers of days, and its windows hold others than it had"
        )
    if spec.grain in _GRAINS or any(window.months for window in spec.windows):
        warnings.append(
            f"{spec.event_time} is shifted, so weeks and months are of the shifted dates"
        )
    return warnings


def refuse_other_shift(
    spec: EntitySpec, events: Stored, labels: Stored, label_time: str, where: str
) -> None:
    """Raises SpecError where times of one entity are moved differently in the two tables."""
    one, other = _shift(events, spec.event_time), _shift(labels, label_time)
    if one is None and other is None:
        return
    if one is None or other is None:
        raise SpecError(
            "of the times of events and of labels one is shifted, and one is not",
            where=where,
            hint="times are compared as they stand: shift both, by one domain and subject",
        )
    if _moves(one) != _moves(other):
        raise SpecError(
            f"{spec.event_time} and {label_time} are shifted by different numbers of days",
            where=where,
            hint="shift both under one domain and key, by as many `days`",
        )


def _shift(table: Stored, column: str) -> ColumnRecord | None:
    fact = table.fact(column)
    return fact if fact is not None and fact.protection == "shift" else None


def _moves(fact: ColumnRecord) -> tuple[object, ...]:
    """All that decides, with the subject, by how much a date is moved."""
    return fact.primitive, fact.scope, fact.key_id, fact.context, _settings(fact).days


def _settings(fact: ColumnRecord) -> Shift:
    settings = settings_of(fact)
    assert isinstance(settings, Shift)  # noqa: S101 (the record's protection says so)
    return settings
