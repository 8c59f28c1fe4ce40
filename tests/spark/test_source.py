"""Sources that bring their types, and places that hold none."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import EngineError, SchemaError, SourceError
from privpipe.spark._source import read_source, refuse_malformed
from tests.spark._sources import Write, refusal, rows


class TestTypedSources:
    @pytest.mark.parametrize("kind", ["parquet", "orc", "delta"])
    def test_types_are_the_sources_own(
        self, spark: SparkSession, tmp_path: Path, kind: str
    ) -> None:
        target = str(tmp_path / "people")
        made = spark.sql("select 1 as id, date'2024-01-01' as born, array('x') as l")
        made.write.format(kind).save(target)
        df = read_source(spark, target)
        assert df.dtypes == made.dtypes
        assert rows(df) == rows(made)
        error = refusal(lambda: read_source(spark, target, {"born": "string"}))
        assert isinstance(error, SchemaError)
        assert "says string, the source has date" in str(error)
        assert read_source(spark, target, {"born": "date"}).dtypes == made.dtypes
        refuse_malformed(spark, target)

    def test_a_delta_folder_is_delta_whatever_its_name(
        self, spark: SparkSession, tmp_path: Path
    ) -> None:
        target = str(tmp_path / "people.parquet")
        for _ in range(2):
            spark.range(3).write.format("delta").mode("overwrite").save(target)
        assert read_source(spark, target).count() == 3

    def test_a_column_of_later_files_is_there(self, spark: SparkSession, tmp_path: Path) -> None:
        target = str(tmp_path / "people")
        spark.sql("select 1 as a").write.parquet(target)
        spark.sql("select 2 as a, 3 as b").write.mode("append").parquet(target)
        assert read_source(spark, target).columns == ["a", "b"]

    def test_a_delta_table_stays_as_it_is_now(self, spark: SparkSession, tmp_path: Path) -> None:
        path = str(tmp_path / "moves")
        spark.range(3).write.format("delta").save(path)
        df = read_source(spark, path)
        spark.range(2).write.format("delta").mode("append").save(path)
        assert (df.count(), read_source(spark, path).count()) == (3, 5)

    def test_a_table_or_view_by_name(self, spark: SparkSession) -> None:
        spark.range(2).createOrReplaceTempView("two_rows")
        assert read_source(spark, "two_rows").count() == 2

    def test_avro_says_what_to_add(self, spark: SparkSession, write: Write) -> None:
        error = refusal(lambda: read_source(spark, write("t.avro", b"Obj\x01")))
        assert isinstance(error, EngineError)
        assert "spark-avro_2.13:4.2.0" in str(error)

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("t.parquet", b"", "cannot read it"),
            ("t.parquet", b"nonsense, not a footer", "cannot read it"),
            ("t.txt", b"x", "format is not known"),
            ("t", b"x", "format is not known"),
        ],
    )
    def test_files_that_are_no_tables(
        self, spark: SparkSession, write: Write, name: str, content: bytes, said: str
    ) -> None:
        error = refusal(lambda: read_source(spark, write(name, content)))
        assert isinstance(error, SourceError)
        assert said in str(error)

    def test_nothing_there(self, spark: SparkSession, tmp_path: Path) -> None:
        for source, said in (
            (str(tmp_path / "no.csv"), "nothing at this path"),
            ("no_such_table", "no table of that name"),
            ("a.b.c.d", "no table of that name"),
            (str(tmp_path), "holds no data files"),
        ):
            error = refusal(partial(read_source, spark, source))
            assert isinstance(error, SourceError)
            assert said in str(error)
            assert error.hint

    def test_a_folder_of_several_formats(
        self, spark: SparkSession, write: Write, tmp_path: Path
    ) -> None:
        write("d/a.csv", "a\n1\n")
        write("d/b.json", '{"a":1}\n')
        error = refusal(lambda: read_source(spark, str(tmp_path / "d")))
        assert "several formats: csv, json" in str(error)
