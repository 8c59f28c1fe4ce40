"""Features of entities through a project: every figure beside plain Python, and no look ahead."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.cli import main
from privpipe.errors import PrivpipeError, RunConflict, SchemaError, SpecError
from privpipe.features import EntitySpec, parse_features
from privpipe.spark import Home
from privpipe.spark._setting import setting
from privpipe.spark.features import _entities, _entity_rows
from privpipe.spark.features._entity_rows import entity_rows
from privpipe.spark.features._entity_source import find_entities
from tests.features._windows import (
    HOUR,
    LABELS,
    SPEC,
    Event,
    grain_of,
    micros,
    row_of,
    some_events,
)
from tests.spark._project import make_home, policy_text
from tests.spark._times import with_time

BERLIN = ZoneInfo("Europe/Berlin")
FIRST = datetime(2024, 1, 10, tzinfo=UTC)
COLUMNS = {
    "patient": "{protect: encrypt_deterministic, domain: patient}",
    "visited": "encrypt",
    "cost": "encrypt",
    "dose": "encrypt",
    "steps": "encrypt",
    "doctor": "{protect: vault, vault: doctors}",
    "ward": "{protect: mask, show: {first: 1}}",
    "room": "encrypt",
    "who": "keep",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("home") / "home", spark)


def table_of(spark: SparkSession, events: list[Event], kind: str) -> DataFrame:
    table = pa.table(
        {
            "patient": pa.array([each.patient for each in events]),
            "visited": pa.array([each.visited for each in events], pa.int64()),
            "cost": pa.array([each.cost for each in events], pa.decimal128(12, 2)),
            "dose": pa.array([each.dose for each in events], pa.float64()),
            "steps": pa.array([each.steps for each in events], pa.int32()),
            "doctor": pa.array([each.doctor for each in events]),
        }
    )
    return with_time(spark.createDataFrame(table), "visited", kind)


def label_table(spark: SparkSession, moments: list[tuple[str, int]], kind: str) -> DataFrame:
    table = pa.table(
        {
            "patient": pa.array([patient for patient, _ in moments], pa.string()),
            "decided": pa.array([at for _, at in moments], pa.int64()),
        }
    )
    return with_time(spark.createDataFrame(table), "decided", kind)


def moments_among(events: list[Event], seed: int, zone: tzinfo) -> list[tuple[str, int]]:
    """Among them the times of events, times a window behind one, and months' beginnings."""
    rng = random.Random(seed)
    known = [(each.patient, each.visited) for each in events if each.patient and each.visited]
    late = [each for each in known if each[1] > micros(FIRST)]
    found = rng.sample(late, 60)
    found += [(patient, at + 168 * HOUR) for patient, at in rng.sample(late, 30)]
    months = [(patient, grain_of(at, "month", zone)) for patient, at in rng.sample(late, 30)]
    return found + [each for each in months if each[1] > micros(FIRST)] + found[:2]


def told(df: DataFrame) -> list[tuple[Any, ...]]:
    """Rows with their moments in microseconds."""
    at = df.columns[1]
    if dict(df.dtypes)[at] == "timestamp":
        df = df.withColumn(at, F.unix_micros(at))

    def plain(value: object) -> object:
        if isinstance(value, datetime):
            return micros(value.replace(tzinfo=UTC))
        return (
            micros(datetime(*value.timetuple()[:3], tzinfo=UTC))
            if isinstance(value, date)
            else value
        )

    return sorted((row[0], plain(row[1]), *row[2:]) for row in df.collect())


def spec_of(text: str) -> EntitySpec:
    spec = parse_features(text, name="f.yaml")
    assert isinstance(spec, EntitySpec)
    return spec


def rows_by(home: Home, text: str, source: Path, labels: Path | None = None) -> DataFrame:
    text = text.replace("warehouse/visits", str(source)).replace("warehouse/outcomes", str(labels))
    return entity_rows(find_entities(home._work, spec_of(text), str(source)))


@pytest.mark.parametrize(
    ("kind", "name", "grain"),
    [
        ("timestamp", "Europe/Berlin", "day"),
        ("timestamp_ntz", "America/Sao_Paulo", "week"),
        ("date", "Pacific/Auckland", "month"),
    ],
)
def test_every_figure_is_that_of_the_reference(
    home: Home, spark: SparkSession, tmp_path: Path, kind: str, name: str, grain: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Clocks change in Berlin within the events: on March 31, 2024, a month's last day."""
    zone: tzinfo = ZoneInfo(name) if kind == "timestamp" else UTC
    events = some_events(7, FIRST, zone, days=kind == "date")
    if kind == "date":  # what begins a month by a clock begins a day
        assert all(each.visited is None or each.visited % (24 * HOUR) == 0 for each in events)
    moments = moments_among(events, 7, zone)
    text = SPEC.replace("12h", "1d") if kind == "date" else SPEC
    places = tmp_path / "visits", tmp_path / "outcomes"
    with setting(spark, "spark.sql.session.timeZone", name):
        table_of(spark, events, kind).write.format("delta").save(str(places[0]))
        label_table(spark, moments, kind).write.format("delta").save(str(places[1]))
        grained = text.replace("grain: day", f"grain: {grain}")
        found = []
        for way, labels in ((grained, None), (text.replace("grain: day\n", LABELS), places[1])):
            made = rows_by(home, way, places[0], labels)
            plan = made._jdf.queryExecution().executedPlan().toString()
            assert plan.count("Exchange") == plan.count("Exchange hashpartitioning(entity") == 1
            found.append(told(made))
        by_grain, by_label = found
        if kind == "timestamp":
            # However rows lie, and however few are held at a time.
            monkeypatch.setattr(_entity_rows, "CHUNK_ROWS", 50)
            for parts, adaptive in ((1, "true"), (7, "false")):
                lies = tmp_path / f"lies{parts}"
                shuffled = table_of(spark, events, kind).repartition(parts, F.rand(parts))
                shuffled.write.format("delta").save(str(lies))
                few = setting(spark, "spark.sql.shuffle.partitions", str(2 * parts))
                with few, setting(spark, "spark.sql.adaptive.enabled", adaptive):
                    assert told(rows_by(home, grained, lies)) == by_grain
                    labelled = text.replace("grain: day\n", LABELS)
                    assert told(rows_by(home, labelled, lies, places[1])) == by_label
    begun = {
        (each.patient, grain_of(each.visited, grain, zone))
        for each in events
        if each.patient is not None and each.visited is not None
    }
    ours = "1d" if kind == "date" else "12h"
    assert by_grain == sorted(row_of(events, *each, zone, first=ours) for each in begun)
    assert by_label == sorted(row_of(events, *each, zone, first=ours) for each in moments)
    leaking = sorted(
        row_of(events, *each, zone, first=ours, inside=lambda low, at, high: low <= at <= high)
        for each in moments
    )
    assert by_label != leaking


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return some_events(9, FIRST, BERLIN)


@pytest.fixture(scope="module")
def tables(
    home: Home, spark: SparkSession, events: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Events and labels, all of them protected."""
    folder = tmp_path_factory.mktemp("tables")
    visits = table_of(spark, events, "timestamp").withColumns(
        {"ward": F.lit("west"), "room": F.lit("r1"), "who": F.col("patient")}
    )
    home.protect(
        parse_policy(policy_text("clinic.visits", COLUMNS)), visits, str(folder / "visits")
    )
    moments = moments_among(events, 9, BERLIN)
    labels = label_table(spark, moments, "timestamp").withColumn("who", F.col("patient"))
    columns = {"patient": COLUMNS["patient"], "decided": "encrypt", "who": "keep"}
    policy = parse_policy(policy_text("clinic.outcomes", columns))
    home.protect(policy, labels, str(folder / "outcomes"))
    return folder / "visits", folder / "outcomes"


def text_of(tables: tuple[Path, Path], *, labels: bool = True) -> str:
    text = SPEC.replace("grain: day\n", LABELS) if labels else SPEC
    return text.replace("warehouse/visits", str(tables[0])).replace(
        "warehouse/outcomes", str(tables[1])
    )


def test_from_protected_tables_to_a_protected_table(
    home: Home, spark: SparkSession, events: list[Event], tables: tuple[Path, Path],
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    spec, place = spec_of(text_of(tables)), str(tmp_path / "features")
    with setting(spark, "spark.sql.session.timeZone", "Europe/Berlin"):
        run = home.features(spec, place, run_id="inside")
    moments = moments_among(events, 9, BERLIN)
    assert (run.state, run.rows, run.policy_hash) == ("COMMITTED", len(moments), spec.hash)
    record = home.catalog.run("inside")
    assert record is not None
    assert (record.policy, record.source) == (spec.canonical_text, home._work.keep(str(tables[0])))
    assert ledger.attempts(home.catalog, "inside") == ()
    lost = sum(each.patient is None or each.visited is None for each in events)
    assert f"{lost} event(s) have no entity or no time, and are left out" in run.warnings
    assert any(
        each.startswith("the window 2months begins before the first") for each in run.warnings
    )
    assert any(each.startswith("nothing hides decided, visits_12h") for each in run.warnings)

    stored = spark.read.format("delta").load(place)
    kinds = dict(stored.dtypes)
    assert kinds["spend_7d"] == kinds["spend_mean_30d"] == kinds["visits_7d"] == "binary"
    assert (kinds["patient"], kinds["decided"]) == ("binary", "timestamp")
    assert (kinds["visits_30d"], kinds["largest_30d"]) == ("bigint", "decimal(12,2)")
    hidden = [name for name, kind in kinds.items() if kind == "binary"]
    opened = home.reveal(place, hidden, "test")
    assert told(opened) == sorted(row_of(events, *each, BERLIN) for each in moments)
    assert home.verify(place).ok

    again = home.features(spec, place, run_id="inside")
    assert (again.replayed, again.table_version) == (True, 0)
    with pytest.raises(RunConflict):
        home.features(spec_of(text_of(tables, labels=False)), place, run_id="inside")
    config = ["--config", str(home.project.path)]
    assert main(["features", "show", place, *config]) == 0
    shown = capsys.readouterr().out
    assert "clinic.activity" in shown
    assert "12h 7d 30d 1month 2months" in shown


def test_what_cannot_be_writes_nothing(
    home: Home, spark: SparkSession, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    stored = spark.read.format("delta").load(str(tables[1]))
    first = micros(FIRST)
    for name, moments, kind in (
        ("early", [("p0", first), ("p1", first + HOUR)], "timestamp"),
        ("soon", [("p0", first + HOUR)], "timestamp"),
        ("local", [("p0", first + HOUR)], "timestamp_ntz"),
        ("none", [], "timestamp"),
    ):
        label_table(spark, moments, kind).write.format("delta").save(str(tmp_path / name))
    columns = {"patient": "encrypt_deterministic", "decided": "encrypt"}
    other = label_table(spark, [("p0", first + HOUR)], "timestamp")
    home.protect(parse_policy(policy_text("clinic.other", columns)), other, str(tmp_path / "other"))
    numbers = stored.select(F.lit(1).alias("patient"), F.current_timestamp().alias("decided"))
    numbers.limit(1).write.format("delta").save(str(tmp_path / "numbers"))

    def table(name: str) -> tuple[str, str]:
        return f"table: {tables[1]}", f"table: {tmp_path / name}"

    bad: tuple[tuple[str, str, type[PrivpipeError], str], ...] = (
        ("entity: patient\n", "entity: patients\n", SchemaError, "patients"),
        ("entity: patient\n", "entity: room\n", SpecError, "under `encrypt`, which does not stand"),
        ("entity: patient\n", "entity: ward\n", SpecError, "under `mask`, which does not stand"),
        ("event_time: visited", "event_time: steps", SchemaError, "steps is int, and no time"),
        ("event_time: visited", "event_time: ward", SpecError, "stands under `mask`"),
        ("{max: doctor}", "{max: ward}", SpecError, "18 aggregates.last"),
        ("{distinct: doctor}", "{distinct: ward}", SpecError, "stands under `mask`"),
        ("{sum: steps}", "{sum: doctor}", SchemaError, "takes numbers, not string"),
        ("{sum: steps}", "{sum: stepped}", SchemaError, "stepped"),
        ("time: decided", "time: who", SchemaError, "who is string, and no time"),
        ("time: decided", "time: when", SchemaError, "when"),
        ("[12h", "[9000d, 12h", SpecError, "f.yaml:6 windows"),
        ("[12h", "[100months, 12h", SpecError, "the window 100months is longer than the history"),
        ("privacy: none", "privacy: none\nnulls: refuse", SpecError, "have no entity or no time"),
        (*table("early"), SpecError, "1 of 2 labels lie before all events"),
        (*table("soon"), SpecError, "the window 12h is longer than the history"),
        (*table("local"), SchemaError, "decided is timestamp_ntz, and visited timestamp"),
        (*table("none"), SpecError, "no label has an entity and a time"),
        (*table("other"), SpecError, "different tokens of one entity"),
        (*table("numbers"), SchemaError, "patient is int, and patient binary"),
        ("visits_7d: encrypt", "visits_7d: encript", PrivpipeError, "encript"),
    )  # fmt: skip
    runs = len(home.catalog.runs())
    for old, new, kind_of, words in bad:
        text = text_of(tables)
        if new.endswith(("early", "soon", "local", "none")):
            # Names in clear, in tables that privpipe did not protect.
            text = text.replace("entity: patient\n", "entity: who\n")
        assert text.replace(old, new, 1) != text
        spec = text.replace(old, new, 1)
        with pytest.raises(kind_of) as caught:
            home.features(parse_features(spec, name="f.yaml"), str(tmp_path / "x"))
        assert words in str(caught.value), (new, str(caught.value))
        assert not (tmp_path / "x").exists(), new
    assert len(home.catalog.runs()) == runs
    assert not home.catalog.budget_events()

    dates = table_of(spark, some_events(3, FIRST, UTC, days=True), "date")
    dates.write.format("delta").save(str(tmp_path / "dates"))
    with pytest.raises(SchemaError, match="12h is no whole number of days"):
        home.features(
            parse_features(SPEC.replace("warehouse/visits", str(tmp_path / "dates"))),
            str(tmp_path / "x"),
        )


def test_no_value_of_a_protected_time_is_in_a_plan(
    home: Home, tables: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look at the history compares times in the engine, and takes numbers of rows alone."""
    plans: list[str] = []
    rows: list[Any] = []
    first = type(home.spark.range(1)).first

    def looked(df: DataFrame) -> Any:
        row = first(df)
        if "bare_events" in df.columns:  # others look at the catalog
            plans.append(df._jdf.queryExecution().toString())
            rows.append(row)
        return row

    monkeypatch.setattr(type(home.spark.range(1)), "first", looked)
    for labels in (True, False):
        spec = spec_of(text_of(tables, labels=labels))
        source = find_entities(home._work, spec, str(tables[0]))
        plans.append(entity_rows(source)._jdf.queryExecution().toString())
        assert _entities._history(source)
    assert (len(plans), len(rows)) == (4, 2)
    assert all("2024-" not in plan and "Project" in plan for plan in plans)
    assert all(isinstance(value, int) for row in rows for value in row)
