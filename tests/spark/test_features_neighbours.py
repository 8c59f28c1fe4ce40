"""Neighbours through Spark: who leaves takes along no more than is declared, and nothing of a
release but its noise tells that somebody left."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.catalog import ledger
from privpipe.dp import Bounds, Budget, Mechanism, add_noise
from privpipe.features import Spec, _draw, parse_features
from privpipe.spark import Home
from privpipe.spark._setting import setting
from privpipe.spark.features import group_sums
from privpipe.spark.features._groups import Groups, find_groups
from tests.features._specs import parse_groups
from tests.features._tables import ALL
from tests.spark._project import make_home

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

SPEC = parse_groups("""\
version: 1
features: clinic.cities
source: warehouse/people
unit: person
groups: {city: select, sex: [f, m]}
bounds: {groups: 3, rows: 2}
aggregates: {n: units}
privacy: {budget: clinic, epsilon: 1, delta: 1e-6}
""")
LEAVER = "leaver"
Told = tuple[Counter[Any], set[Any]]


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """Sixty people in ten cities or so each, and one who is alone in the first city of all, has
    many rows elsewhere, some of them twice, and values beyond all clamps."""
    others = spark.sql(
        "select concat('p', id % 60) as person, concat('c', pmod(hash(id), 20)) as city, "
        "if(pmod(hash(id, 1), 2) = 0, 'f', 'm') as sex, "
        "cast(pmod(hash(id, 2), 30) as double) / 2 - 3 as x, pmod(hash(id, 3), 5) as y "
        "from range(1200)"
    )
    one = spark.sql(
        f"select '{LEAVER}' as person, if(id < 3, 'a', concat('c', id % 20)) as city, "
        "if(id % 3 = 0, 'f', 'm') as sex, if(id % 2 = 0, 1e308, double('-Infinity')) as x, "
        "cast(id % 7 as int) as y from range(90)"
    )
    return others.unionByName(one).unionByName(one.where("y = 0")).cache()


def told(df: DataFrame, groups: Groups, parts: int) -> Told:
    """What the pass keeps: each group's numbers, by its values, and its distinct values."""
    sums = group_sums(
        groups.placed(df), ALL, SPEC.bounds, unit="person", groups=groups.names,
        rows=parts * 500_000, salt="salt",
    )  # fmt: skip
    values = [tuple(row.values()) for row in groups.values.to_pylist()]
    numbers: Counter[Any] = Counter()
    for group, row in zip(sums.groups.tolist(), sums.sums.tolist(), strict=True):
        numbers.update({(values[group], at): number for at, number in enumerate(row)})
    [(places, hashes)] = sums.pairs
    return numbers, {(values[at], each) for at, each in zip(places, hashes.tolist(), strict=True)}


def adds_up(whole: Told, rest: Told, alone: Told) -> bool:
    """The leaver's own part, and what is kept of all others without him, are all there was."""
    sums = Counter(rest[0])
    sums.update(alone[0])
    return {k: n for k, n in whole[0].items() if n} == {k: n for k, n in sums.items() if n} and (
        whole[1] == rest[1] | alone[1]
    )


def by_place(groups: Groups) -> Groups:
    """The planted bug: a group is chosen by where it stands among the groups that there are."""
    return replace(groups, names=np.arange(len(groups)))


def test_who_leaves_changes_nothing_of_the_others(spark: SparkSession, people: DataFrame) -> None:
    """However the rows lie with him and without him, though the places of all groups move."""
    lies = {
        "whole": (people, 1, "true"),
        "rest": (people.where(F.col("person") != LEAVER).repartition(7, F.rand(7)), 5, "false"),
        "alone": (people.where(F.col("person") == LEAVER), 3, "true"),
    }
    found, planted = {}, {}
    for name, (df, parts, adaptive) in lies.items():
        with setting(spark, "spark.sql.adaptive.enabled", adaptive):
            groups = find_groups(df, SPEC)
            found[name] = told(df, groups, parts)
            planted[name] = told(df, by_place(groups), parts)
    assert adds_up(**found)
    assert not adds_up(**planted)
    numbers, distinct = found["alone"]
    kept = {group for (group, at), number in numbers.items() if at == 1 and number}
    assert 0 < len(kept) <= SPEC.bounds.groups
    assert sum(number for (_, at), number in numbers.items() if at == 0) <= 6
    assert len(distinct) <= 6


ROWS = """\
version: 1
features: clinic.rows
source: {source}
unit: row
groups: {{city: [a, c1, c2, nowhere], sex: [f, m]}}
aggregates:
  n: count
  s: {{sum: x, low: -1000000, high: 1000000}}   # two draws of its noise are never equal
  m: {{mean: x, low: 0, high: 10}}
  q: {{quantile: x, low: 0, high: 10, bins: 5, at: 0.5}}
  d: {{distinct: y}}
privacy: {{budget: clinic, epsilon: 1, delta: 1e-6}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "clinic", Budget.of_epsilon(100, delta="1e-3"))
    return home


def shape_of(home: Home, place: str, run_id: str) -> dict[str, Any]:
    """Whatever of a release is no figure: none of it may depend on a row."""
    [release] = ledger.attempts(home.catalog, run_id)
    stored = home.spark.read.format("delta").load(place)
    return {
        "charge": release.charge,
        "mechanisms": ledger.mechanisms_from_text(release.mechanisms),
        "spec": release.spec_hash,
        "schema": stored.schema.json(),
        "groups": sorted(map(tuple, stored.select("city", "sex").collect())),
        "nulls": stored.select(*map(nulls, stored.columns)).collect(),
        "files": len(stored.inputFiles()),
    }


def nulls(name: str) -> Column:
    return F.count_if(F.col(name).isNull())


def figures(home: Home, place: str) -> list[Any]:
    return sorted(home.spark.read.format("delta").load(place).collect())


def test_a_release_tells_of_nobody_but_by_its_figures(
    home: Home, people: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One spec on neighbours: only here `nowhere` is nobody, and there `a` is empty too."""
    source, invoked = str(tmp_path / "rows.parquet"), []
    add: Any = vars(_draw)["add_noise"]

    def counted(values: Any, mechanism: Any) -> Any:
        invoked.append(mechanism)
        return add(values, mechanism)

    monkeypatch.setattr(_draw, "add_noise", counted)
    spec = parse_features(ROWS.format(source=source))
    assert isinstance(spec, Spec)
    one = people.where("city <> 'a'").unionByName(people.where("city = 'a'").limit(1))
    shapes = {}
    for run_id, df in (("with", one), ("again", one), ("without", people.where("city <> 'a'"))):
        if run_id != "again":
            df.write.mode("overwrite").parquet(source)
        place = str(tmp_path / run_id)
        home.features(spec, place, run_id=run_id)
        shapes[run_id] = shape_of(home, place, run_id)
        assert Counter(invoked) == Counter(shapes[run_id]["mechanisms"]), "each as charged"
        invoked.clear()
    assert shapes["with"] == shapes["again"] == shapes["without"]
    assert len(shapes["with"]["groups"]) == 8, "public groups alone, and all of them"
    # what a release shows depends on data where groups are taken from them
    assert len(find_groups(one, SPEC)) != len(find_groups(people.where("city <> 'a'"), SPEC))

    # Read again it is the same; released again it is not.
    kept = {name: figures(home, str(tmp_path / name)) for name in shapes}
    assert all(figures(home, str(tmp_path / name)) == rows for name, rows in kept.items())
    noise = [[row["s"] for row in rows if row["city"] == "nowhere"] for rows in kept.values()]
    assert len({tuple(each) for each in noise}) == 3
    assert all(any(each) for each in noise), "nobody's sums are noise, and not 0"


def test_a_table_that_draws_when_it_is_read_is_found(spark: SparkSession) -> None:
    """As of others, who hand out a lazy noisy table that is charged once: each look is a draw."""
    one = Bounds(groups=1, rows=1).counts()
    mechanism = Mechanism(noise="laplace", sensitivity=one, scale=Fraction(1 << 40))

    def noisy(batches: Any) -> Any:
        for batch in batches:
            batch["n"] = add_noise(batch["n"].to_numpy(copy=True), mechanism)
            yield batch

    lazy = spark.range(8).selectExpr("id * 100 as n").mapInPandas(noisy, "n bigint")
    assert sorted(lazy.collect()) != sorted(lazy.collect())
