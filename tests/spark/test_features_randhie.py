"""Features of a panel: the visits of the RAND health insurance experiment, a row a person and year.

A private release within its stated errors, what is inside of each person beside Spark's windows,
and aggregates as map, combine and finish beside Spark's own.
"""

from __future__ import annotations

import csv
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.aggregates import Aggregate, Count, Distinct, Max, Mean, Quantile, Sum
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.features import EntitySpec, Spec, parse_features, plan_features
from privpipe.spark import Home
from privpipe.spark.mapreduce import aggregate
from tests.features._told import is_told
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

ROWS, PEOPLE = 20_190, 5_912
COLUMNS = {
    "person": "{protect: pseudonymize, output: uuid}",
    "token": "{protect: encrypt_deterministic, domain: person}",
    "began": "keep",
    "year": "keep",
    "site": "keep",
    "plan": "keep",
    "visits": "encrypt",
    "spent": "encrypt",
}
RELEASE = """
version: 1
features: hie.years
source: {source}
unit: person
groups: {{site: [1, 2, 3, 4, 5, 6], year: [1, 2, 3, 4, 5]}}
bounds: {{groups: 5, rows: 1}}   # as the panel is: nothing is cut away
aggregates:
  people: units
  visits: {{sum: visits, low: 0, high: 20}}
  spent:  {{mean: spent, low: 0, high: 1000, step: 0.5}}
  most:   {{quantile: visits, low: 0, high: 20, bins: 20, at: 0.9}}
privacy: {{budget: hie, epsilon: 2, delta: 1e-6}}
"""
INSIDE = """
version: 1
features: hie.people
source: {source}
entity: token
event_time: began
windows: [12months, 36months]
grain: month
aggregates:
  years: count
  visits: {{sum: visits}}
  spent: {{sum: spent}}
  spent_mean: {{mean: spent}}
  most: {{max: visits}}
privacy: none
columns: {{spent*: encrypt, visits*: encrypt, most*: encrypt}}
"""


@pytest.fixture(scope="module")
def panel(spark: SparkSession) -> DataFrame:
    """Money as decimals; a year of the study begins on its first of January from 1975 on."""
    found = find_spec("statsmodels")
    if found is None or found.origin is None:
        pytest.skip("the panel comes with the package statsmodels, which is not installed")
    path = Path(found.origin).parent / "datasets" / "randhie" / "src" / "randhie.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    whole = {"year": "year", "site": "site", "plan": "plan", "visits": "mdvis"}
    columns = {
        name: pa.array([int(row[at]) for row in rows], "int32") for name, at in whole.items()
    }
    spent = [Decimal(row["meddol"]).quantize(Decimal("0.01")) for row in rows]
    columns["spent"] = pa.array(spent, pa.decimal128(12, 2))
    columns["person"] = columns["token"] = pa.array([row["zper"] for row in rows])
    df = spark.createDataFrame(pa.table(columns))
    df = df.withColumn("began", F.make_date(F.col("year") + 1974, F.lit(1), F.lit(1)))
    assert (df.count(), df.select("person").distinct().count()) == (ROWS, PEOPLE)
    return df


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("hie") / "home", spark)


@pytest.fixture(scope="module")
def source(home: Home, panel: DataFrame) -> str:
    place = str(home.project.path.parent / "panel")
    home.protect(parse_policy(policy_text("hie.panel", COLUMNS)), panel.select(*COLUMNS), place)
    return place


def test_years_of_the_panel_within_the_stated_errors(
    home: Home, panel: DataFrame, source: str, tmp_path: Path
) -> None:
    spec = parse_features(RELEASE.format(source=source))
    assert isinstance(spec, Spec)
    ledger.open_budget(home.catalog, "hie", Budget.of_epsilon(2, delta="1e-6"))
    target = str(tmp_path / "years")
    run = home.features(spec, target)
    assert run.rows == 30

    few, money = F.least("visits", F.lit(20)), F.least("spent", F.lit(1000))
    exact = panel.groupBy("site", "year").agg(
        F.count("*").alias("n"),
        F.sum(few).alias("exact_visits"),
        F.mean(F.round(money * 2) / 2).alias("exact_spent"),
        F.percentile("visits", F.lit(0.9)).alias("exact_most"),
    )
    figures = home.spark.read.format("delta").load(target)
    rows = figures.join(exact, ["site", "year"]).collect()
    assert len(rows) == 30
    errors = {each.name: each.error for each in plan_features(spec).expected}

    def off(name: str, other: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(row[name]) - float(row[other]) for row in rows])

    def held(name: str, other: str) -> int:
        return sum(
            float(row[f"{name}_low"]) <= float(row[other]) <= float(row[f"{name}_high"])
            for row in rows
        )

    for name, other in (("people", "n"), ("visits", "exact_visits")):
        assert is_told(off(name, other), errors[name])
        assert not is_told(off(name, "exact_spent"), errors[name])
    of_thousand = np.array([row["n"] for row in rows]) / 1000
    assert is_told(of_thousand * off("spent", "exact_spent"), errors["spent"], at_most=True)
    ranks = [(row["most_low"], row["exact_most"], row["most_high"] + 1) for row in rows]
    # 18 of 30 hold with a chance of 95 % each, but for one run in ten million.
    assert sum(low <= exact <= high for low, exact, high in ranks) >= 18
    for name, other in (
        ("people", "n"),
        ("visits", "exact_visits"),
        ("spent", "exact_spent"),
    ):
        # 15 of 27 hold with a chance of 95 % each, but for one run in a billion.
        assert held(name, other) >= 15
    assert ledger.standing(home.catalog, "hie").left.amount < Fraction(1, 1000)


def test_years_before_of_each_person_are_those_of_sparks_windows(
    home: Home, panel: DataFrame, source: str, tmp_path: Path
) -> None:
    spec = parse_features(INSIDE.format(source=source))
    assert isinstance(spec, EntitySpec)
    target = str(tmp_path / "people")
    run = home.features(spec, target)
    assert run.rows == ROWS
    hidden = [
        f"{name}_{months}months"
        for name in ("visits", "spent", "spent_mean", "most")
        for months in (12, 36)
    ]
    opened = home.reveal(target, hidden, "test")
    names = home.spark.read.format("delta").load(source).select("token", "person").distinct()
    told = opened.join(names, "token").drop("token")

    panel.createOrReplaceTempView("hie_panel")
    figures = ", ".join(
        f"{figure} OVER years{years} AS {name}_{12 * years}months"
        for name, figure in (
            ("years", "count(*)"),
            ("visits", "sum(visits)"),
            ("spent", "sum(spent)"),
            ("spent_mean", "avg(spent)"),
            ("most", "max(visits)"),
        )
        for years in (1, 3)
    )
    asked = ", ".join(
        f"years{years} AS (PARTITION BY token ORDER BY year "
        f"RANGE BETWEEN {years} PRECEDING AND 1 PRECEDING)"
        for years in (1, 3)
    )
    sql = home.spark.sql(f"SELECT token, began, {figures} FROM hie_panel WINDOW {asked}")
    stored = home.spark.read.format("delta").load(source)
    people = home.reveal(source, ["token"], "test").select("person", "token").distinct()
    wanted = sql.join(people, "token").drop("token").select(*told.columns)
    assert stored.count() == wanted.count() == ROWS
    assert dict(told.dtypes) == dict(wanted.dtypes)
    assert told.exceptAll(wanted).isEmpty()
    assert wanted.exceptAll(told).isEmpty()
    assert not told.exceptAll(wanted.withColumn("most_12months", F.lit(0))).isEmpty()


def test_aggregates_of_the_panel_are_sparks(panel: DataFrame) -> None:
    figures: dict[str, tuple[Aggregate, str | tuple[str, ...]]] = {
        "n": (Count(), ()),
        "people": (Distinct(), "person"),
        "visits": (Sum(), "visits"),
        "spent": (Sum(), "spent"),
        "spent_mean": (Mean(), "spent"),
        "most": (Max(), "visits"),
        "median": (Quantile(0.5), "visits"),
    }
    wanted = panel.groupBy("site", "plan").agg(
        F.count("*").alias("n"),
        F.countDistinct("person").alias("people"),
        F.sum("visits").alias("visits"),
        F.sum("spent").alias("spent"),
        F.avg("spent").alias("spent_mean"),
        F.max("visits").alias("most"),
        F.percentile("visits", F.lit(0.5)).alias("median"),
    )
    for parts in (1, 7):
        told = aggregate(panel.repartition(parts, F.rand(parts)), ["site", "plan"], figures)
        assert dict(told.dtypes) == dict(wanted.dtypes)
        assert sorted(told.collect()) == sorted(wanted.collect())
