"""CSV: every cell is the text in the file, and a row that is none is refused without its text."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from privpipe.errors import EncodingError, MalformedRow, SchemaError, SourceError
from privpipe.spark._source import read_source, refuse_malformed
from tests.spark._sources import SECRET, Write, refusal, rows

Schema = Mapping[str, str] | str | None


class TestCsv:
    def test_every_cell_is_the_text_in_the_file(self, spark: SparkSession, write: Write) -> None:
        source = write(
            "people.csv",
            'zip,name,note\n02134,"Ann ""A."" Lee","a, b\r\nc"\n00000,,""\n1e3,  sp ace ,b\\s"q\n',
        )
        df = read_source(spark, source)
        assert df.schema.simpleString() == "struct<zip:string,name:string,note:string>"
        assert rows(df) == [
            ("02134", 'Ann "A." Lee', "a, b\r\nc"),
            ("00000", None, ""),
            ("1e3", "  sp ace ", 'b\\s"q'),
        ]

    def test_a_blank_after_every_separator_is_the_separators(
        self, spark: SparkSession, write: Write
    ) -> None:
        source = write("febrl.csv", 'rec_id, given_name, zip\nr1, anna, 02134\nr2, , "a, b"\n')
        df = read_source(spark, source)
        assert df.columns == ["rec_id", "given_name", "zip"]
        assert rows(df) == [("r1", "anna", "02134"), ("r2", None, "a, b")]

    @pytest.mark.parametrize(
        ("content", "columns", "first"),
        [
            ("a;b\n1,5;2\n", ["a", "b"], ("1,5", "2")),
            ("a\tb\n1\t2\n", ["a", "b"], ("1", "2")),
            ("a|b\r\n1|2\r\n", ["a", "b"], ("1", "2")),
            ("\ufeffa,b\n1,2", ["a", "b"], ("1", "2")),
            ("a , b,c\n 1,2,3\n", ["a", "b", "c"], (" 1", "2", "3")),
            ('"x,y","`z`.ü"\n1,2\n', ["x,y", "`z`.ü"], ("1", "2")),
            ("only\n1\n\n2\n", ["only"], ("1",)),
        ],
    )
    def test_headers_say_how_to_read(
        self,
        spark: SparkSession,
        write: Write,
        content: str,
        columns: list[str],
        first: tuple[str, ...],
    ) -> None:
        df = read_source(spark, write("t.csv", content))
        assert df.columns == columns
        assert rows(df)[0] == first

    def test_a_header_alone_is_a_table_of_no_rows(self, spark: SparkSession, write: Write) -> None:
        df = read_source(spark, write("t.csv", "a,b\n"), {"a": "int"})
        assert df.schema.simpleString() == "struct<a:int,b:string>"
        assert rows(df) == []

    def test_types_where_the_policy_gives_them(self, spark: SparkSession, write: Write) -> None:
        source = write(
            "t.csv", "id,zip,born,paid,at\n7,02134,1984-02-29,12.50,\n,,,,2024-01-01 10:00\n"
        )
        df = read_source(spark, source, {"ID": "bigint", "born": "date", "paid": "decimal(10,2)"})
        assert df.dtypes[:4] == [
            ("id", "bigint"),
            ("zip", "string"),
            ("born", "date"),
            ("paid", "decimal(10,2)"),
        ]
        assert rows(df)[0] == (7, "02134", date(1984, 2, 29), Decimal("12.50"), None)
        assert rows(df)[1] == (None, None, None, None, "2024-01-01 10:00")
        by_ddl = read_source(spark, source, "at timestamp_ntz, id int")
        assert by_ddl.dtypes[0] == ("id", "int")
        assert by_ddl.dtypes[4] == ("at", "timestamp_ntz")

    def test_folders_gzip_patterns_and_partitions(
        self, spark: SparkSession, write: Write, tmp_path: Path
    ) -> None:
        write("my data/zip=02134/a.csv", "id,name\n1,x\n")
        write("my data/zip=00001/b.csv.gz", gzip.compress(b"id,name\n2,y\n"))
        write("my data/zip=00001/empty.csv", "")
        write("my data/_SUCCESS", "")
        df = read_source(spark, str(tmp_path / "my data"))
        assert df.columns == ["id", "name", "zip"]
        assert sorted(rows(df)) == [("1", "x", "02134"), ("2", "y", "00001")]
        assert rows(read_source(spark, str(tmp_path / "my data/zip=*/a.csv"))) == [("1", "x")]

    @pytest.mark.parametrize(
        "content",
        [
            f"a,b,c\n1,2,3\n{SECRET},5\n",
            f"a,b,c\n1,2,3\n{SECRET},5,6,7\n",
            f"a,b,c\n{SECRET}" + "," * 30_000 + "\n",
            f'a,b,c\n1,"{SECRET},3\n4,5,6\n',
            f"a,b,c\n1,2,{SECRET}\xfc\n".encode("latin-1"),
        ],
        ids=["short", "long", "very long", "open quote", "latin-1"],
    )
    def test_a_malformed_row_is_refused_whatever_is_asked(
        self, spark: SparkSession, write: Write, content: str | bytes
    ) -> None:
        source = write("t.csv", content)
        df = read_source(spark, source)
        for job in (df.count, df.select("a").collect):
            assert isinstance(refusal(job), MalformedRow)
        assert str(refusal(lambda: refuse_malformed(spark, source))).startswith(
            f"[PP-DAT-02] {source}: 1 row: "
        )

    @pytest.mark.parametrize(
        "content",
        [
            f'a,b,c\n1,2,"{SECRET}\n4,5,6\n7,8,9\n',
            f'a,b,c\n"1,{SECRET},3\n"4",5,6\n7,8,9\n',
            f'a,b,c\n1,"{SECRET},3\n4,"5",6\n',
            f'a,b,c\n1,"{SECRET}"x,3\n',
            f'a,b,c\n1,"{SECRET}" ,3\n',
            f"a,b,c\n1,{SECRET}\r2,3\n",
            f'a, b, c\n1, "{SECRET}, 3\n4, "5", 6\n',
            f'a\n"{SECRET}\n',
            f'a,b,c\n1,2,3\n\ufeff"{SECRET},5",6\n',
        ],
    )
    def test_a_quote_without_its_partner_is_refused(
        self, spark: SparkSession, write: Write, content: str
    ) -> None:
        """Spark would take the lines that follow into its cell."""
        for text in (content, content.replace("\n", "\r\n")):
            source = write("t.csv", text)
            assert str(refusal(lambda: refuse_malformed(spark, source))).startswith(  # noqa: B023
                f"[PP-DAT-02] {source}: 1 row: a row is not well-formed"
            )

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (f'a,b\r\n1,"{SECRET}\r\nx"\r\n', "so do lines within its cells"),
            (f"a,b\n1,{SECRET}\r\n2,x\n", "some of its lines end in CRLF and some in LF"),
            (f"a,b\r\n1,{SECRET}\n2,x\r\n", "some of its lines end in CRLF and some in LF"),
            (f"\r\na,b\n1,{SECRET}\n", "some of its lines end in CRLF and some in LF"),
            (f"\na,b\r\n1,{SECRET}\r\n", "some of its lines end in CRLF and some in LF"),
            (f"a,b\r\n1,2\r\n3,{SECRET}\r", "1 row: a row is not well-formed"),
        ],
    )
    def test_line_ends_of_two_kinds_are_refused(
        self, spark: SparkSession, write: Write, content: str, said: str
    ) -> None:
        """Spark would change a cell's own, or leave a CR in the last cell."""
        source = write("t.csv", content)
        assert said in str(refusal(lambda: refuse_malformed(spark, source)))

    def test_quotes_over_many_lines_files_and_blocks(
        self, spark: SparkSession, write: Write, tmp_path: Path
    ) -> None:
        texts = [f'{at},"{"x" * (at % 50)}""\n,\n",b"q\n\n' for at in range(3000)]
        write("d/1.csv", '\ufeff"a","b",c\n' + "".join(texts))
        write("d/2.csv", 'a,b,c\r\n1,"x\ny",\r\n"",,"z"')  # its last line has no end
        write("d/3.csv.gz", gzip.compress(b'\xef\xbb\xbfa,b,c\r\n-1,"x, ""y""",'))
        size = spark.conf.get("spark.sql.files.maxPartitionBytes") or ""
        spark.conf.set("spark.sql.files.maxPartitionBytes", "10000")
        spark.conf.set("spark.sql.files.openCostInBytes", "10000")
        try:
            source = str(tmp_path / "d")
            refuse_malformed(spark, source)
            found = {row.a: row for row in read_source(spark, source).collect()}
            assert len(found) == 3002
            assert found["-1"][1:] == ('x, "y"', None)
            assert found["2999"][1:] == ("x" * 49 + '"\n,\n', 'b"q')
            assert found[""][1:] == (None, "z")
            write("d/1.csv", '"a","b",c\n' + "".join(texts).replace('x""', 'x"', 1))
            assert "row" in str(refusal(lambda: refuse_malformed(spark, source)))
            write("d/1.csv", "a,b,c\n" + "".join(texts) + '1,"2,3\n')
            assert "1 row:" in str(refusal(lambda: refuse_malformed(spark, source)))
        finally:
            spark.conf.set("spark.sql.files.maxPartitionBytes", size)
            spark.conf.unset("spark.sql.files.openCostInBytes")

    @pytest.mark.parametrize(
        ("kind", "bad", "good"),
        [
            ("int", SECRET, "7"),
            ("int", "1.5", "-7"),
            ("tinyint", "128", "127"),
            ("decimal(10,2)", "12.345", "12.3400"),
            ("decimal(4,2)", "123.4", "-.5"),
            ("decimal(10,2)", "1e3", "5."),
            ("double", "1e400", "-1E-3"),
            ("double", "12d", "NaN"),
            ("float", "1e39", "-Infinity"),
            ("date", "2024-02-30", "2024-02-29"),
            ("date", "2024", "2024-1-2"),
            ("date", "2024-01-01 10:00", "1915-11-11"),
            ("timestamp", "2024-01-01 10:00:00.1234567", "2024-01-01T10:00:00.123456+02:00"),
            ("timestamp_ntz", "2024-01-01 10:00 Europe/Paris", "2024-01-01 10:00"),
            ("boolean", "maybe", "yes"),
            ("interval year to month", "1-13", "1-2"),
            ("interval day to second", "x", "1 02:03:04.5"),
        ],
    )
    def test_a_value_its_type_cannot_hold_is_refused(
        self, spark: SparkSession, write: Write, kind: str, bad: str, good: str
    ) -> None:
        source = write("t.csv", f"n,v\n1,{good}\n2,{bad}\n")
        df = read_source(spark, source, {"v": kind})
        assert df.where("n = 1 and v is not null").limit(1).count() == 1
        error = refusal(df.select("n").collect)
        assert isinstance(error, EncodingError)
        assert "column v" in str(error)
        assert "1 row:" in str(refusal(lambda: refuse_malformed(spark, source, {"v": kind})))

    def test_many_malformed_rows_are_counted(self, spark: SparkSession, write: Write) -> None:
        source = write("t.csv", "a,b\n" + f"{SECRET}\n" * 3 + "1,2\n")
        assert "3 rows: a row is not well-formed" in str(
            refusal(lambda: refuse_malformed(spark, source))
        )

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "empty"),
            ("\n\n", "empty"),
            ("  \na,b\n", "no name"),
            ("a,,c\n1,2,3\n", "column 2 has no name"),
            ('a,"b\n1,2\n', "header line is not CSV"),
            ("a,b\n1,2\n".encode("utf-16"), "not UTF-8"),
        ],
    )
    def test_headers_that_are_none(
        self, spark: SparkSession, write: Write, content: str | bytes, said: str
    ) -> None:
        error = refusal(lambda: read_source(spark, write("t.csv", content)))
        assert isinstance(error, SourceError)
        assert said in str(error)

    def test_columns_alike_are_named(self, spark: SparkSession, write: Write) -> None:
        error = refusal(lambda: read_source(spark, write("t.csv", "id,Name,x,NAME,x\n")))
        assert isinstance(error, SchemaError)
        assert "Name, x, NAME, x" in str(error)

    def test_files_with_different_headers(
        self, spark: SparkSession, write: Write, tmp_path: Path
    ) -> None:
        write("d/1.csv", "a,b\n1,2\n")
        write("d/2.csv", f"{SECRET},1\n3,4\n")
        error = refusal(lambda: read_source(spark, str(tmp_path / "d")))
        assert "different header lines" in str(error)

    @pytest.mark.parametrize(
        ("schema", "said"),
        [
            ({"nme": "string"}, "nearest: name"),
            ({"name": "strng"}, "'strng' is no Spark type"),
            ({"name": "array<string>"}, "a CSV cell holds no array"),
            ({"name": "varchar(5)"}, "write `string`"),
            ("name", "no Spark type"),
            ("int", "names no columns"),
        ],
    )
    def test_schemas_that_do_not_fit(
        self, spark: SparkSession, write: Write, schema: Schema, said: str
    ) -> None:
        error = refusal(lambda: read_source(spark, write("t.csv", "name,b\n1,2\n"), schema))
        assert isinstance(error, SchemaError)
        assert said in str(error)


def test_a_malformed_row_is_in_no_log(write: Write, tmp_path: Path) -> None:
    bad = write("bad.csv", f"a,b\n1,2\n{SECRET}\n")
    untyped = write("untyped.csv", f"a,b\n1,{SECRET}\n")
    events = tmp_path / "events"
    events.mkdir()
    script = (
        "import sys\n"
        "from privpipe.spark._session import build_session\n"
        "from privpipe.spark._source import read_source, refuse_malformed\n"
        "spark = build_session({'spark.master': 'local[1]', 'spark.log.level': 'DEBUG',\n"
        "    'spark.eventLog.enabled': 'true', 'spark.eventLog.dir': sys.argv[1],\n"
        "    'spark.eventLog.compress': 'false'})\n"
        "for source, kinds in ((sys.argv[2], None), (sys.argv[3], {'b': 'int'})):\n"
        "    df = read_source(spark, source, kinds)\n"
        "    df.explain(True)\n"
        "    for job in (df.collect, lambda: refuse_malformed(spark, source, kinds)):\n"
        "        try:\n"
        "            job()\n"
        "        except Exception as error:\n"
        "            print(error)\n"
        "spark.stop()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, events.as_uri(), bad, untyped],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.count("[PP-DAT-02]") >= 2
    assert done.stdout.count("[PP-DAT-08]") >= 2
    logged = [path.read_text(errors="replace") for path in events.rglob("*") if path.is_file()]
    assert any("SparkListenerTaskEnd" in text for text in logged)
    assert "DEBUG" in done.stderr
    for text in (*logged, done.stderr, done.stdout):
        assert SECRET not in text
