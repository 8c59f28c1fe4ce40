"""Features of entities with no Spark: the spec and its lines, and vectors beside a reference."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from privpipe.aggregates import Distinct, Groups, Max, Min, Sum, Variance, finished, mapped
from privpipe.cli import main
from privpipe.errors import EncodingError, SchemaError, SpecError
from privpipe.features import (
    EntitySpec,
    Labels,
    Window,
    WindowPlan,
    load_features,
    parse_features,
    window_type,
)
from privpipe.features import _windows as kernel
from privpipe.features._ranges import Ranges, counts, distinct_counts, partials_over
from tests.features._specs import TEXT
from tests.features._windows import (
    HOUR,
    LABELS,
    SPEC,
    Event,
    bounds,
    grain_of,
    row_of,
    some_events,
)

FIRST = datetime(2024, 1, 10, tzinfo=UTC)
LABELLED = SPEC.replace("grain: day\n", LABELS)


def entities(text: str) -> EntitySpec:
    spec = parse_features(text, name="f.yaml")
    assert isinstance(spec, EntitySpec)
    return spec


def test_what_a_spec_means(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(SPEC)
    spec = load_features(file)
    assert isinstance(spec, EntitySpec)
    assert (spec.entity, spec.event_time, spec.grain, spec.nulls) == (
        "patient", "visited", "day", "drop",
    )  # fmt: skip
    assert spec.windows[:2] == (Window(text="12h", hours=12), Window(text="7d", hours=168))
    assert spec.windows[4] == Window(text="2months", months=2)
    assert spec.columns == ("patient", "visited", "cost", "dose", "steps", "doctor")
    assert [name for name, _, _ in spec.figures][:3] == ["visits_12h", "visits_7d", "visits_30d"]
    told = spec.protections
    assert told["spend_7d"] == told["spend_mean_2months"] == told["visits_7d"] == '"encrypt"'
    assert {"patient", "visited", "visits_12h", "dose_7d"} <= set(spec.clear)
    assert not [name for name in spec.clear if name.startswith("spend")]
    labelled = entities(LABELLED)
    assert labelled.labels == Labels(
        table="warehouse/outcomes", entity="patient", time="decided", line=7
    )
    assert labelled.keys == ("patient", "decided")
    longest = entities(SPEC.replace("visits_7d: encrypt", "spend_mean*: redact"))
    assert longest.protections["spend_mean_7d"] == '"redact"', "the longest beginning counts"
    assert longest.protections["spend_7d"] == '"encrypt"'


def test_the_canonical_text_is_a_spec_of_the_same_hash() -> None:
    for text in (SPEC, LABELLED):
        spec = entities(text)
        again = entities(spec.canonical_text)
        assert (again.canonical_text, again.hash) == (spec.canonical_text, spec.hash)
        assert entities(text + "# of the clinic\n").hash == spec.hash
    assert entities(SPEC).hash != entities(LABELLED).hash
    assert entities(SPEC).hash != entities(SPEC.replace("12h", "13h")).hash


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("version: 1\n", "", " version", "no key version"),
        ("grain: day\n", "grain: hour\n", ":7 grain", '"hour"'),
        ("grain: day\n", "", " grain", "neither labels nor a grain"),
        ("grain: day\n", "grain: day\n" + LABELS, ":7 grain", "leave one of the two out"),
        ("grain: day\n", "labels: outcomes\n", ":7 labels", "wanted a table"),
        ("grain: day\n", "labels: {table: t, entity: p}\n", ":7 labels.time", "no key time"),
        ("[12h, 7d", "[12h, 168h, 7d", ":6 windows", '"7d" is given twice: it is 168h'),
        ("[12h, 7d", "[12h, 12h", ":6 windows", '"12h" is given twice'),
        ("[12h, 7d", "[12x, 7d", ":6 windows", "wanted hours, days or calendar months"),
        ("[12h, 7d", "[0d, 7d", ":6 windows", "wanted hours, days or calendar months"),
        ("[12h, 7d", "[99999d, 7d", ":6 windows", "a hundred years"),
        ("windows: [", "windows: 7d # [", ":6 windows", "wanted a list of windows"),
        ("event_time: visited\n", "", " event_time", "no key event_time"),
        ("entity: patient", "entity: patient\nunit: patient", ":4 entity", "not of both"),
        ("entity:", "entty:", ":4 entty", 'nearest: "entity"'),
        ("visits: count", "visits: counts", ":9 aggregates.visits", '"counts"'),
        ("visits: count", "visits: sum", ":9 aggregates.visits", "of which column is not said"),
        ("{sum: cost}", "{sum: cost, low: 0}", ":11 aggregates.spend.low", '"low"'),
        ("{sum: cost}", "{sum: cost, max: cost}", ":11 aggregates.spend", "sum and max"),
        ("{sum: cost}", "{sum: patient}", ":11 aggregates.spend", "nothing to tell"),
        ("  paid:", "  Visits:", ":10 aggregates.Visits", '"Visits_12h" would be written twice'),
        ("event_time: visited", "event_time: dose_7d", ":13 aggregates.dose", "written twice"),
        ("privacy: none\n", "", " privacy", "write `privacy: none`"),
        ("privacy: none", "privacy: {budget: b, epsilon: 1}", ":20 privacy", "`privacy: none`"),
        ("{spend*:", "{spent*:", ":21 columns.spent*", 'nearest: "'),
        ("{spend*:", "{'*spend':", ":21 columns.*spend", "nearest"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(old: str, new: str, where: str, words: str) -> None:
    text = SPEC.replace(old, new, 1)
    assert text != SPEC
    with pytest.raises(SpecError) as caught:
        parse_features(text, name="f.yaml")
    told = str(caught.value)
    assert f"f.yaml{where}" in told
    assert words in told, told


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SpecError, match="6 faults"):
        parse_features("version: 2\nfeatures: x\nentity: p\nevent_time: t\n", name="f.yaml")
    assert not isinstance(parse_features(TEXT), EntitySpec)


def test_the_plan_says_that_nothing_is_hidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(LABELLED)
    assert main(["features", "plan", str(file)]) == 0
    told = capsys.readouterr()
    assert "stays inside: no privacy guarantee" in told.out
    assert "one for each row of warehouse/outcomes, as of its decided" in told.out
    clear = len(entities(LABELLED).clear) - 1
    assert f"{clear} column(s) in clear: decided, visits_12h" in told.err
    file.write_text(LABELLED.replace("{spend*: encrypt,", "{patient: encrypt, decided: encrypt,"))
    assert main(["features", "plan", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["privacy"] == "none"
    assert (len(document["columns"]), "patient" in document["clear"]) == (55, False)


def batch_of(events: list[Event], moments: list[tuple[str, int]] | None) -> pa.RecordBatch:
    """As Spark sorts them: by entity and time, with labels between or grains beside."""
    rows = [each for each in events if each.patient is not None and each.visited is not None]
    made = [
        {
            "entity": each.patient, "time": each.visited, "event": True,
            "asof": None if moments is not None else grain_of(each.visited or 0, "day", UTC),
            "c0": each.cost, "c1": each.dose, "c2": each.steps, "c3": each.doctor,
        }
        for each in rows
    ]  # fmt: skip
    made += [
        {"entity": patient, "time": at, "event": False, "asof": at} for patient, at in moments or []
    ]
    for each in made:
        at = each["asof"]
        if at is not None:
            assert isinstance(at, int)
            each["m3"], each["month"] = bounds("1month", at, UTC)
            each["m4"], _ = bounds("2months", at, UTC)
    random.Random(3).shuffle(made)
    made.sort(key=lambda each: (str(each["entity"]), each["time"]))
    stamp = pa.timestamp("us")
    kinds = {
        "entity": pa.string(), "time": stamp, "asof": stamp, "event": pa.bool_(), "month": stamp,
        "m3": stamp, "m4": stamp, "c0": pa.decimal128(12, 2), "c1": pa.float64(),
        "c2": pa.int32(), "c3": pa.string(),
    }  # fmt: skip
    return pa.RecordBatch.from_pylist(
        [{name: each.get(name) for name in kinds} for each in made], pa.schema(list(kinds.items()))
    )


def found_by(batch: pa.RecordBatch, spec: EntitySpec) -> list[tuple[Any, ...]]:
    plan = WindowPlan(
        windows=spec.windows,
        aggregates=spec.aggregates,
        columns=("cost", "dose", "steps", "doctor"),
    )
    made = plan.figures(batch)
    made[1] = made[1].view(pa.int64())
    return sorted(zip(*(column.to_pylist() for column in made), strict=True))


def moments_among(events: list[Event], seed: int) -> list[tuple[str, int]]:
    """At events, where windows begin at events, at the beginning of a month, twice, and of nobody
    that is known."""
    rng = random.Random(seed)
    known = [
        (each.patient, each.visited)
        for each in events
        if each.patient is not None and each.visited is not None
    ]
    chosen = rng.sample(known, 80)
    found = chosen[:40] + [(patient, at + 168 * HOUR) for patient, at in chosen[40:]]
    month = grain_of(chosen[0][1], "month", UTC)
    return [*found, found[0], ("nobody", month), ("p0", month)]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_figure_is_that_of_the_reference(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, events = entities(SPEC), some_events(seed, FIRST, UTC)
    days = {
        (each.patient, grain_of(each.visited, "day", UTC))
        for each in events
        if each.patient is not None and each.visited is not None
    }
    assert found_by(batch_of(events, None), spec) == sorted(
        row_of(events, patient, at, UTC) for patient, at in days
    )
    moments = moments_among(events, seed)
    expected = sorted(row_of(events, patient, at, UTC) for patient, at in moments)
    batch = batch_of(events, moments)
    assert found_by(batch, spec) == expected
    assert found_by(batch.slice(0, 0), spec) == []

    # The data hold events at the very moments: a window that has its end leaks them, and is found.
    leaking = sorted(
        row_of(events, *each, UTC, inside=lambda low, at, high: low <= at <= high)
        for each in moments
    )
    assert leaking != expected
    right = vars(kernel)["_finder"]

    def late(lie: Any) -> Any:
        find = right(lie)
        return lambda times: find(times + (times == lie.asof))

    monkeypatch.setattr(kernel, "_finder", late)
    assert found_by(batch, spec) != expected


def test_ranges_of_any_length_are_as_exact_as_their_rows() -> None:
    rng = np.random.default_rng(5)
    count = 6000
    starts = rng.integers(0, count + 1, 900)
    stops = np.minimum(starts + rng.integers(0, count, 900) // rng.choice([1, 9, 300], 900), count)
    ranges = Ranges(starts=starts, stops=stops)
    wide = rng.normal(size=count) * 10.0 ** rng.integers(-300, 300, count)
    floats = np.where(rng.random(count) < 0.01, np.nan, rng.integers(-3, 3, count) * 0.5)
    small = [None if rng.random() < 0.2 else int(each) for each in rng.integers(0, 90, count)]
    columns = (
        pa.array(wide), pa.array(floats, from_pandas=False), pa.array(small, pa.int16()),
        pa.array([None if each is None else f"v{each}" for each in small]),
        pa.array(small).cast(pa.decimal128(24, 3)),
    )  # fmt: skip
    ends = starts.tolist(), stops.tolist()
    begins = np.zeros(count, dtype=np.int64)
    for column in columns:
        number = not pa.types.is_string(column.type)
        parts = [column[start:stop] for start, stop in zip(*ends, strict=True)]
        for aggregate in (Min(), Max(), *((Sum(), Variance()) if number else ())):
            found = finished(aggregate, partials_over(aggregate, column, ranges))
            one = [
                finished(aggregate, mapped(aggregate, Groups(np.zeros(len(p), int), 1), (p,)))
                for p in parts
            ]
            assert str(found.to_pylist()) == str(pa.concat_arrays(one).to_pylist())
        one = [
            finished(Distinct(), mapped(Distinct(), Groups(np.zeros(len(p), int), 1), (p,)))
            for p in parts
        ]
        assert distinct_counts(column, begins, ranges).tolist() == pa.concat_arrays(one).to_pylist()
        valid = np.asarray(column.is_valid())
        assert counts(valid, ranges).tolist() == [len(p) - p.null_count for p in parts]


def test_sums_beyond_their_type_and_columns_without_sums_are_refused() -> None:
    column = pa.array([2**62] * 40)
    ranges = Ranges(starts=np.array([0]), stops=np.array([40]))
    with pytest.raises(EncodingError, match="beyond bigint"):
        finished(Sum(), partials_over(Sum(), column, ranges))
    with pytest.raises(SchemaError, match="takes numbers"):
        window_type("mean", pa.string())
    assert window_type("sum", pa.decimal128(12, 2)) == pa.decimal128(22, 2)
    assert window_type("distinct", pa.string()) == window_type("count", None) == pa.int64()
