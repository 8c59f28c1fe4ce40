"""Windows of groups through a project: every figure beside plain Python, each window by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Bounds, Budget
from privpipe.features import GROUP, WINDOWS, parse_features
from privpipe.spark import Home
from privpipe.spark._setting import setting
from privpipe.spark.features import _audit, group_sums
from tests.features._tables import ALL, UNITS
from tests.spark._project import make_home, policy_text
from tests.spark._visits import CASES, REGIONS, Case, by_hand, some_visits, table_of, wrong

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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "clinic", Budget.of_epsilon(10**15, delta="1e-5"))
    return home


Release = Callable[..., tuple[dict[str, Any], Mapping[str, str]]]


@pytest.fixture
def release(home: Home, tmp_path: Path) -> Release:
    """Writes the features of a spec, and gives them opened, by region, and the types as written."""

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
        opened = home.reveal(run.target, sealed, "test") if sealed else written
        return {row["region"]: row for row in opened.collect()}, dict(written.dtypes)

    return made


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
            found, kinds = release(case, BOUNDED, 3)
        wanted = by_hand(visits, case, 3)
        names = ("visits", "people", "spend", "avg")
        assert not wrong(found, wanted, names)
        over_all = by_hand(visits, case, 3, per_window=False)
        assert wrong(found, over_all, names), "bounded over all windows, other rows count"
        plain = by_hand(visits, case, 1000)
        assert wrong(found, plain, names), "the bounds bite"
        assert {kinds[f"visits_{each}{end}"] for each in case.windows for end in ("", "_low")} == {
            "binary"
        }
        whole, _ = release(case, WHOLE, 1000)
        assert not wrong(whole, plain, ("visits", "doctors", "hist"))

        # One shuffle, of rows in some window alone: their times do not go with them.
        [folded] = [plan for plan in plans if "MapInArrow" in plan]
        before, after = folded.split("Exchange hashpartitioning(", 1)
        assert "Exchange" not in before.replace("BroadcastExchange", "")
        assert "Exchange" not in after.replace("BroadcastExchange", "")
        assert "Filter" not in before
        assert "Filter" in after

        # Of groups that enough have in any window, each shows, and in all of them.
        chosen, _ = release(case, BOUNDED, 3, "select")
        assert chosen.keys() == {"east", "north"}
        shown = {key: line for key, line in wanted.items() if key[0] in chosen}
        assert not wrong(chosen, shown, names)


@pytest.fixture
def visits(home: Home, tmp_path: Path) -> str:
    """Forty patients of two regions with visits in June, of whom thirty come in its last week, and
    two in `north` then; in `west` twenty in May alone, and one each in June and of no time."""
    rows = home.spark.sql(
        "select concat('p', id) as patient, if(id % 2 = 0, 'south', 'north') as region, "
        "date'2024-06-01' + cast(id % 20 as int) as visited, cast(id as double) as cost, "
        "concat('d', id % 3) as doctor from range(40) "
        "union all select concat('p', id), if(id % 2 = 0 or id < 4, if(id < 4, 'north', 'south'), "
        "'south'), date'2024-06-28', 10D, 'd1' from range(30) where id <> 0 and id <> 2 "
        "union all select concat('w', id), 'west', date'2024-05-20', 1D, 'd2' from range(20) "
        "union all select 'w1', 'west', date'2024-06-29', 1D, 'd2' "
        "union all select concat('w', id), 'west', null, 1D, 'd2' from range(20)"
    )
    columns = {**COLUMNS, "visited": "encrypt"}
    columns.pop('"`Visited.At`"')
    home.protect(parse_policy(policy_text("clinic.june", columns)), rows, tmp_path / "june")
    return str(tmp_path / "june")


def lines(home: Home, spec: str, target: Path) -> list[Any]:
    run = home.features(parse_features(spec), target)
    rows = home.spark.read.format("delta").load(run.target).collect()
    return sorted(rows, key=lambda row: str(row[0]))


def test_exact_figures_are_of_enough_units_in_the_window(
    home: Home, visits: str, tmp_path: Path
) -> None:
    """Of the last week `north` has two and `west` one, and neither shows, though both have twenty:
    what shows is what shows of a table of those rows alone."""
    over = "event_time: visited\nas_of: 2024-07-01\nwindows: [7d]\n"
    spec = EXACT.format(source=visits, over=over)
    found = lines(home, spec, tmp_path / "week")
    assert [row["region"] for row in found] == ["south"]
    fields = ("visits", "people", "spend", "largest", "doctors")
    assert list(found[0].asDict()) == ["region", *(f"{name}_7d" for name in fields)]
    opened = home.reveal(visits, ["visited", "region", "cost", "doctor"], "test")
    week = opened.where("visited >= date'2024-06-24' and visited < date'2024-07-01'")
    home.protect(
        parse_policy(policy_text("clinic.week", dict.fromkeys(week.columns, "keep") | {
            "patient": COLUMNS["patient"]})), week, tmp_path / "kept",
    )  # fmt: skip
    plain = lines(home, EXACT.format(source=tmp_path / "kept", over=""), tmp_path / "plain")
    assert [tuple(row) for row in plain if row["region"] == "south"] == [tuple(found[0])]
    month = lines(home, spec.replace("7d", "1month"), tmp_path / "month")
    assert [row["region"] for row in month] == ["north", "south"]
    assert [row["people_1month"] for row in month] == [20, 33]


PRIVATE = """\
version: 1
features: clinic.private
source: {source}
unit: patient
event_time: visited
as_of: 2024-07-01
windows: [7d, 30d]
groups: {{region: {groups}}}
bounds: {{groups: 1, rows: 1}}
aggregates: {{people: units, visits: count}}
privacy: {{budget: clinic, epsilon: {epsilon}, delta: 1e-6}}
"""


def test_groups_are_of_rows_in_some_window_and_chosen_in_each(
    home: Home, visits: str, tmp_path: Path
) -> None:
    """`west`, where twenty were before all windows and one in one, does not show. Of the thirteen
    who were in `north` in June and in `south` in its last week, the week keeps `south`, though of
    all rows one of the two is kept."""
    spec = PRIVATE.format(source=visits, groups="select", epsilon=10**13)
    found = lines(home, spec, tmp_path / "chosen")
    assert [row["region"] for row in found] == ["north", "south"]
    assert [row["people_7d"] for row in found] == [2, 26]
    assert sum(row["people_30d"] for row in found) == 40

    # The column of times may be grouped by too: by month, of its last week and of sixty days.
    months = spec.replace("{region: select}", "{visited: {by: month, from: 2024-05, to: 2024-06}}")
    months = months.replace("30d", "60d").replace("{groups: 1", "{groups: 2")
    may, june = lines(home, months, tmp_path / "months")
    assert (may["people_7d"], may["people_60d"]) == (0, 20)
    assert (june["people_7d"], june["people_60d"]) == (28 + 1, 40 + 1)


def test_an_audit_attacks_every_window(
    home: Home, visits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for groups in ("[north, south]", "select"):
        spec = parse_features(PRIVATE.format(source=visits, groups=groups, epsilon=1))
        [found] = home.attack(spec, units=1, draws=1000)
        assert found.holds
        assert found.moved >= 1
        assert found.claimed <= 1
    add_up: Any = vars(_audit)["group_sums"]

    def twentyfold(*args: Any, **named: Any) -> Any:
        sums = add_up(*args, **named)
        sums.sums[:, 1:] *= 20  # a unit of twenty rows, that no bound cuts
        return sums

    monkeypatch.setattr(_audit, "group_sums", twentyfold)
    [found] = home.attack(spec, units=1, draws=1000)
    assert not found.holds


def test_rows_as_units_totals_and_a_column_of_an_odd_name(home: Home, tmp_path: Path) -> None:
    """Without a shuffle: each row counts in every window that it is in. Totals are of a window."""
    rows = home.spark.sql(
        "select if(id % 3 = 0, 'a', 'b') as g, cast(id as double) as x, "
        "timestamp'2024-07-01 06:00:00' - make_dt_interval(0, cast(id as int)) as `When it.was` "
        "from range(240)"
    )
    rows.write.parquet(str(tmp_path / "rows.parquet"))
    spec = (
        f"version: 1\nfeatures: x.rows\nsource: {tmp_path}/rows.parquet\nunit: row\n"
        "event_time: WHEN it.was\nas_of: 2024-07-01T06:00\nwindows: [12h, 3d]\n"
        "groups: {g: [a, b, c]}\naggregates: {n: count, s: {sum: x, low: 0, high: 300}}\n"
        "totals: []\nprivacy: {budget: clinic, epsilon: 10000000000000}\n"
    )
    found = {row["g"]: row for row in lines(home, spec, tmp_path / "rows")}
    hours = {"a": [1, 0, 0], "b": [0, 1, 1], "c": [0, 0, 0], None: [1, 1, 1]}
    for group, of in hours.items():
        for window, most in (("12h", 12), ("3d", 72)):
            # The first, of hour 0, is at that moment: in no window.
            there = [at for at in range(1, most + 1) if of[at % 3]]
            row = found[group]
            assert (row[f"n_{window}"], row[f"s_{window}"]) == (len(there), sum(there))


def test_who_leaves_changes_nothing_of_the_others_in_any_window(home: Home) -> None:
    """However the rows lie: what is kept of all others, and the leaver's own part, add up."""
    people = home.spark.sql(
        "select concat('p', id % 30) as person, cast(pmod(hash(id), 9) as int) as "
        f"{GROUP}, 1 + pmod(hash(id, 1), 3) as {WINDOWS}, "
        "cast(pmod(hash(id, 2), 30) as double) / 2 - 3 as x, pmod(hash(id, 3), 5) as y "
        "from range(3000)"
    )
    people = people.withColumn(WINDOWS, F.col(WINDOWS).cast("bigint")).cache()
    bounded = Bounds(groups=2, rows=2)
    measures = (UNITS, *(replace(each, window=at) for each in ALL for at in (0, 1)))

    def told(df: DataFrame, parts: int) -> tuple[Counter[Any], set[Any]]:
        sums = group_sums(
            df, measures, bounded, unit="person", groups=np.arange(9), rows=parts * 500_000,
            salt="salt",
        )  # fmt: skip
        numbers: Counter[Any] = Counter()
        for group, row in zip(sums.groups.tolist(), sums.sums.tolist(), strict=True):
            numbers.update({(group, at): number for at, number in enumerate(row) if number})
        pairs = {
            (window, group, value)
            for window, (groups, values) in enumerate(sums.pairs)
            for group, value in zip(groups.tolist(), values.tolist(), strict=True)
        }
        return numbers, pairs

    whole = told(people, 1)
    alone = told(people.where("person = 'p7'"), 1)
    rest = told(people.where("person <> 'p7'").repartition(5, F.rand(3)), 3)
    both = Counter(rest[0])
    both.update(alone[0])
    assert {key: n for key, n in both.items() if n} == {k: n for k, n in whole[0].items() if n}
    assert whole[1] == rest[1] | alone[1]
    # Of the leaver at most two groups of each window, and of each two rows.
    at = [place for place, each in enumerate(measures) if each.kind == "rows"]
    assert at == [1, 2]
    for place in at:
        own = [n for (_, number), n in alone[0].items() if number == place]
        assert len(own) == 2
        assert max(own) == 2
