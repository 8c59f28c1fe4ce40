"""A private release that pays for all but no noise, beside plain Python: of whatever source, by
groups of every type, and of columns of any name."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe import parse_policy
from privpipe.catalog import ledger
from privpipe.dp import Budget
from privpipe.errors import SchemaError, SourceError
from privpipe.features import parse_features
from privpipe.spark import Home
from tests.spark._project import make_home, policy_text

pytest.importorskip("opendp", reason="the extra `dp` is not installed")

LOW, HIGH = -3, 4
LISTED = {
    "i": ["0", "2", "-7"],
    "s": ["é\"`'0", "é\"`'1", "zz"],
    "d": ["1969-12-30", "1970-01-02"],
    "w": ["-0.5", "0.00", "0.250"],
    "b": ["true", "false"],
}
ODD = (
    ("a.b", "x`y", "c d"),
    ("__group", "__row", "__unit_1"),
    ("__group_0", "value_1", "n_low"),
)
Release = Callable[..., dict[tuple[Any, ...], tuple[int, int, int]]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Home:
    home = make_home(tmp_path_factory.mktemp("home") / "home", spark)
    ledger.open_budget(home.catalog, "b", Budget.of_epsilon(10**16, delta="1e-6"))
    return home


@pytest.fixture(scope="module")
def table(spark: SparkSession) -> DataFrame:
    """Groups of each type, with nulls; `v` beyond the clamps on both sides."""
    return spark.sql(
        """select id, cast(id % 3 as int) i, if(id % 7 = 0, null, concat('é"`\\'', id % 3)) s,
        if(id % 8 = 5, null, date_add(date'1969-12-30', int(id % 4))) d, id % 2 = 0 b,
        cast((id % 5) / 4.0 - 0.5 as decimal(9,3)) w,
        case id % 11 when 3 then null when 4 then double('NaN') else id % 11 - 5.0D end v,
        if(id % 9 = 0, null, cast(pmod(hash(id), 13) as int)) x
        from range(300)"""
    )


@pytest.fixture
def release(home: Home, tmp_path: Path) -> Release:
    """What a release says of each group: rows, sum and different values."""
    count = iter(range(1000))

    def released(
        place: object, keys: Sequence[str], names: Sequence[str], *, select: bool
    ) -> dict[tuple[Any, ...], tuple[int, int, int]]:
        v, x = names
        groups = {key: "select" if select else LISTED[key] for key in keys}
        figures = {
            "cnt": "count",
            "tot": {"sum": v, "low": LOW, "high": HIGH, "step": 1},
            "dis": {"distinct": x},
            "bins": {"histogram": v, "edges": [-9, 0, 9]},
        }
        pays = {"budget": "b", "epsilon": 10**13, **({"delta": "1e-9"} if select else {})}
        text = (
            f"version: 1\nfeatures: a.b\nsource: {json.dumps(str(place))}\nunit: row\n"
            f"groups: {json.dumps(groups)}\naggregates: {json.dumps(figures)}\n"
            f"privacy: {json.dumps(pays)}\n"
        )
        target = str(tmp_path / f"out{next(count)}")
        home.features(parse_features(text), target)
        found = home.spark.read.format("delta").load(target).collect()
        assert len({tuple(row[: len(keys)]) for row in found}) == len(found)
        for row in found:
            assert sum(row["bins"]) <= row["cnt"]
        return {tuple(row[: len(keys)]): (row["cnt"], int(row["tot"]), row["dis"]) for row in found}

    return released


def exact(
    rows: Iterable[dict[str, Any]], keys: Sequence[str]
) -> dict[tuple[Any, ...], tuple[int, int, int]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return {
        key: (
            len(own),
            sum(
                int(min(max(row["v"], LOW), HIGH))
                for row in own
                if row["v"] is not None and row["v"] == row["v"]
            ),
            len({row["x"] for row in own} - {None}),
        )
        for key, own in groups.items()
    }


def agrees(
    release: Release, place: object, rows: list[dict[str, Any]], *keys: str, select: bool = False
) -> None:
    found, wanted = release(place, keys, ("v", "x"), select=select), exact(rows, keys)
    if select:
        assert found == wanted
    assert {key: wanted.get(key, (0, 0, 0)) for key in found} == found
    assert any(sum(each) for each in found.values())


def test_groups_of_every_type(release: Release, table: DataFrame, tmp_path: Path) -> None:
    rows = [row.asDict() for row in table.collect()]
    place = tmp_path / "all.parquet"
    table.repartition(3).write.parquet(str(place))
    agrees(release, place, rows, *LISTED)
    agrees(release, place, rows, "i", "d", "b", select=True)
    agrees(release, place, rows, "s", "w", select=True)
    # Planted: clamps that are off by one, or a null that is no group, would be seen.
    clamped = [{**row, "v": row["v"] and min(row["v"], HIGH - 1)} for row in rows]
    assert exact(clamped, ["i"]) != exact(rows, ["i"])
    assert (None,) in exact(rows, ["d"])


def test_sources_of_every_kind(
    spark: SparkSession, release: Release, table: DataFrame, tmp_path: Path
) -> None:
    rows = [row.asDict() for row in table.collect()]
    parted = tmp_path / "parted"
    table.write.format("delta").partitionBy("i", "s", "d").save(str(parted))
    agrees(release, parted, rows, "s", "d", select=True)
    with pytest.raises(SourceError, match="within a Delta table"):
        release(next(parted.glob("i=*")), ["b"], ("v", "x"), select=False)
    try:
        table.write.format("delta").saveAsTable("sources_d")
        spark.sql("create view sources_v as select *, 1 as one from sources_d where id < 100")
        agrees(release, "sources_v", [row for row in rows if row["id"] < 100], "d")
        spark.sql(
            "alter table sources_d set tblproperties('delta.columnMapping.mode' = 'name', "
            "'delta.enableDeletionVectors' = 'true')"
        )
        spark.sql("delete from sources_d where id % 10 = 3")
        spark.sql("alter table sources_d rename column v to `v.old x`")
        spark.sql("alter table sources_d add column v double")
        spark.sql("update sources_d set v = `v.old x` where id % 2 = 0")
        spark.sql("alter table sources_d rename column i to j")
        spark.sql("alter table sources_d rename column d to i")
        with pytest.raises(SourceError, match="a view of what is gone, or renamed"):
            release("sources_v", ["b"], ("v", "x"), select=False)
        left = [
            {**row, "v": row["v"] if row["id"] % 2 == 0 else None, "i": row["d"]}
            for row in rows
            if row["id"] % 10 != 3
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(LISTED, "i", LISTED["d"])
            agrees(release, "sources_d", left, "i", "b")
    finally:
        spark.sql("drop view if exists sources_v")
        spark.sql("drop table if exists sources_d")


@pytest.mark.parametrize("names", ODD, ids="-".join)
def test_columns_of_any_name(
    release: Release, table: DataFrame, tmp_path: Path, names: tuple[str, str, str]
) -> None:
    """Dots and backticks make paths on the way to a worker, and some names were ours."""
    rows = [row.asDict() for row in table.collect()]
    place = tmp_path / "odd.parquet"
    old = ("i", "v", "x")
    picked = (F.col(name).alias(new) for name, new in zip(old, names, strict=True))
    table.select(*picked).write.parquet(str(place))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LISTED, names[0], LISTED["i"])
        found = release(place, names[:1], names[1:], select=False)
    wanted = exact(rows, ["i"])
    assert found == {key: wanted.get(key, (0, 0, 0)) for key in ((0,), (2,), (-7,))}


def test_a_name_of_ours_is_refused(release: Release, table: DataFrame, tmp_path: Path) -> None:
    place = tmp_path / "ours.parquet"
    table.withColumnRenamed("v", "__PRIVPIPE_group").write.parquet(str(place))
    with pytest.raises(SchemaError, match="column __PRIVPIPE_group has a name that"):
        release(place, ["i"], ("__privpipe_group", "x"), select=False)


def test_encrypted_columns_of_any_name(home: Home, spark: SparkSession, tmp_path: Path) -> None:
    """Opened by their names, not by paths; of each person at most two rows count in a group."""
    df = spark.sql(
        "select concat('p', id % 40) u, cast(id % 50 as decimal(9,2)) v, concat('g', id % 3) g "
        "from range(400)"
    )
    per = defaultdict(list)
    for u, v, g in df.collect():
        per[u, g].append(min(int(v), 9))
    wanted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (_, g), values in per.items():
        share = sum(values) * 2 // max(len(values), 2)
        for at, one in enumerate((1, min(len(values), 2), share)):
            wanted[g][at] += one
    assert any(len(values) > 2 for values in per.values())

    rules = {
        "`u.x`": "{protect: pseudonymize, output: uuid}",
        "`v.v`": "encrypt",
        "`g``g`": "encrypt",
    }
    policy = policy_text("c.people", {json.dumps(name): rule for name, rule in rules.items()})
    source, target = str(tmp_path / "people"), str(tmp_path / "told")
    home.protect(parse_policy(policy), df.toDF("u.x", "v.v", "g`g"), source)
    text = (
        f"version: 1\nfeatures: a.b\nsource: {source}\nunit: U.x\ngroups: {{g`g: select}}\n"
        "bounds: {groups: 3, rows: 2}\n"
        "aggregates: {n: units, c: count, s: {sum: v.v, low: 0, high: 9, step: 1}}\n"
        "privacy: {budget: b, epsilon: 10000000000000, delta: 1e-9}\ncolumns: {s: encrypt}\n"
    )
    home.features(parse_features(text), target)
    found = home.reveal(target, ["s"], "test").select("`g``g`", "n", "c", "s").collect()
    assert {row[0]: [int(each) for each in row[1:]] for row in found} == wanted
