"""Windows of groups through a project: every figure beside plain Python, each window by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.features import parse_features
from privpipe.spark import Home
from privpipe.spark._setting import setting
from tests.features._windows import HOUR, bounds, micros
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

COLUMNS = {
    "patient": "{protect: pseudonymize, output: uuid}",
    "region": "encrypt",
    '"`Visited.At`"': "encrypt",
    "cost": "encrypt",
    "doctor": "{protect: vault, vault: doctors}",
}
HEAD = """\
version: 1
features: clinic.regions
source: {source}
unit: patient
event_time: visited.at
as_of: {as_of}
windows: [{windows}]
groups: {{Region: {groups}}}
bounds: {{groups: 3, rows: {rows}}}
privacy: {{budget: clinic, epsilon: 10000000000000{delta}}}
"""
BOUNDED = """\
aggregates:
  visits: count
  people: units
  spend: {sum: cost, low: 0, high: 100, step: 0.01}
  avg: {mean: cost, low: 0, high: 100, step: 0.01}
columns: {visits: encrypt, people_7d: encrypt, "spend_*": encrypt}
"""
WHOLE = """\
aggregates:
  visits: count
  doctors: {distinct: doctor}
  hist: {histogram: cost, edges: [0, 10, 50, 100]}
  med: {quantile: cost, low: 0, high: 100, bins: 4, at: 0.5}
"""
REGIONS = ("east", "north", "south")
EXACT = """\
version: 1
features: clinic.exact
source: {source}
unit: patient
{over}groups: {{region: select}}
aggregates:
  visits: count
  people: units
  spend: {{sum: cost}}
  largest: {{max: cost}}
  doctors: {{top: doctor}}
privacy: {{k_anonymity: 3}}
"""


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
        for at in range(9):
            visits.append(
                Visit(patient=unit, region="east", at=many, cents=1000 + at, doctor=f"d{at % 4}")
            )
        visits.append(Visit(patient=unit, region="east", at=few, cents=10, doctor="d9"))
    nowhere = Visit(patient="p1", region="east", at=None, cents=5000, doctor="d1")
    return [*visits, nowhere, nowhere]


def table_of(spark: SparkSession, visits: list[Visit], case: Case) -> DataFrame:
    def time(at: int | None) -> datetime | date | None:
        if at is None:
            return None
        told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)
        return told.date() if case.kind == "date" else told

    kinds = {"date": pa.date32(), "timestamp": pa.timestamp("us", "UTC")}
    table = pa.table(
        {
            "patient": pa.array([each.patient for each in visits]),
            "region": pa.array([each.region for each in visits]),
            "at": pa.array(
                [time(each.at) for each in visits], kinds.get(case.kind, kinds["timestamp"])
            ),
            "cost": pa.array(
                [None if each.cents is None else each.cents / 100 for each in visits], pa.float64()
            ),
            "doctor": pa.array([each.doctor for each in visits]),
        }
    )
    if case.kind == "timestamp_ntz":
        at = table.schema.get_field_index("at")
        plain = table.column(at).cast(pa.timestamp("us"))
        table = table.set_column(at, "at", plain)
    df = spark.createDataFrame(table)
    assert df.schema["at"].dataType.typeName() == case.kind
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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "clinic", Budget.of_epsilon(10**15, delta="1e-5"))
    return home


Release = Callable[..., DataFrame]


@pytest.fixture
def release(home: Home, tmp_path: Path) -> Release:
    """Writes the features of a spec, and gives them opened."""

    def made(case: Case, figures: str, rows: int, groups: str = f"[{', '.join(REGIONS)}]") -> Any:
        delta = ", delta: 1e-9" if groups == "select" else ""
        head = HEAD.format(
            source=tmp_path / "visits", as_of=case.as_of, windows=", ".join(case.windows),
            rows=rows, groups=groups, delta=delta,
        )  # fmt: skip
        run = home.features(
            parse_features(head + figures), tmp_path / f"f{len(list(tmp_path.iterdir()))}"
        )
        written = home.spark.read.format("delta").load(run.target)
        sealed = [name for name, kind in written.dtypes if kind == "binary"]
        return home.reveal(run.target, sealed, "test") if sealed else written

    return made


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_every_figure_of_every_window_is_that_of_its_own_rows(
    home: Home, release: Release, tmp_path: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits, plans = some_visits(case), []
    to_arrow = type(home.spark.range(1)).toArrow

    def planned(df: Any) -> Any:
        plans.append(df._jdf.queryExecution().executedPlan().toString())
        return to_arrow(df)

    with setting(home.spark, "spark.sql.session.timeZone", case.zone):
        home.protect(
            parse_policy(policy_text(f"clinic.{case.kind}", COLUMNS)),
            table_of(home.spark, visits, case), tmp_path / "visits",
        )  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(type(home.spark.range(1)), "toArrow", planned)
            few = release(case, BOUNDED, 3)
        found = {row["Region"]: row for row in few.collect()}
        wanted = by_hand(visits, case, 3)
        names = ("visits", "people", "spend", "avg")
        assert not wrong(found, wanted, names)
        over_all = by_hand(visits, case, 3, per_window=False)
        assert wrong(found, over_all, names), "bounded over all windows, other rows count"
        plain = by_hand(visits, case, 1000)
        assert wrong(found, plain, names), "the bounds bite"
        kinds = dict(
            home.spark.read.format("delta").load(str(few.inputFiles()[0]).rsplit("/", 1)[0]).dtypes
        )
        assert {kinds[f"visits_{each}{end}"] for each in case.windows for end in ("", "_low")} == {
            "binary"
        }
        whole = {row["Region"]: row for row in release(case, WHOLE, 1000).collect()}
        assert not wrong(whole, plain, ("visits", "doctors", "hist"))

        # One shuffle, of rows in some window alone: their times do not go with them.
        [folded] = [plan for plan in plans if "MapInArrow" in plan]
        before, after = folded.split("Exchange hashpartitioning(", 1)
        assert "Exchange" not in before.replace("BroadcastExchange", "")
        assert "Exchange" not in after.replace("BroadcastExchange", "")
        assert "Filter" not in before
        assert "Filter" in after

        # Of groups that enough have in any window, each shows, and in all of them.
        chosen = {row["Region"]: row for row in release(case, BOUNDED, 3, "select").collect()}
        assert chosen.keys() == {"east", "north"}
        shown = {key: line for key, line in wanted.items() if key[0] in chosen}
        assert not wrong(chosen, shown, names)
