"""Features of entities, from rows that lie by entity and time: all entities and windows at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from privpipe.aggregates import Aggregate, Distinct, Groups, Max, Mean, Min, Sum, finished, mapped
from privpipe.features._entity_model import Window, WindowAggregate, WindowKind
from privpipe.features._places import on_line
from privpipe.features._ranges import Ranges, counts, distinct_counts, partials_over

__all__ = ["WindowPlan", "entity_starts", "window_type"]

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_HOUR, _DAY = 3_600_000_000, 86_400_000_000
_SUMMED: Mapping[WindowKind, Aggregate] = {
    "sum": Sum(), "mean": Mean(), "min": Min(), "max": Max()
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Events by entity and time, the moments that are asked for, and where of the events each
    entity's begin. Times are microseconds; of dates, of their beginnings."""

    entity: Int64s
    time: Int64s
    begins: Int64s
    asked: Int64s
    asof: Int64s


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """What is told as of each moment.

    Input of `figures`: `entity`, `time`, `asof`, `event`; `month` and `m<windows' place>`, the ends
    of windows of months; then `c<place>`, the columns of `columns`. Rows lie by entity and time,
    and an entity's lie together and whole. A row that is an `event` was at `time`; each entity and
    `asof` that is not null is asked for: of events once, however many have it, of others each.
    """

    windows: tuple[Window, ...]
    aggregates: tuple[WindowAggregate, ...]
    columns: tuple[str, ...]

    def figures(self, rows: pa.RecordBatch) -> list[pa.Array]:
        """The entity and the moment of each row asked for, and its figures, aggregate by aggregate.

        A window of so many hours before t holds the events from t less the hours to before t: one
        at t is none of it, and none behind it. Nothing in a window: counts are 0, others null.
        """
        entity, asof, events = rows.column("entity"), rows.column("asof"), rows.column("event")
        code, event = _codes(entity), np.asarray(events)
        asked = _asked(code, asof, event)
        at = pa.array(asked)
        lie = _Rows(
            entity=code[event],
            time=_micros(rows.column("time").filter(events)),
            begins=_begins(code[event]),
            asked=code[asked],
            asof=_micros(asof.take(at)),
        )
        find = _finder(lie)
        ranges = [self._range(place, rows, at, lie, find) for place in range(len(self.windows))]
        values = {
            name: rows.column(f"c{place}").filter(events) for place, name in enumerate(self.columns)
        }
        over = _Over(lie=lie, ranges=ranges)
        found = [entity.take(at), asof.take(at)]
        for each in self.aggregates:
            with on_line(f"aggregates.{each.name}"):
                column = None if each.column is None else values[each.column]
                found += over.figures(each.kind, column)
        return found

    def _range(
        self,
        place: int,
        rows: pa.RecordBatch,
        at: pa.Array,
        lie: _Rows,
        find: Callable[[Int64s], Int64s],
    ) -> Ranges:
        window = self.windows[place]
        if window.months:
            start = _micros(rows.column(f"m{place}").take(at))
            stop = _micros(rows.column("month").take(at))
        else:
            start, stop = lie.asof - window.hours * _HOUR, lie.asof
        return Ranges(starts=find(start), stops=find(stop))


def window_type(kind: WindowKind, column: pa.DataType | None) -> pa.DataType:
    """The type of a figure. Raises: SchemaError for a column that it is not of."""
    if kind == "count" or column is None:
        return pa.int64()
    aggregate = Distinct() if kind == "distinct" else _SUMMED[kind]
    return finished(aggregate, mapped(aggregate, Groups([], 0), (pa.array([], column),))).type


def entity_starts(entity: pa.Array) -> Int64s:
    """The rows where another entity begins than in the row before, the first one among them."""
    return np.flatnonzero(_fresh(entity))


def _fresh(entity: pa.Array) -> Bools:
    fresh = np.ones(len(entity), dtype=np.bool_)
    if len(entity):
        fresh[1:] = np.asarray(pc.not_equal(entity[1:], entity[:-1]))
    return fresh


def _codes(entity: pa.Array) -> Int64s:
    return np.cumsum(_fresh(entity), dtype=np.int64)


def _begins(code: Int64s) -> Int64s:
    """Of each row, the first one of its code."""
    fresh = np.ones(len(code), dtype=np.bool_)
    fresh[1:] = code[1:] != code[:-1]
    starts = np.flatnonzero(fresh)
    return np.repeat(starts, np.diff(np.append(starts, len(code))))


def _asked(code: Int64s, asof: pa.Array, event: Bools) -> Int64s:
    """The rows whose moment is asked for: of events of one entity and moment the first alone."""
    there = np.flatnonzero(np.asarray(asof.is_valid()))
    moment, who = _micros(asof.take(pa.array(there))), code[there]
    fresh = ~event[there]
    fresh[:1] = True
    fresh[1:] |= (moment[1:] != moment[:-1]) | (who[1:] != who[:-1])
    return there[fresh]


def _micros(times: pa.Array) -> Int64s:
    """Times without nulls as whole microseconds."""
    if pt.is_date32(times.type):
        return np.asarray(times.cast(pa.int32())).astype(np.int64) * _DAY
    return np.asarray(times.view(pa.int64()))


def _finder(lie: _Rows) -> Callable[[Int64s], Int64s]:
    """For a moment of each row asked for: the first event of its entity at that moment or behind,
    or, where there is none, the row behind its events.

    Moments stand in for by their ranks: beside an entity's number they fit into 64 bits.
    """
    known = np.unique(lie.time)
    wide = len(known) + 1
    events = lie.entity * wide + np.searchsorted(known, lie.time)

    def find(moments: Int64s) -> Int64s:
        wanted = lie.asked * wide + np.searchsorted(known, moments)
        return np.searchsorted(events, wanted)

    return find


@dataclass(frozen=True, slots=True, kw_only=True)
class _Over:
    """The ranges of all windows; sums that a mean is of too are added up once."""

    lie: _Rows
    ranges: Sequence[Ranges]
    known: dict[tuple[bool | WindowKind, int], pa.Array] = field(default_factory=dict)

    def figures(self, kind: WindowKind, column: pa.Array | None) -> list[pa.Array]:
        """One array a window. `column` lives as long as this."""
        if kind == "count" or column is None:
            valid = np.ones(len(self.lie.time), dtype=np.bool_)
            if column is not None:
                valid = np.asarray(column.is_valid())
            return [pa.array(counts(valid, each)) for each in self.ranges]
        if kind == "distinct":
            begins = self.lie.begins
            return [pa.array(distinct_counts(column, begins, each)) for each in self.ranges]
        aggregate, key = _SUMMED[kind], (kind in ("sum", "mean") or kind, id(column))
        if key not in self.known:
            self.known[key] = partials_over(aggregate, column, self._every())
        figures = finished(aggregate, self.known[key])
        ends = np.cumsum([0, *(len(each) for each in self.ranges)]).tolist()
        return [figures[start:stop] for start, stop in pairwise(ends)]

    def _every(self) -> Ranges:
        """All windows' ranges in a row, so that runs of rows are added up once."""
        return Ranges(
            starts=np.concatenate([each.starts for each in self.ranges]),
            stops=np.concatenate([each.stops for each in self.ranges]),
        )
