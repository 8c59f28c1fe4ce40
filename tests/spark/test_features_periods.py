"""Calendar periods as groups, through a project: as plain Python counts them, in the zone in which
the session's days begin."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.errors import PrivpipeError, SchemaError, SpecError
from privpipe.features import parse_features
from privpipe.spark import Home
from privpipe.spark._leaves import quoted
from privpipe.spark._setting import setting
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

ODD = "a`t.day"
COLUMNS = {
    "person": "{protect: pseudonymize, output: uuid}",
    "Region": "encrypt",
    "Seen": "encrypt",
    '"`a``t.day`"': "keep",
    "born": "encrypt_deterministic",
    "moved": "{protect: shift, subject: person, days: 20}",
    "told": "{protect: generalize, to: month}",
    "text": "keep",
    "sealed": "{protect: redact}",
}
HEAD = """\
version: 1
features: clinic.visits
source: {source}
unit: person
groups:
  region: {region}
  {column}: {period}
bounds: {{groups: {groups}, rows: {rows}}}
privacy: {{budget: clinic, {pay}}}
aggregates:
  people: units
  visits: count
  moments: {{distinct: {column}}}
"""
PURE, DELTA = "epsilon: 10000000000000", "epsilon: 10000000000000, delta: 1e-9"
"""So much that the noise is 0"""
BERLIN, AUCKLAND = "Europe/Berlin", "Pacific/Auckland"
# The hours round midnights of both zones, of the year's and of the changes of their clocks.
EDGES = [
    datetime.fromisoformat(text)
    for text in (
        "2023-12-31 22:30", "2023-12-31 23:30", "2024-01-07 22:59", "2024-01-07 23:00",
        "2024-03-30 22:59", "2024-03-30 23:00", "2024-03-31 00:59", "2024-03-31 01:00",
        "2024-03-31 21:59", "2024-03-31 22:00", "2024-04-06 11:30", "2024-04-06 12:30",
        "2024-06-30 21:59:59.999999", "2024-06-30 22:00",
    )
]  # fmt: skip
BIRTHS = [date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 10), date(1999, 5, 1)]

Row = dict[str, Any]
Key = tuple[str | None, date | None]


def some_rows() -> list[Row]:
    """Sixty people, each seen a few times: at an edge, or whenever; some at no time."""
    draw, found = random.Random(11), []
    for at in range(900):
        seen = draw.choice(EDGES)
        if at % 3 == 0:
            seen = EDGES[0] + timedelta(minutes=draw.randrange(-10_000, 280_000))
        born = draw.choice(BIRTHS)
        found.append(
            {
                "person": None if at % 90 == 7 else f"p{draw.randrange(60)}",
                "Region": draw.choice(["north", "south", "south", "east"]),
                "Seen": None if at % 40 == 9 else seen.replace(tzinfo=UTC),
                ODD: None if at % 50 == 3 else seen,
                "born": None if at % 30 == 3 else born,
            }
        )
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "clinic", Budget.of_epsilon(10**15, delta="1e-6"))
    return home


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return some_rows()


@pytest.fixture(scope="module")
def visits(spark: SparkSession, rows: list[Row]) -> DataFrame:
    """Times go to Spark as text, so that no zone but its own is asked."""
    texts = [tuple(None if each is None else str(each) for each in row.values()) for row in rows]
    df = spark.createDataFrame(texts, "person string, Region string, seen_ string, at string, "
                               "born string")  # fmt: skip
    day = F.col("at").cast("timestamp_ntz").cast("date")
    return df.select(
        "person",
        "Region",
        F.col("seen_").cast("timestamp").alias("Seen"),
        F.col("at").cast("timestamp_ntz").alias(ODD),
        F.col("born").cast("date").alias("born"),
        F.when(F.col("person").isNotNull(), day).alias("moved"),
        day.alias("told"),
        F.col("at").alias("text"),
        day.alias("sealed"),
    )


@pytest.fixture(scope="module")
def source(home: Home, visits: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("table") / "visits")
    home.protect(parse_policy(policy_text("clinic.visits", COLUMNS)), visits, place)
    return place


MakeSpec = Callable[..., str]


@pytest.fixture(scope="module")
def spec_text(source: str) -> MakeSpec:
    def made(
        column: str,
        period: str,
        *,
        region: str = "[south, north]",
        groups: int = 1000,
        rows: int = 100,
        pay: str = PURE,
    ) -> str:
        return HEAD.format(
            source=source, column=column, period=period, region=region, groups=groups, rows=rows,
            pay=pay,
        )  # fmt: skip

    return made


def day_of(time: Any, zone: str) -> date:
    if not isinstance(time, datetime):
        assert isinstance(time, date)
        return time
    return (time if time.tzinfo is None else time.astimezone(ZoneInfo(zone))).date()


def start_of(by: str, time: Any, zone: str = BERLIN) -> date | None:
    """The slow way to a period's first day."""
    if time is None:
        return None
    day = day_of(time, zone)
    return {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "year": day.replace(month=1, day=1),
    }[by]


def by_hand(
    rows: Iterable[Row], column: str, by: str, zone: str = BERLIN
) -> dict[Key, tuple[int, int, int]]:
    """Of each group its people, rows and different times."""
    found: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        if row["person"] is not None:
            found[row["Region"], start_of(by, row[column], zone)].append(row)
    return {
        key: (len({row["person"] for row in inside}), len(inside),
              len({row[column] for row in inside} - {None}))
        for key, inside in found.items()
    }  # fmt: skip


def told(df: DataFrame, column: str) -> dict[Key, tuple[int, int, int]]:
    names = [quoted(name) for name in ("Region", column, "people", "visits", "moments")]
    return {(row[0], row[1]): tuple(row[2:]) for row in df.select(*names).collect()}


def stored(home: Home, place: str) -> DataFrame:
    return home.spark.read.format("delta").load(place)


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=at) for at in range(count)]


def test_public_periods_are_all_shown_as_they_are_counted_by_hand(
    home: Home, rows: list[Row], spec_text: MakeSpec, tmp_path: Path
) -> None:
    """Timestamps by the session's zone, and a figure of the column itself; dates from the first to
    the last that there are; timestamps without a zone, under a name that is none of SQL's."""
    counted = {}
    text = spec_text("SEEN", "{by: day, from: 2024-03-25, to: 2024-04-10}")
    for zone in (BERLIN, AUCKLAND):
        with setting(home.spark, "spark.sql.session.timeZone", zone):
            run = home.features(parse_features(text), str(tmp_path / zone[:4]))
        exact = by_hand(rows, "Seen", "day", zone)
        public = [(of, day) for of in ("south", "north") for day in days(date(2024, 3, 25), 17)]
        assert run.rows == 34
        found = told(stored(home, run.target), "Seen")
        assert found == {key: exact.get(key, (0, 0, 0)) for key in public}
        assert dict(stored(home, run.target).dtypes)["Seen"] == "date"
        assert any(moments > 1 for _, _, moments in found.values()), "times of one day differ"
        counted[zone] = found
    utc = by_hand(rows, "Seen", "day", "UTC")
    for zone, found in counted.items():
        assert found != {key: utc.get(key, (0, 0, 0)) for key in found}, f"{zone} is not UTC"

    text = spec_text("born", "{by: year, from: 0001, to: 9999}", groups=100_000)
    run = home.features(parse_features(text), str(tmp_path / "born"))
    exact = by_hand(rows, "born", "year")
    assert run.rows == 2 * 9999
    found = told(stored(home, run.target).where("visits > 0"), "born")
    assert found == {key: exact[key] for key in exact if key[0] != "east" and key[1] is not None}
    assert {key[1] for key in found if key[1]} == {
        date(1, 1, 1), date(9999, 1, 1), date(1582, 1, 1), date(1999, 1, 1)
    }  # fmt: skip

    text = spec_text(f'"{ODD}"', "{by: week, values: [2024-03-25, 2024-01-08, 2031-12-29]}")
    text = text + f'totals: ["{ODD}"]\ncolumns: {{"{ODD}": encrypt, people: encrypt}}\n'
    run = home.features(parse_features(text), str(tmp_path / "odd"), run_id="odd")
    assert dict(stored(home, run.target).dtypes)[ODD] == "binary"
    opened = home.reveal(run.target, ["`a``t.day`", "people", "people_low", "people_high"], "test")
    found = told(opened, ODD)
    exact = by_hand(rows, ODD, "week")
    for week in (date(2024, 3, 25), date(2024, 1, 8), date(2031, 12, 29)):
        parts = [exact.get((of, week), (0, 0, 0)) for of in ("north", "south")]
        assert [found["north", week], found["south", week]] == parts
        assert found[None, week] == (*map(sum, list(zip(*parts, strict=True))[:2]), None)
    assert len(found) == 9
    assert sum(found["south", date(2024, 3, 25)]) > 3
    assert home.features(parse_features(text), str(tmp_path / "odd"), run_id="odd").replayed


def test_selected_periods_are_those_of_enough_people(
    home: Home, rows: list[Row], spec_text: MakeSpec, tmp_path: Path
) -> None:
    """With a listed column and with another that is selected; null is a period like any value."""
    for region, some in (("[south, north]", {"south", "north"}), ("select", None)):
        text = spec_text("seen", "{by: quarter, values: select}", region=region, pay=DELTA)
        run = home.features(parse_features(text), str(tmp_path / region[:3]))
        exact = by_hand(rows, "Seen", "quarter")
        found = told(stored(home, run.target), "Seen")
        assert found == {
            key: told for key, told in exact.items() if (not some or key[0] in some) and told[0] > 1
        }
        assert ("south", None) in found
        assert {key[1] for key in found} >= {date(2023, 10, 1), date(2024, 1, 1), date(2024, 4, 1)}
    listed = spec_text("seen", "{by: day, from: 2024-03-31, to: 2024-04-06}", region="select",
                       pay=DELTA)  # fmt: skip
    run = home.features(parse_features(listed), str(tmp_path / "listed"))
    week = days(date(2024, 3, 31), 7)
    exact = by_hand(rows, "Seen", "day")
    assert told(stored(home, run.target), "Seen") == {
        key: told for key, told in exact.items() if key[1] in week and told[0] > 1
    }
    both = home.attack(parse_features(listed), units=2, draws=300)
    assert all(each.holds and each.moved > 1 for each in both), "of one unit, several days"


def test_a_bound_on_groups_is_one_on_periods(
    home: Home, spark: SparkSession, tmp_path: Path
) -> None:
    """Thirty people of four months each, in each of them seven rows at seven times: of each are
    kept two months, and in a month five rows."""
    frame = spark.sql(
        "select concat('p', id) as person, make_date(2024, m, d) as seen from range(30) "
        "lateral view explode(array(1, 2, 3, 4)) as m "
        "lateral view explode(array(1, 5, 9, 13, 17, 21, 25)) as d"
    )
    place = str(tmp_path / "even")
    columns = {"person": COLUMNS["person"], "seen": "encrypt"}
    home.protect(parse_policy(policy_text("x.even", columns)), frame, place)
    text = (
        f"version: 1\nfeatures: x.y\nsource: {place}\nunit: person\n"
        "groups: {seen: {by: month, from: 2024-01, to: 2024-06}}\n"
        "bounds: {groups: 2, rows: 5}\naggregates: {people: units, visits: count}\n"
        f"privacy: {{budget: clinic, {PURE}}}\n"
    )
    run = home.features(parse_features(text), str(tmp_path / "bounded"))
    written = stored(home, run.target).orderBy("seen").collect()
    found = {row["seen"]: (row["people"], row["visits"]) for row in written}
    assert list(found) == [date(2024, at, 1) for at in range(1, 7)]
    assert sum(people for people, _ in found.values()) == 30 * 2
    assert all(seen == people * 5 for people, seen in found.values())
    assert [found[date(2024, at, 1)] for at in (5, 6)] == [(0, 0)] * 2
    [attack] = home.attack(parse_features(text.replace(PURE, "epsilon: 1")), units=1, draws=300)
    assert (attack.moved, attack.holds) == (2, True)


def test_exact_figures_are_sparks_own_by_trunc(
    home: Home, visits: DataFrame, source: str, tmp_path: Path
) -> None:
    text = (
        f"version: 1\nfeatures: clinic.exact\nsource: {source}\nunit: person\n"
        "groups: {region: select, seen: {by: month, %s}}\n"
        "aggregates: {people: units, visits: count, moments: {distinct: SEEN}, last: {max: seen}}\n"
        "privacy: {k_anonymity: 12, l_diversity: {Seen: 3}}\ncolumns: {seen: encrypt}\n"
    )
    visits.where("person is not null").createOrReplaceTempView("visits")
    grouped = home.spark.sql(
        "select Region, trunc(Seen, 'MM') as month, count(distinct person) as people, "
        "count(*) as visits, count(distinct Seen) as moments from visits group by all"
    )
    exact = {row[:2]: row[2:] for row in map(tuple, grouped.collect())}
    cases = (
        ("values: select", None),
        ("from: 2024-01, to: 2024-04", {date(2024, at, 1) for at in (1, 2, 3, 4)}),
        ("values: [2024-03, 2024-06]", {date(2024, 3, 1), date(2024, 6, 1)}),
    )
    for at, (said, months) in enumerate(cases):
        run = home.features(parse_features(text % said), str(tmp_path / f"made{at}"))
        found = told(home.reveal(run.target, ["Seen"], "test"), "Seen")
        # Of null there are no three values.
        assert found == {
            key: told
            for key, told in exact.items()
            if key[1] and told[0] >= 12 and told[2] >= 3 and (months is None or key[1] in months)
        }
        assert len(found) > 2
        assert dict(stored(home, run.target).dtypes)["last"] == "timestamp"
    nulls = text.replace("12, l_diversity: {Seen: 3}", "3") % "values: select"
    run = home.features(parse_features(nulls), str(tmp_path / "nulls"))
    found = told(home.reveal(run.target, ["Seen"], "test"), "Seen")
    assert {key: (people, rows) for key, (people, rows, _) in found.items()} == {
        key: told[:2] for key, told in exact.items() if told[0] >= 3
    }
    assert [key for key in found if key[1] is None]


def test_dates_beyond_pythons_calendar_are_periods_too(
    home: Home, spark: SparkSession, tmp_path: Path
) -> None:
    """And those before 1582 are the days that they say, listed as they are or by a period."""
    days = ("+12000-05-05", "-0044-03-15", "0001-01-01", "1582-10-10")
    spark.sql(
        f"select explode(array({', '.join(f'date {day!r}' for day in days)})) as day from range(9)"
    ).write.parquet(str(tmp_path / "far"))
    head = f"version: 1\nfeatures: x.far\nsource: {tmp_path / 'far'}\nunit: row\n"
    tail = "aggregates: {rows: count}\nprivacy: "
    noisy, exact = f"{tail}{{budget: clinic, {DELTA}}}\n", f"{tail}{{k_anonymity: 3}}\n"
    weeks = ["+12000-05-01", "-0044-03-12", "0001-01-01", "1582-10-04"]
    near = ["0001-01-01", "1582-10-10"]
    for at, (said, privacy, expected) in enumerate((
        ("{by: week, values: select}", noisy, weeks),
        ("{by: week, values: select}", exact, weeks),
        ("{by: day, values: [0001-01-01, 1582-10-10, 1582-10-11]}", exact, near),
        ("[0001-01-01, 1582-10-10]", exact, near),
        ("{by: year, from: 0001, to: 9999}", exact, ["0001-01-01", "1582-01-01"]),
    )):  # fmt: skip
        spec = parse_features(f"{head}groups: {{day: {said}}}\n{privacy}")
        run = home.features(spec, str(tmp_path / f"far{at}"))
        found = stored(home, run.target).select(F.col("day").cast("string"), "rows").collect()
        assert sorted(map(tuple, found)) == sorted((day, 9) for day in expected), said
    spec = parse_features(f"{head}groups: {{day: {{by: week, values: select}}}}\n{noisy}")
    [attack] = home.attack(spec, units=1, draws=300)
    assert (attack.moved, attack.holds) == (1, True)


BAD: tuple[tuple[str, type[PrivpipeError], str], ...] = (
    ("text", SchemaError, "text is string, and no time"),
    ("region", SchemaError, "Region is string, and no time"),
    ("told", SpecError, "told stands under `generalize`, and does not open"),
    ("sealed", SpecError, "sealed stands under `redact`, and does not open"),
    ("sean", SchemaError, 'unknown column "sean"; nearest: "Seen"'),
)


def test_what_is_no_time_is_refused_on_its_line(
    home: Home, source: str, spec_text: MakeSpec, tmp_path: Path
) -> None:
    place, before = tmp_path / "never", ledger.standing(home.catalog, "clinic").left
    for column, kind, words in BAD:
        text = spec_text(column, "{by: month, from: 2024, to: 2024}").replace("  region: [south, "
            "north]\n", "").replace(f"{{distinct: {column}}}", "count")  # fmt: skip
        for privacy in (PURE, "k_anonymity"):
            if privacy == "k_anonymity":
                text = text.replace("bounds: {groups: 1000, rows: 100}\n", "")
                text = text.replace(f"budget: clinic, {PURE}", "k_anonymity: 5")
            with pytest.raises(kind) as caught:
                home.features(parse_features(text, name="f.yaml"), str(place))
            assert words in str(caught.value), column
            assert f"f.yaml:6 groups.{column}" in str(caught.value).replace("Region", "region")
    assert not place.exists()
    assert ledger.standing(home.catalog, "clinic").left == before
    # Shifted dates are grouped as they stand, which is said.
    text = spec_text("moved", "{by: year, from: 2023, to: 2024}")
    run = home.features(parse_features(text, name="f.yaml"), str(place))
    [warning] = [each for each in run.warnings if "shifted" in each]
    assert warning.startswith("f.yaml:7 groups.moved: moved is shifted")
    shifted = home.spark.read.format("delta").load(source).where("person is not null")
    exact = Counter(row[0].year for row in shifted.select("moved").collect() if row[0] is not None)
    found = Counter[int]()
    for (_, year), (_, visits, _) in told(stored(home, str(place)), "moved").items():
        assert year is not None
        found[year.year] += visits
    assert found[2023] <= exact[2023]
    assert found.total() > 500
