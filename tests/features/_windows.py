"""Windows of entities in plain Python, one row at a time: what the vectors are held to."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

HOUR = 3_600_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SPEC = """\
version: 1
features: clinic.activity
source: warehouse/visits
entity: patient
event_time: visited
windows: [12h, 7d, 30d, 1month, 2months]
grain: day
aggregates:
  visits: count
  paid: {count: cost}
  spend: {sum: cost}
  spend_mean: {mean: cost}
  dose: {sum: dose}
  dose_mean: {mean: dose}
  steps: {sum: steps}
  least: {min: steps}
  largest: {max: cost}
  last: {max: doctor}
  doctors: {distinct: doctor}
privacy: none
columns: {spend*: encrypt, visits_7d: encrypt, dose_*: keep}
"""
LABELS = "labels: {table: warehouse/outcomes, entity: patient, time: decided}\n"
FIGURES = (
    ("visits", "count", None), ("paid", "count", "cost"), ("spend", "sum", "cost"),
    ("spend_mean", "mean", "cost"), ("dose", "sum", "dose"), ("dose_mean", "mean", "dose"),
    ("steps", "sum", "steps"), ("least", "min", "steps"), ("largest", "max", "cost"),
    ("last", "max", "doctor"), ("doctors", "distinct", "doctor"),
)  # fmt: skip
WINDOWS = ("12h", "7d", "30d", "1month", "2months")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event; `visited` in microseconds of UTC, or, where times have no zone, of the clock."""

    patient: str | None
    visited: int | None
    cost: Decimal | None
    dose: float | None
    steps: int | None
    doctor: str | None


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def moment(at: int, zone: tzinfo) -> datetime:
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone)


def begin(day: date, zone: tzinfo) -> int:
    return micros(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def grain_of(at: int, grain: str, zone: tzinfo) -> int:
    day = moment(at, zone).date()
    if grain == "week":
        day -= timedelta(days=day.weekday())
    return begin(day.replace(day=1) if grain == "month" else day, zone)


def bounds(window: str, asof: int, zone: tzinfo) -> tuple[int, int]:
    """From when, and to before when."""
    if window == "12h":
        return asof - int(window[:-1]) * HOUR, asof
    if window.endswith("d"):
        return asof - 24 * int(window[:-1]) * HOUR, asof
    day = moment(asof, zone).date().replace(day=1)
    months = day.year * 12 + day.month - 1 - int(window[0])
    return begin(date(months // 12, months % 12 + 1, 1), zone), begin(day, zone)


def figure(kind: str, values: Sequence[Any]) -> Any:
    if kind == "count":
        return len(values)
    if kind == "distinct":
        return len(set(values))
    if not values:
        return None
    return REDUCED[kind](values)


def total(values: Sequence[Any]) -> Any:
    """Exact, and of doubles rounded once."""
    return math.fsum(values) if isinstance(values[0], float) else sum(values)


def mean(values: Sequence[Any]) -> Any:
    """Of decimals to four more places, as Spark rounds them."""
    if not isinstance(values[0], Decimal):
        return total(values) / len(values)
    with localcontext() as context:
        context.prec = 60
        return (total(values) / len(values)).quantize(Decimal("0.000001"), ROUND_HALF_UP)


REDUCED: dict[str, Callable[[Sequence[Any]], Any]] = {
    "min": min, "max": max, "sum": total, "mean": mean
}  # fmt: skip


def row_of(
    events: Iterable[Event],
    patient: str,
    asof: int,
    zone: tzinfo,
    *,
    first: str = WINDOWS[0],
    inside: Callable[[int, int, int], bool] = lambda low, at, high: low <= at < high,
) -> tuple[Any, ...]:
    """The figures of one moment, aggregate by aggregate."""
    own = [each for each in events if each.patient == patient and each.visited is not None]
    windows = (first, *WINDOWS[1:])
    ends = {window: bounds(window, asof, zone) for window in windows}
    found = []
    for _, kind, column in FIGURES:
        for window in windows:
            low, high = ends[window]
            there = [each for each in own if inside(low, each.visited or 0, high)]
            values = [1 if column is None else getattr(each, column) for each in there]
            found.append(figure(kind, [value for value in values if value is not None]))
    return patient, asof, *found


def some_events(seed: int, first: datetime, zone: tzinfo, *, days: bool = False) -> list[Event]:
    """Events of nine patients over 130 days, on whole hours or days, so that many meet; at the
    beginnings of months too; with nulls, and some of nobody or of no time."""
    rng = random.Random(seed)
    whole = 24 if days else 1
    start = micros(first)
    times: list[int | None] = [start]
    times += [start + rng.randrange(130 * 24 // whole) * whole * HOUR for _ in range(700)]
    times += [begin(date(2024, month, 1), zone) for month in (2, 3, 4, 5)] * 3
    times += [None] * 5

    def made(at: int | None) -> Event:
        def maybe(value: Any) -> Any:
            return None if rng.random() < 0.1 else value

        # A patient with a few events, and one with most.
        patient = rng.choice(["p0"] * 6 + [f"p{n}" for n in range(1, 9)])
        return Event(
            patient=patient if rng.random() > 0.01 else None,
            visited=at,
            cost=maybe(Decimal(rng.randrange(-10_000, 1_000_000)) / 100),
            dose=maybe(rng.choice([1e16, -1e16, 0.1, 1e-3]) * rng.random()),
            steps=maybe(rng.randrange(-50, 5000)),
            doctor=maybe(f"d{rng.randrange(12)}"),
        )

    return [made(at) for at in times]
