"""Visits at the ends of windows, and the figures of groups over them in plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from tests.features._windows import HOUR, bounds, micros
from tests.spark._times import with_time

REGIONS = ("east", "north", "south")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One event; `at` in microseconds, of UTC or, where times have no zone, of the clock."""

    patient: str | None
    region: str
    at: int | None
    cents: int | None
    doctor: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A type of times, as of when, in which zone of the session."""

    kind: str
    as_of: str
    windows: tuple[str, ...]
    zone: str

    @property
    def clock(self) -> Any:
        """The zone that times are of."""
        return ZoneInfo(self.zone) if self.kind == "timestamp" else UTC

    @property
    def moment(self) -> int:
        """The moment, in microseconds."""
        return micros(datetime.fromisoformat(self.as_of).replace(tzinfo=self.clock))


# Clocks change in Berlin on 31 March 2024, within the 7 days before that noon of April.
CASES = (
    Case(kind="timestamp", as_of="2024-04-02T12:00", windows=("12h", "7d", "30d", "1month"),
         zone="Europe/Berlin"),
    Case(kind="timestamp_ntz", as_of="2024-03-10T00:30", windows=("7d", "1month", "2months"),
         zone="America/Sao_Paulo"),
    Case(kind="date", as_of="2024-03-01", windows=("30d", "7d", "1month"),
         zone="Pacific/Auckland"),
)  # fmt: skip


def some_visits(case: Case) -> list[Visit]:
    """At the ends of every window, a tick (of dates a day) before and behind them; of one patient
    so many that the bounds bite, in some windows and not in others; and some without a time."""
    tick = 24 * HOUR if case.kind == "date" else 1
    edges = {end for each in case.windows for end in bounds(each, case.moment, case.clock)}
    times = [end + off for end in sorted(edges) for off in (-tick, 0, tick)]
    visits = [
        Visit(
            patient=None if at % 17 == 5 else f"p{at % 5}",
            region=REGIONS[at % 2],
            at=time,
            cents=None if at % 11 == 3 else 137 * at % 10_000,
            doctor=f"d{at % 4}",
        )
        for at, time in enumerate(times * 6)
    ]
    # A unit with one row in the last week and many before it, and one the other way round.
    week, month = (bounds(each, case.moment, case.clock)[0] for each in ("7d", "30d"))
    for unit, few, many in (("late", month, week), ("early", week, month)):
        visits += [
            Visit(patient=unit, region="east", at=many, cents=1000 + at, doctor=f"d{at % 4}")
            for at in range(9)
        ]
        visits.append(Visit(patient=unit, region="east", at=few, cents=10, doctor="d9"))
    nowhere = Visit(patient="p1", region="east", at=None, cents=5000, doctor="d1")
    return [*visits, nowhere, nowhere]


def table_of(spark: SparkSession, visits: list[Visit], case: Case) -> DataFrame:
    table = pa.table(
        {
            "patient": pa.array([each.patient for each in visits]),
            "region": pa.array([each.region for each in visits]),
            "at": pa.array([each.at for each in visits], pa.int64()),
            "cost": pa.array(
                [None if each.cents is None else each.cents / 100 for each in visits], pa.float64()
            ),
            "doctor": pa.array([each.doctor for each in visits]),
        }
    )
    df = with_time(spark.createDataFrame(table), "at", case.kind)
    return df.withColumnRenamed("at", "Visited.At")


def by_hand(
    visits: list[Visit], case: Case, most: int, *, per_window: bool = True
) -> dict[tuple[str, str], dict[str, Any]]:
    """By region and window; the planted bug bounds a unit's rows over all windows together."""
    found = {}
    every = [bounds(window, case.moment, case.clock) for window in case.windows]
    for window, (low, high) in zip(case.windows, every, strict=True):
        for region in REGIONS:
            units: dict[str, list[Visit]] = defaultdict(list)
            for each in visits:
                if each.patient is None or each.region != region or each.at is None:
                    continue
                if any(begin <= each.at < end for begin, end in every):
                    units[each.patient].append(each)
            if not per_window:
                units = {unit: own[:most] for unit, own in units.items()}
            units = {u: [v for v in own if low <= (v.at or 0) < high] for u, own in units.items()}
            found[region, window] = figures(units, most)
    return found


def figures(units: Mapping[str, list[Visit]], most: int) -> dict[str, Any]:
    visits = people = spend = values = centred = 0
    doctors, hist = set(), [0, 0, 0]
    for own in units.values():
        cents = [each.cents for each in own if each.cents is not None]
        visits += min(len(own), most)
        people += bool(own)
        spend += sum(cents) * min(len(cents), most) // max(len(cents), 1)
        values += min(len(cents), most)
        whole = sum(2 * each - 10_000 for each in cents)
        part = abs(whole) * min(len(cents), most) // max(len(cents), 1)
        centred += part if whole > 0 else -part
        doctors |= {each.doctor for each in own}
        for each in cents:
            hist[(each >= 1000) + (each >= 5000)] += 1
    avg = (centred / values + 10_000) / 200 if values else None
    return {"visits": visits, "people": people, "spend": spend, "avg": avg,
            "doctors": len(doctors), "hist": hist}  # fmt: skip


def wrong(found: Mapping[str, Any], wanted: Mapping[tuple[str, str], Mapping[str, Any]],
          names: tuple[str, ...]) -> list[str]:  # fmt: skip
    """The figures that are not those by hand."""
    told = []
    for (region, window), line in wanted.items():
        for name in names:
            value, right = found[region][f"{name}_{window}"], line[name]
            same = value == right
            if name == "avg":
                same = right is None or abs(value - right) < 1e-9
            elif name == "spend":
                same = int(value * 100) == right
            if not same:
                told.append(f"{name} of {region} in {window}: {value}, wanted {right}")
    return told
