"""JSON Lines: every field is the text in the file, and a line that is none is refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import EncodingError, EngineError, MalformedRow, SchemaError, SourceError
from privpipe.spark._source import read_source, refuse_malformed
from tests.spark._sources import SECRET, Write, refusal, rows


class TestJson:
    def test_every_field_is_the_text_in_the_file(self, spark: SparkSession, write: Write) -> None:
        source = write(
            "t.json",
            '{"zip":"02134","n":1.10,"big":123456789012345678901.10,"e":1e400,"o":{"x": 1.0},'
            '"l":[ 1, "é" ],"b":true,"nul":null,"s":"q\\"\\n"}\n\n{"later":1,"zip":"0"}\n',
        )
        df = read_source(spark, source)
        assert df.columns == ["later", "zip", "n", "big", "e", "o", "l", "b", "nul", "s"]
        assert set(dict(df.dtypes).values()) == {"string"}
        assert rows(df.drop("later"))[0] == (
            *("02134", "1.10", "123456789012345678901.10", "1e400"),
            *('{"x": 1.0}', '[ 1, "é" ]', "true", None, 'q"\n'),
        )

    def test_types_where_the_policy_gives_them(self, spark: SparkSession, write: Write) -> None:
        source = write(
            "t.jsonl",
            '{"id":7,"o":{"p":"12.50","at":"2024-01-01"},"l":[1,2],"m":{"k":0.5},"v":{"a":[1]}}\n',
        )
        df = read_source(
            spark,
            source,
            {
                "id": "int",
                "o": "struct<p:decimal(6,2),at:date,q:int>",
                "l": "array<bigint>",
                "m": "map<string,double>",
                "v": "variant",
                "never": "int",
            },
        )
        assert df.columns == ["id", "o", "l", "m", "v", "never"]
        assert df.selectExpr("id", "o.p", "o.at", "l", "m['k']", "v:a[0]::int", "never").collect()[
            0
        ] == (7, Decimal("12.50"), date(2024, 1, 1), [1, 2], 0.5, 1, None)

    @pytest.mark.parametrize(
        "line",
        [
            f'{{"a":"{SECRET}"',
            f'{{"a":"{SECRET}"}} x',
            f'{{"a":"{SECRET}"}}{{"a":"2"}}',
            f'{{"a":"{SECRET}"}},{{"a":"2"}}',
            f'{{"a":"{SECRET}"}},',
            f'{{"a":"{SECRET}"}}],[{{"a":"2"}}',
            f'{{"a":"{SECRET}"}},"x"],["y"',
            f'{{"a":"{SECRET}","a":"2"}}',
            f'[{{"a":"{SECRET}"}}]',
            f'"{SECRET}"',
            f"{{'a':'{SECRET}'}}",
            '{"a":007}',
        ],
    )
    def test_a_malformed_line_is_refused(
        self, spark: SparkSession, write: Write, line: str
    ) -> None:
        source = write("t.json", f'{{"a":"1"}}\n{line}\n')
        error = refusal(lambda: read_source(spark, source))
        assert isinstance(error, MalformedRow)
        assert "1 line is not well-formed" in str(error)

    def test_a_line_that_becomes_malformed_later_is_refused(
        self, spark: SparkSession, write: Write
    ) -> None:
        df = read_source(spark, write("t.json", '{"a":"1","b":2}\n'))
        write("t.json", f'{{"a":"1","b":"{SECRET}\n')
        spark.catalog.clearCache()
        for job in (df.collect, df.count, df.select("b").collect):
            assert isinstance(refusal(job), (MalformedRow, EngineError))

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("int", f'"{SECRET}"'),
            ("int", "1.0"),
            ("struct<x:decimal(5,0)>", '{"x":1.7}'),
            ("struct<x:int>", f'"{SECRET}"'),
            ("array<date>", '["2024-01-01","soon"]'),
            ("map<string,array<tinyint>>", '{"k":[1,128]}'),
        ],
    )
    def test_a_value_its_type_cannot_hold_is_refused(
        self, spark: SparkSession, write: Write, kind: str, value: str
    ) -> None:
        df = read_source(spark, write("t.json", f'{{"n":1,"v":{value}}}\n'), {"v": kind})
        for job in (df.collect, df.count, df.select("n").collect):
            assert isinstance(refusal(job), (EncodingError, MalformedRow))

    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            ("struct<x:int>", f'{{"x":1,"{SECRET}":2}}'),
            ("struct<x:int>", '{"X":1}'),
            ("struct<x:int>", "[1]"),
            ("array<struct<x:struct<y:int>>>", '[{"x":{"y":1}},{"x":{"z":2}}]'),
            ("map<string,struct<x:int>>", '{"k":{"x":1,"z":2}}'),
        ],
    )
    def test_a_key_that_no_type_names_is_refused(
        self, spark: SparkSession, write: Write, kind: str, value: str
    ) -> None:
        source = write("t.json", f'{{"n":1,"v":{value}}}\n')
        error = refusal(lambda: refuse_malformed(spark, source, {"v": kind}))
        assert isinstance(error, (EncodingError, MalformedRow))

    def test_objects_keep_their_numbers_and_their_shape(
        self, spark: SparkSession, write: Write
    ) -> None:
        good = '{"p":{"q":1.10,"r":0.12345678901234567890123,"l":["1e400"],"s":{"t":null}}}\n'
        kind = "struct<q:string,r:decimal(38,23),l:array<string>,s:struct<t:string>>"
        source = write("good.json", good)
        refuse_malformed(spark, source, {"p": kind})
        (row,) = read_source(spark, source, {"p": kind}).collect()
        assert (row.p.q, str(row.p.r)) == ("1.10", "0.12345678901234567890123")
        assert (row.p.l, row.p.s.t) == (["1e400"], None)
        for bad in ('{"p":{"l":"x"}}', '{"p":{"l":{"z":1}}}', '{"p":"{}"}', '{"p":{"s":[1]}}'):
            source = write("bad.json", bad)
            error = refusal(lambda: refuse_malformed(spark, source, {"p": kind}))  # noqa: B023
            assert isinstance(error, (EncodingError, MalformedRow))

    def test_folders_may_be_named_value(
        self, spark: SparkSession, write: Write, tmp_path: Path
    ) -> None:
        write("j.json/value=1/a.json", '{"a":"x"}\n\t\n')
        write("c.csv/value=1/a.csv", "a\nx\n")
        for name in ("j.json", "c.csv"):
            refuse_malformed(spark, str(tmp_path / name))
            assert rows(read_source(spark, str(tmp_path / name))) == [("x", "1")]

    def test_fields_alike_are_named(self, spark: SparkSession, write: Write) -> None:
        error = refusal(lambda: read_source(spark, write("t.json", '{"id":1,"Id":2}\n')))
        assert isinstance(error, SchemaError)
        assert "id, Id" in str(error)

    def test_an_empty_file(self, spark: SparkSession, write: Write) -> None:
        error = refusal(lambda: read_source(spark, write("t.json", "\n")))
        assert isinstance(error, SourceError)
