"""What is read of a table from its log, beside what Spark says of it."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from privpipe.catalog import Manifest, manifest_of
from privpipe.spark._files_read import tables_read


def test_a_log_says_what_spark_counts_or_nothing(spark: SparkSession, tmp_path: Path) -> None:
    def written(name: str, **options: str) -> Path:
        place = tmp_path / name
        df = spark.range(40).selectExpr("id", "id % 3 AS `of three`", "cast(id AS string) AS text")
        writer = df.write.format("delta").options(**options).partitionBy("of three")
        writer.save(str(place))
        return place

    plain = written("it's a table", **{"delta.columnMapping.mode": "name"})
    spark.sql(f"DELETE FROM delta.`{plain}` WHERE id < 7")
    assert manifest_of(plain, 0) == Manifest(rows=40, own=True)
    assert manifest_of(plain, 1) == Manifest(rows=33, own=True), "whole files were written again"
    assert manifest_of(plain, 2) is None, "no such version"
    assert manifest_of(tmp_path / "nothing", 0) is None

    marks = {"delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "true"}
    marked = written("marked", **marks)
    spark.sql(f"DELETE FROM delta.`{marked}` WHERE id < 7")
    assert manifest_of(marked, 1) == Manifest(rows=None, own=True), "files hold deleted rows too"

    clone = tmp_path / "clone"
    spark.sql(f"CREATE TABLE delta.`{clone}` SHALLOW CLONE delta.`{plain}`")
    assert manifest_of(clone, 0) == Manifest(rows=33, own=False)
    read = tables_read(spark.read.format("delta").load(str(clone)))
    assert {Path(each.removeprefix("file:")).relative_to(tmp_path).parts[0] for each in read} == {
        clone.name,
        plain.name,
    }

    # What a log names by escapes lies there too.
    (log,) = (plain / "_delta_log").glob("*0.json")
    named = log.read_text().replace('"add":{"path":"', '"add":{"path":"%2E%2E/x/')
    beside = tmp_path / "beside" / "_delta_log" / log.name
    beside.parent.mkdir(parents=True)
    beside.write_text(named)
    assert manifest_of(tmp_path / "beside", 0) == Manifest(rows=40, own=False)

    statistics = "spark.databricks.delta.stats.collect"
    spark.conf.set(statistics, "false")
    try:
        silent = written("silent", **{"delta.columnMapping.mode": "name"})
    finally:
        spark.conf.unset(statistics)
    assert manifest_of(silent, 0) == Manifest(rows=None, own=True)
    percent = written("100%25", **{"delta.columnMapping.mode": "name"})
    assert manifest_of(percent, 0) is None, "delta-rs would look for another folder"
