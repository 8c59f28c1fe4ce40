"""A value that stops exact figures leaves no file in the target, of no other group or entity."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import EncodingError
from privpipe.features import parse_features
from privpipe.spark._setting import setting
from tests.spark._project import make_home

ROWS = """
select concat('p', id % 300) as person, id % 40 as job,
       date'2024-03-01' + cast(id % 31 as int) as day,
       if(id % 300 = 77, 9000000000000000000L, id % 100) as n
from range(6000)
"""
HEAD = "version: 1\nfeatures: x.y\nsource: {source}\n"
ENTITIES = (
    "entity: person\nevent_time: day\nwindows: [25d]\ngrain: day\n"
    "aggregates: {s: {sum: n}}\nprivacy: none\n"
)
GROUPS = "unit: row\ngroups: {job: select}\naggregates: {s: {sum: n}}\nprivacy: {k_anonymity: 5}\n"


def test_what_overflows_in_one_place_writes_nothing_of_the_others(
    spark: SparkSession, tmp_path: Path
) -> None:
    home = make_home(tmp_path / "home", spark)
    source = str(tmp_path / "rows")
    spark.sql(ROWS).write.format("delta").save(source)
    with (
        setting(spark, "spark.sql.adaptive.coalescePartitions.enabled", "false"),
        setting(spark, "spark.sql.shuffle.partitions", "16"),
    ):
        for at, text in enumerate((ENTITIES, GROUPS)):
            target = tmp_path / f"never{at}"
            with pytest.raises(EncodingError, match=r"beyond|64 bits"):
                home.features(parse_features(HEAD.format(source=source) + text), str(target))
            assert not target.exists()
    assert [run.state for run in home.catalog.runs()] == ["FAILED", "FAILED"]
    assert spark._jsparkSession.sharedState().cacheManager().isEmpty()
