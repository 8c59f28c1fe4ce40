"""Private features through a project: exact before the noise, charged before the draw, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Bounds, Budget
from privpipe.errors import (
    BudgetConflict,
    BudgetError,
    BudgetSpent,
    EngineError,
    FixedOverflow,
    PrivpipeError,
    RunConflict,
    SchemaError,
    SpecError,
    TryAgain,
    UnknownBudget,
)
from privpipe.features import measures_of, parse_features
from privpipe.spark import Home, _release
from privpipe.spark._setting import setting
from privpipe.spark.features import _run, group_sums
from privpipe.spark.features._groups import find_groups
from tests.features._specs import parse_groups
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

COLUMNS = {
    "person": "{protect: pseudonymize, output: uuid}",
    "edu": "keep",
    "sex": "encrypt",
    "wage": "encrypt",
    "firm": "{protect: vault, vault: firms}",
    "name": "{protect: mask, show: {first: 1}}",
    "raw": "keep",
}
HEAD = """\
version: 1
features: census.wages
source: {source}
unit: person
groups: {{edu: [0, 1, 2, 7], sex: [f, m]}}
bounds: {{groups: 8, rows: 100}}
privacy: {{budget: census, {pay}}}
"""
FIGURES = """\
aggregates:
  people: units
  rows: count
  total: {sum: wage, low: 0, high: 100, step: 0.01}
  avg: {mean: wage, low: 0, high: 100, step: 0.01}
  hist: {histogram: wage, edges: [0, 10, 50, 100]}
  firms: {distinct: firm}
columns: {total: encrypt}
"""
PEOPLE = 400
NOISY = "epsilon: 1, delta: 1e-9"
EXACT = "epsilon: 10000000000000"
"""So much that the noise is 0"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "census", Budget.of_epsilon(10**14, delta="1e-6"))
    ledger.open_budget(home.catalog, "small", Budget.of_epsilon(1, delta="1e-9"))
    return home


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """Four rows of each person in various groups, and one row of nobody."""
    return spark.sql(
        f"select if(id = 0, null, concat('p', id % {PEOPLE})) as person, "
        "cast(pmod(hash(id), 4) as int) as edu, if(id % 2 = 0, 'f', 'm') as sex, "
        "case when id % 50 = 7 then double('NaN') when id % 60 = 8 then null "
        "     else cast(pmod(hash(id, 3), 9999) as double) / 100 end as wage, "
        "concat('firm', id % 9) as firm, concat('name', id) as name, id as raw "
        f"from range({4 * PEOPLE})"
    )


@pytest.fixture(scope="module")
def source(home: Home, people: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("table") / "people")
    home.protect(parse_policy(policy_text("census.people", COLUMNS)), people, place)
    return place


MakeSpec = Callable[..., str]


@pytest.fixture(scope="module")
def spec_text(source: str) -> MakeSpec:
    def made(pay: str = NOISY, figures: str = FIGURES) -> str:
        return HEAD.format(source=source, pay=pay) + figures

    return made


def left(home: Home, name: str = "census") -> Budget:
    return ledger.standing(home.catalog, name).left


def rows_of(df: DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in df.select("edu", "sex", *columns).collect())


def test_a_release_from_its_spec_to_its_table(
    home: Home, people: DataFrame, source: str, spec_text: MakeSpec, tmp_path: Path
) -> None:
    place, before = str(tmp_path / "wages"), left(home)
    spec = parse_features(spec_text(EXACT))
    run = home.features(spec, place, run_id="first")
    assert (run.rows, run.state, run.policy_hash) == (8, "COMMITTED", spec.hash)
    stored = home.spark.read.format("delta").load(place)
    kinds = dict(stored.dtypes)
    assert [kinds[f"total{end}"] for end in ("", "_low", "_high")] == ["binary"] * 3
    assert (kinds["edu"], kinds["sex"], kinds["people"]) == ("int", "string", "bigint")
    assert kinds["hist"] == "array<bigint>"

    opened = home.reveal(place, ["total", "total_low", "total_high"], "test")
    wage = F.when(~F.isnan("wage"), F.col("wage"))
    known = people.where("person is not null and edu in (0, 1, 2, 7)").groupBy("edu", "sex")
    exact = known.agg(
        F.countDistinct("person").alias("people"),
        F.count("*").alias("rows"),
        F.sum(F.round(wage * 100).cast("bigint")).alias("cents"),
        F.countDistinct("firm").alias("firms"),
        F.count(F.when(wage >= 50, 1)).alias("much"),
    )
    found = opened.where("edu <> 7").select(
        "edu", "sex", "people", "rows", (F.col("total") * 100).cast("bigint").alias("cents"),
        "firms", F.col("hist")[2].alias("much"),
    )  # fmt: skip
    names = ("people", "rows", "cents", "firms", "much")
    assert rows_of(found, *names) == rows_of(exact, *names)
    mean = {row[:2]: row[2] for row in rows_of(known.agg(F.mean(wage).alias("avg")), "avg")}
    for edu, sex, avg, low, high in rows_of(opened, "avg", "avg_low", "avg_high"):
        if edu == 7:
            continue  # public, though nobody is there
        assert low - 1e-9 <= mean[edu, sex] <= high + 1e-9
        assert avg == pytest.approx(mean[edu, sex], abs=0.01)
    nobody = rows_of(opened.where("edu = 7"), "people", "rows", "firms")
    assert nobody == [(7, "f", 0, 0, 0), (7, "m", 0, 0, 0)]

    [release] = ledger.attempts(home.catalog, "first")
    assert (release.state, release.target_version) == ("published", run.table_version)
    assert (release.unit, release.spec_hash) == ("person", spec.hash)
    assert list(release.sources.values()) == [0]
    record = home.catalog.run("first")
    assert record is not None
    assert json.loads(record.reads or "") == dict(release.sources)
    assert left(home) == before.minus(release.charge)

    # The same again changes nothing, and costs nothing.
    again = home.features(spec, place, run_id="first")
    assert again.replayed
    assert left(home) == before.minus(release.charge)
    assert rows_of(home.reveal(place, ["total"], "test"), "total", "avg") == rows_of(
        opened, "total", "avg"
    )
    with pytest.raises(RunConflict):
        home.features(parse_features(spec_text("epsilon: 5")), place, run_id="first")
    noisy = home.features(parse_features(spec_text()), str(tmp_path / "noisy"))
    table = home.spark.read.format("delta").load(noisy.target)
    assert rows_of(table, "people", "rows") != rows_of(opened, "people", "rows")


def test_totals_stand_behind_their_groups_and_cost_nothing(
    home: Home, people: DataFrame, spec_text: MakeSpec, tmp_path: Path
) -> None:
    figures = FIGURES.replace("  avg: {mean: wage, low: 0, high: 100, step: 0.01}\n", "")
    text = spec_text(EXACT, figures)
    run = home.features(parse_features(text + "totals: [[], [edu]]\n"), str(tmp_path / "totals"))
    plain = home.features(parse_features(text), str(tmp_path / "plain"))
    [one], [other] = (ledger.attempts(home.catalog, each.run_id) for each in (run, plain))
    assert one.charge == other.charge
    table = home.reveal(run.target, ["total"], "test").withColumn("much", F.col("hist")[2])
    assert (run.rows, plain.rows) == (13, 8)
    found = {
        (row["edu"], row["sex"]): (row["people"], row["rows"], row["total"], row["much"])
        for row in table.collect()
    }
    wage = F.when(~F.isnan("wage"), F.col("wage"))
    known = people.where("person is not null and edu in (0, 1, 2, 7)")
    cents = F.sum(F.round(wage * 100).cast("bigint")).alias("cents")
    much = F.count(F.when(wage >= 50, 1)).alias("much")
    exact = known.groupBy("edu").agg(F.count("*").alias("rows"), cents, much).collect()
    for row in exact:
        _, rows, total, above = found[row["edu"], None]
        assert (rows, int(total * 100), above) == (row["rows"], row["cents"], row["much"])
    whole = found[None, None]
    assert whole[1] == sum(row["rows"] for row in exact)
    for at in range(4):
        groups = [each[at] for (_, sex), each in found.items() if sex is not None]
        assert whole[at] == sum(groups) == sum(found[edu, None][at] for edu in (0, 1, 2, 7))
    assert found[7, None] == (0, 0, 0, 0)


def test_sums_do_not_depend_on_how_rows_lie(
    spark: SparkSession, people: DataFrame, spec_text: MakeSpec
) -> None:
    spec = parse_groups(spec_text())
    measures = [measure for each in spec.aggregates for measure in measures_of(each)]
    plain = people.where("person is not null").cache()
    found = []
    for parts in (1, 3, 16):
        for adaptive in ("true", "false"):
            with setting(spark, "spark.sql.adaptive.enabled", adaptive):
                df = plain.repartition(parts, F.rand(parts))
                groups = find_groups(df, spec)
                sums = group_sums(
                    groups.placed(df), measures, Bounds(groups=2, rows=2), unit="person",
                    groups=groups.names, rows=40 if parts == 3 else 10**7, salt="salt",
                )  # fmt: skip
            found.append(
                (sums.groups.tolist(), sums.sums.tolist(), [len(p[0]) for p in sums.pairs])
            )
    assert all(each == found[0] for each in found)
    assert sum(line[0] for line in found[0][1]) <= 2 * PEOPLE, "two groups of each"
    plain.unpersist()


def test_groups_are_shown_only_where_enough_units_are(
    home: Home, source: str, spec_text: MakeSpec, tmp_path: Path
) -> None:
    text = spec_text("epsilon: 20, delta: 1e-9", "aggregates: {people: units, rows: count}\n")
    # `raw` tells each row apart; `edu` has a hundred people or more in each of its values.
    alone = text.replace("{edu: [0, 1, 2, 7], sex: [f, m]}", "{raw: select}")
    run = home.features(parse_features(alone), str(tmp_path / "alone"))
    assert run.rows == 0
    some = text.replace("edu: [0, 1, 2, 7]", "edu: select").replace("groups: 8", "groups: 4")
    run = home.features(parse_features(some), str(tmp_path / "some"))
    shown = home.spark.read.format("delta").load(run.target)
    assert {row["edu"] for row in shown.collect()} == {0, 1, 2, 3}
    many = some.replace("delta: 1e-9}", "delta: 1e-9, floor: 100000}")
    assert home.features(parse_features(many), str(tmp_path / "many")).rows == 0


BAD: tuple[tuple[str, str, type[PrivpipeError], str], ...] = (
    ("unit: person", "unit: raw", SpecError, "stands in clear"),
    ("unit: person", "unit: name", SpecError, "stands under `mask`"),
    ("unit: person", "unit: wage", SpecError, "stands under `encrypt`"),
    ("unit: person", "unit: persons", SchemaError, "persons"),
    ("edu: [0, 1, 2, 7]", "edu: [0, x]", SpecError, "'x' is no int"),
    ("edu: [0, 1, 2, 7]", "edu: [0, '00', 1, 2]", SpecError, "two values are the same int"),
    ("edu: [0, 1, 2, 7]", "wage: [0, 1, 2, 7]", SchemaError, "groups by a double"),
    ("sum: wage", "sum: name", SpecError, "stands under `mask`"),
    ("sum: wage", "sum: sex", SchemaError, "sex, which is string"),
    ("sum: wage", "sum: wages", SchemaError, "wages"),
    ("high: 100, step: 0.01}\n  avg", "high: 80000000000000, step: 0.01}\n  avg", FixedOverflow,
     "64 bits"),
    ("delta: 1e-9", "delta: 0.01", BudgetError, "1,600 rows"),
    ("budget: census", "budget: cencus", UnknownBudget, "cencus"),
    ("budget: census", "budget: small", BudgetConflict, "census"),
    (NOISY, "epsilon: 1e15", BudgetSpent, "is left"),
    ("unit: person\n", "unit: person\nnull_units: refuse\n", SpecError, "some row has no person"),
)  # fmt: skip


def test_what_cannot_be_costs_nothing_and_writes_nothing(
    home: Home, spec_text: MakeSpec, tmp_path: Path
) -> None:
    before, small, place = left(home), left(home, "small"), tmp_path / "never"
    runs = home.catalog.runs()
    for old, new, kind, words in BAD:
        text = spec_text().replace(old, new, 1)
        assert text != spec_text()
        with pytest.raises(kind) as caught:
            home.features(parse_features(text), str(place))
        assert words in str(caught.value), (new, str(caught.value))
        assert (left(home), left(home, "small")) == (before, small), new
        assert not (place / "_delta_log").exists(), new
    refused = [run for run in home.catalog.runs() if run not in runs]
    codes = {run.error_code for run in refused}
    assert codes <= {"PP-POL-02", "PP-DAT-03"}, "but for what reading alone tells, none is begun"


def test_wherever_it_fails_no_charge_gives_two_draws(
    home: Home, spec_text: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parse_features(spec_text())
    before = left(home)

    def failing(*_: Any, **__: Any) -> Any:
        raise EngineError("the disk is full")

    # Before the draw: given back.
    place = str(tmp_path / "early")
    with monkeypatch.context() as patch:
        patch.setattr(_run, "group_sums", failing)
        with pytest.raises(EngineError):
            home.features(spec, place, run_id="early")
    assert left(home) == before
    assert [each.state for each in ledger.attempts(home.catalog, "early")] == ["cancelled"]
    home.features(spec, place, run_id="early")
    states = [each.state for each in ledger.attempts(home.catalog, "early")]
    assert states == ["cancelled", "published"]

    # An attempt that was killed before its draw is gone on with, at the version that it named.
    place, before = str(tmp_path / "killed"), left(home)
    with monkeypatch.context() as patch:
        patch.setattr(_run, "group_sums", failing)
        patch.setattr(_run, "_give_back", lambda *_: None)
        with pytest.raises(EngineError):
            home.features(spec, place, run_id="killed")
    home.features(spec, place, run_id="killed")
    [release] = ledger.attempts(home.catalog, "killed")
    assert (release.state, list(release.sources.values())) == ("published", [0])
    assert left(home) == before.minus(release.charge)

    # Behind the draw: spent, and the run that is repeated is charged again.
    place, before = str(tmp_path / "late"), left(home)
    with monkeypatch.context() as patch:
        patch.setattr(_run, "figure_columns", failing)
        with pytest.raises(EngineError):
            home.features(spec, place, run_id="late")
    assert left(home) != before
    home.features(spec, place, run_id="late")
    charges = ledger.attempts(home.catalog, "late")
    assert [each.state for each in charges] == ["drawn", "published"]
    assert left(home) == before.minus(charges[0].charge + charges[1].charge)

    # Behind the commit: nothing more is drawn.
    place = str(tmp_path / "last")
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "publish", failing)
        with pytest.raises(EngineError):
            home.features(spec, place, run_id="last")
    assert [each.state for each in ledger.attempts(home.catalog, "last")] == ["drawn"]
    assert home.repair() == ()
    assert [each.state for each in ledger.attempts(home.catalog, "last")] == ["published"]
    kept = home.spark.read.format("delta").load(place).collect()
    assert home.features(spec, place, run_id="last").replayed
    assert home.spark.read.format("delta").load(place).collect() == kept


def test_a_commit_that_is_repeated_draws_once(
    home: Home, spec_text: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, drawn, written = parse_features(spec_text()), [], []
    draw, commit = vars(_run)["draw"], vars(_release)["commit"]

    def counted(*args: Any) -> Any:
        drawn.append(args)
        return draw(*args)

    def twice(frame: DataFrame, *args: Any, **more: Any) -> None:
        written.append(rows_of(frame, "people", "rows"))
        if len(written) == 1:
            raise TryAgain("another writer came between")
        commit(frame, *args, **more)

    monkeypatch.setattr(_run, "draw", counted)
    monkeypatch.setattr(_release, "commit", twice)
    home.features(spec, str(tmp_path / "twice"), run_id="twice")
    assert len(drawn) == 1
    assert written[0] == written[1]
    assert len(ledger.attempts(home.catalog, "twice")) == 1


def test_rows_as_units_of_a_plain_file(
    home: Home, spark: SparkSession, people: DataFrame, tmp_path: Path
) -> None:
    place = str(tmp_path / "plain.parquet")
    people.write.parquet(place)
    text = (
        f"version: 1\nfeatures: x.rows\nsource: {place}\nunit: row\n"
        "aggregates: {all: count, cents: {sum: wage, low: 0, high: 100, step: 0.01}, "
        "med: {quantile: wage, low: 0, high: 100, bins: 1000, at: 0.5}}\n"
        "privacy: {budget: census, epsilon: 100000000}\n"
    )
    home.features(parse_features(text), str(tmp_path / "out"))
    [row] = spark.read.format("delta").load(str(tmp_path / "out")).collect()
    wage = people.where("not isnan(wage)")
    [exact] = wage.agg(
        F.sum(F.round(F.col("wage") * 100).cast("bigint")), F.median("wage")
    ).collect()
    assert row["all"] == 4 * PEOPLE
    assert int(row["cents"] * 100) == exact[0]
    assert row["med"] == pytest.approx(exact[1], abs=0.2)


def test_an_attack_on_ones_own_spec(home: Home, source: str, spec_text: MakeSpec) -> None:
    before = left(home)
    text = spec_text("epsilon: 1, delta: 1e-4").replace(
        "groups: 8, rows: 100", "groups: 1, rows: 2"
    )
    found = home.attack(parse_features(text), units=2, draws=1000)
    assert [each.moved for each in found] == [1, 1]
    assert all(each.holds and each.claimed <= 1 for each in found)
    assert left(home) == before
    rows = (
        f"version: 1\nfeatures: x.rows\nsource: {source}\nunit: row\n"
        "aggregates: {n: count}\nprivacy: {budget: census, epsilon: 1}\n"
    )
    [alone] = home.attack(parse_features(rows), units=1, draws=5000)
    assert alone.moved == 1
    assert 0.5 < alone.shown <= alone.claimed == 1
