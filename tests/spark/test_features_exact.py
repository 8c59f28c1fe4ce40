"""Exact figures of enough units through a project: as Spark SQL has them, and of nobody alone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import RunRecord
from privpipe.errors import (
    EncodingError,
    PrivpipeError,
    RunConflict,
    SchemaError,
    SpecError,
    UsageError,
)
from privpipe.features import ExactSpec, parse_features
from privpipe.spark import Home
from privpipe.spark._setting import setting
from privpipe.spark.features._exact import exact_figures
from tests.spark._project import make_home, policy_text

COLUMNS = {
    "person": "{protect: pseudonymize, output: uuid}",
    "edu": "keep",
    "sex": "encrypt",
    "wage": "encrypt",
    "age": "keep",
    "job": "{protect: tokenize, alphabet: digits}",
    "name": "{protect: mask, show: {first: 1}}",
    "rare": "keep",
    "years": "keep",
}
K = 5
TEXT = """\
version: 1
features: census.wages
source: {source}
unit: person
groups: {{edu: select, sex: [f, m]}}
aggregates:
  people: units
  rows: count
  firms: {{distinct: job}}
  total: {{sum: wage}}
  avg: {{mean: wage}}
  var: {{variance: age}}
  rest: {{mean: rare}}
  med: {{quantile: years, low: 20, high: 70, bins: 10, at: 0.5}}
  hist: {{histogram: age, edges: [20, 30, 40, 50, 60, 70]}}
  least: {{min: age}}
  most: {{max: age}}
  jobs: {{top: job, most: 2}}
privacy: {{k_anonymity: 5, l_diversity: {{job: 2}}}}
columns: {{total: encrypt, hist: encrypt}}
"""
FIGURES = ("people", "rows", "firms", "total", "avg", "var", "rest", "med", "hist", "least", "most",
           "jobs")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    return make_home(tmp_path_factory.mktemp("home") / "home", spark)


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """Four rows of each person. Levels of `edu` have ever fewer people: of the last one four, with
    rows enough; `edu` 6 is of one job, and `rare` has a value for three people of each."""
    return spark.sql(
        "select if(row = 0, null, concat('p', id)) as person, "
        "cast(case when id < 240 then id % 3 when id < 262 then 3 when id < 267 then 4 "
        "          when id < 271 then 5 when id < 300 then 6 end as int) as edu, "
        "if(id % 2 = 0 or id between 240 and 299, 'f', 'm') as sex, "
        "cast(pmod(hash(id, row), 100000) as decimal(12,2)) / 100 as wage, "
        "if(pmod(hash(id), 17) = 0, null, "
        "   least(60, 20 + pmod(hash(id, 7), 25) + 25 * (id % 2))) as age, "
        "if(id between 271 and 299, '100011', "
        "   string(100010 + pmod(hash(id, 9), 4) * pmod(id, 2))) as job, "
        "concat('name', id) as name, "
        "if(id % 60 in (7, 8) or id in (241, 242, 243), cast(id as double), null) as rare "
        "from range(400) lateral view explode(array(1, 2, 3, if(id = 0, 0, 1))) as row"
    ).withColumns({"wage": F.col("wage").cast("decimal(12,2)"), "years": F.col("age")})


@pytest.fixture(scope="module")
def source(home: Home, people: DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("table") / "people")
    home.protect(parse_policy(policy_text("census.people", COLUMNS)), people, place)
    return place


def parse_exact(text: str) -> ExactSpec:
    spec = parse_features(text)
    assert isinstance(spec, ExactSpec)
    return spec


def told(df: DataFrame) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in df.select("edu", "sex", *FIGURES).collect()), key=repr)


def shared(rows: Sequence[Any], column: str) -> tuple[Counter[Any], dict[Any, set[str]]]:
    counts: Counter[Any] = Counter()
    whose: dict[Any, set[str]] = defaultdict(set)
    for row in rows:
        counts[row[column]] += 1
        whose[row[column]].add(row["person"])
    return counts, whose


def _median(rows: Sequence[Any], middle: float) -> tuple[float | None, ...]:
    begins = 20 + (middle - 20) // 5 * 5
    near = [row["age"] is not None and begins <= row["age"] < begins + 5 for row in rows]
    who = {row["person"] for row, its in zip(rows, near, strict=True) if its}
    return (None, begins) if len(who) >= K else (None,)


def _versions(record: RunRecord) -> list[int | None]:
    return list(json.loads(str(record.reads)).values())


def test_figures_are_sparks_own_for_enough_people(
    home: Home, people: DataFrame, source: str, tmp_path: Path
) -> None:
    spec, place = parse_exact(TEXT.format(source=source)), str(tmp_path / "wages")
    run = home.features(spec, place, run_id="first")
    assert run.policy_hash == spec.hash
    assert any("no differential privacy" in text for text in run.warnings)
    record = home.catalog.run("first")
    assert record is not None
    assert (_versions(record), record.policy) == ([0], spec.canonical_text)
    stored = home.spark.read.format("delta").load(place)
    assert dict(stored.dtypes)["total"] == "binary"
    opened = home.reveal(place, ["total", "hist"], "test")

    known = people.where("person is not null and sex in ('f', 'm')")
    groups = known.groupBy("edu", "sex").agg(
        F.countDistinct("person").alias("people"),
        F.count("*").alias("rows"),
        F.countDistinct("job").alias("firms"),
        F.sum("wage").alias("total"),
        F.mean("wage").alias("avg"),
        F.var_pop("age").alias("var"),
        F.expr("percentile_disc(0.5) within group (order by age)").alias("middle"),
    ).where(f"people >= {K} and firms >= 2")  # fmt: skip
    exact = {(row["edu"], row["sex"]): row for row in groups.collect()}
    found = {(row["edu"], row["sex"]): row for row in opened.collect()}
    assert set(found) == set(exact)
    assert (5, "f") not in found, "four people, whatever their rows"
    assert (6, "f") not in found, "all of one job"
    assert (None, "m") in found
    assert (4, "f") in found, "just enough"
    assert run.rows == len(exact)
    hidden = 0
    for key, row in found.items():
        for name in ("people", "rows", "firms", "total", "avg"):
            assert row[name] == exact[key][name], (key, name)
        assert row["var"] == pytest.approx(exact[key]["var"], rel=1e-12)
        inside = known.where(F.col("edu").eqNullSafe(key[0]) & (F.col("sex") == key[1])).collect()
        rare = {each["person"] for each in inside if each["rare"] is not None}
        assert (row["rest"] is None) == (len(rare) < K), key
        hidden += row["rest"] is None
        # A quantile is told to the beginning of a bin that enough are in, or not at all.
        assert row["med"] in _median(inside, exact[key]["middle"]), key
        ages, of_age = shared([each for each in inside if each["age"] is not None], "age")
        for name, value in (("least", min(ages)), ("most", max(ages))):
            assert row[name] == (value if len(of_age[value]) >= K else None), (key, name)
        jobs, of_job = shared(inside, "job")
        order = sorted((j for j in jobs if len(of_job[j]) >= K), key=lambda j: (-jobs[j], j))[:2]
        got = [(each["value"], each["count"]) for each in row["jobs"]]
        assert got in ([(j, jobs[j]) for j in order], [(j, jobs[j]) for j in order[:-1]]), key
        left = {each["person"] for each in inside if each["job"] not in dict(got)}
        assert not 0 < len(left) < K, "what is left of the rows is of enough people"
        places = [None if each["age"] is None else min((each["age"] - 20) // 10, 4)
                  for each in inside]  # fmt: skip
        for at, count in enumerate(row["hist"]):
            who = {each["person"] for each, its in zip(inside, places, strict=True) if its == at}
            assert count is None or (len(who) >= K and count == places.count(at)), (key, at)
    assert 0 < hidden < len(found)
    assert any(row["med"] is not None for row in found.values())
    assert any(row["most"] is not None for row in found.values())

    again = home.features(spec, place, run_id="first")
    assert (again.replayed, again.table_version) == (True, run.table_version)
    other = parse_exact(TEXT.format(source=source).replace("k_anonymity: 5", "k_anonymity: 6"))
    with pytest.raises(RunConflict):
        home.features(other, place, run_id="first")
    home.features(other, place, "overwrite", run_id="second")
    fewer = home.spark.read.format("delta").load(place)
    assert {(row["edu"], row["sex"]) for row in fewer.collect()} == set(found) - {(4, "f")}


def test_figures_do_not_depend_on_how_rows_lie(spark: SparkSession, people: DataFrame) -> None:
    spec = parse_exact(TEXT.format(source="x"))
    plain = people.where("person is not null").cache()
    found = []
    for parts, adaptive in ((1, "true"), (3, "false"), (16, "true")):
        with setting(spark, "spark.sql.adaptive.enabled", adaptive):
            found.append(told(exact_figures(plain.repartition(parts, F.rand(parts)), spec)))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 5
    plain.unpersist()


def test_rows_as_units_of_a_plain_file(home: Home, people: DataFrame, tmp_path: Path) -> None:
    place = str(tmp_path / "plain.parquet")
    people.write.parquet(place)
    text = (
        f"version: 1\nfeatures: x.rows\nsource: {place}\nunit: row\ngroups: {{edu: select}}\n"
        "aggregates: {n: units, rare: {max: rare}, some: {sum: rare}, jobs: {top: job}}\n"
        "privacy: {k_anonymity: 20}\n"
    )
    run = home.features(parse_exact(text), str(tmp_path / "out"), run_id="rows")
    record = home.catalog.run("rows")
    assert record is not None
    assert _versions(record) == [None]
    exact = people.groupBy("edu").agg(
        F.count("*").alias("n"), F.count("rare").alias("of"), F.sum("rare").alias("some")
    )  # fmt: skip
    expected = {
        row["edu"]: (row["n"], row["some"] if row["of"] >= 20 else None)
        for row in exact.where("n >= 20").collect()
    }
    rows = home.spark.read.format("delta").load(run.target).collect()
    assert {row["edu"]: (row["n"], row["some"]) for row in rows} == expected
    assert all(each["count"] >= 20 for row in rows for each in row["jobs"])
    everyone = text.replace("groups: {edu: select}\n", "").replace("y: 20", "y: 100000")
    assert home.features(parse_exact(everyone), str(tmp_path / "none")).rows == 0


BAD: tuple[tuple[str, str, type[PrivpipeError], str], ...] = (
    ("unit: person", "unit: name", SpecError, "stands under `mask`"),
    ("unit: person", "unit: age", SpecError, "stands in clear"),
    ("{top: job, most: 2}", "{top: name}", SpecError, "stands under `mask`"),
    ("{min: age}", "{min: name}", SpecError, "stands under `mask`"),
    ("{sum: wage}", "{sum: sex}", SchemaError, "sum takes numbers"),
    ("{sum: wage}", "{sum: wages}", SchemaError, "wages"),
    ("{histogram: age,", "{histogram: sex,", SchemaError, "takes numbers"),
    ("{job: 2}", "{jib: 2}", SchemaError, "jib"),
    ("edu: select", "edu: [0, x]", SpecError, "'x' is no int"),
    ("edu: select", "rare: select", SchemaError, "groups by a double"),
    ("unit: person\n", "unit: person\nnull_units: refuse\n", SpecError, "some row has no person"),
)  # fmt: skip


def test_what_cannot_be_writes_nothing(home: Home, source: str, tmp_path: Path) -> None:
    place, runs = tmp_path / "never", home.catalog.runs()
    whole = TEXT.format(source=source)
    for old, new, kind, words in BAD:
        assert old in whole
        with pytest.raises(kind) as caught:
            home.features(parse_exact(whole.replace(old, new, 1)), str(place))
        assert words in str(caught.value), (new, str(caught.value))
    with pytest.raises(UsageError, match="there is nothing to attack"):
        home.attack(parse_exact(whole))
    assert not place.exists()
    assert home.catalog.runs() == runs
    big = home.spark.sql("select id as n, 9223372036854775807 as most from range(9)")
    big.write.parquet(str(tmp_path / "big.parquet"))
    text = (
        f"version: 1\nfeatures: x.big\nsource: {tmp_path / 'big.parquet'}\nunit: row\n"
        "aggregates: {most: {sum: most}}\nprivacy: {k_anonymity: 2}\n"
    )
    with pytest.raises(EncodingError) as beyond:
        home.features(parse_exact(text), str(place))
    assert "9223372036854775807" not in str(beyond.value)
    assert not place.exists()  # nor a file that no commit names


def test_no_name_of_a_figure_lets_a_small_group_show(people: DataFrame) -> None:
    """What was called as the checks are has once replaced them."""
    names = ("__rows", "__with_age", "__values_job", "__privpipe_rows", "__privpipe_values_job")
    figures = ", ".join(f"{name}: {{sum: age}}" for name in names)
    text = (
        "version: 1\nfeatures: a.b\nsource: x\nunit: person\ngroups: {edu: select}\n"
        f"aggregates: {{n: units, {figures}}}\n"
        "privacy: {k_anonymity: 5, l_diversity: {job: 2}}\n"
    )
    shown = exact_figures(people, parse_exact(text)).toArrow().to_pylist()
    assert shown
    plain = parse_exact(text.replace(f", {figures}", ""))
    allowed = exact_figures(people, plain).toArrow().to_pylist()
    assert sorted(row["n"] for row in shown) == sorted(row["n"] for row in allowed)
    assert all(row["n"] >= K for row in shown)
    renamed = people.withColumnRenamed("edu", "__privpipe_edu")
    with pytest.raises(SchemaError, match="begins with"):
        exact_figures(renamed, parse_exact(text.replace("{edu:", "{__privpipe_edu:")))
