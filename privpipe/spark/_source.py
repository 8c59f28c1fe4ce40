"""A source by path or name, as a DataFrame with the types it really has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from privpipe.errors import EngineError, PrivpipeError, SchemaError, SourceError
from privpipe.spark._csv import csv_source
from privpipe.spark._errors import condition_of, translated
from privpipe.spark._files import (
    Files,
    distinct_names,
    has_format,
    is_delta,
    list_files,
)
from privpipe.spark._json import json_source
from privpipe.spark._past import read_now
from privpipe.spark._schema import Wanted, parse_wanted
from privpipe.spark._setting import setting
from privpipe.spark._text import TextSource

__all__ = ["read_source", "refuse_malformed"]

AVRO_PACKAGE = "org.apache.spark:spark-avro_2.13:4.2.0"

_INFERENCE = "spark.sql.sources.partitionColumnTypeInference.enabled"
_turn = threading.Lock()

_TEXT = {"csv": csv_source, "json": json_source}

Schema = Mapping[str, str] | str | None


def read_source(spark: SparkSession, source: str, schema: Schema = None) -> DataFrame:
    """The table at `source`: a path (`.parquet .csv .json .avro .orc`, a folder of these, a Delta
    folder), or a name in Spark's catalog.

    A Delta table is read as it is now, whatever is written to it later. Parquet, ORC, Avro, Delta
    and tables bring their types. CSV and JSON are text: every column is
    a string unless `schema` (Spark type by column, or DDL) types it. A row of theirs that is not
    well-formed, or a value that its type does not hold exactly, stops the job that reads it with
    MalformedRow or EncodingError, whatever columns that job asks for, and its text is in no
    message. All columns are there, in the file's order.

    Raises: SourceError (nothing there, empty, of several formats or of none that is known),
    SchemaError (columns alike, types that do not agree), MalformedRow (JSON), EngineError.
    """
    wanted = parse_wanted(schema)
    files = _files(spark, source)
    if files is None:
        df = _loaded(source, lambda: _named(spark, source))
    elif files.format in _TEXT:
        return _text(spark, files, wanted).guarded()
    else:
        df = _loaded(source, lambda: _typed(spark, files))
    distinct_names(df.columns, source)
    if not df.columns:
        raise SourceError("the source has no columns", where=source, hint="check the path")
    wanted.check(df.schema, source)
    return df


def refuse_malformed(spark: SparkSession, source: str, schema: Schema = None) -> None:
    """Read a CSV or JSON source once and refuse it if any row of it is not well-formed.

    For callers that must know before they begin: `read_source` stops only when it comes upon the
    row. A source of any other kind is not read.

    Raises: MalformedRow, EncodingError, with the count of rows; and what `read_source` raises.
    """
    files = _files(spark, source)
    if files is not None and files.format in _TEXT:
        with translated("reading the source"):
            _text(spark, files, parse_wanted(schema)).refuse()


def _text(spark: SparkSession, files: Files, wanted: Wanted) -> TextSource:
    try:
        return _TEXT[files.format](spark, files, wanted)
    except (PySparkException, Py4JError) as error:
        raise _refused(files.source, error) from None


def _files(spark: SparkSession, source: str) -> Files | None:
    """The files at a path, or None for a table that Spark's catalog knows."""
    path_like = "/" in source or "\\" in source or has_format(source)
    if not path_like and _is_table(spark, source):
        return None
    if is_delta(spark, source):
        return Files(source=source, paths=(), format="delta")
    try:
        return list_files(spark, source)
    except SourceError as error:
        if path_like or "nothing at" not in error.message:
            raise
        raise SourceError(
            "no table of that name in Spark's catalog, and nothing at that path",
            where=source,
            hint="give a path, or a name as `catalog.schema.table`",
        ) from error


def _is_table(spark: SparkSession, name: str) -> bool:
    try:
        return bool(spark.catalog.tableExists(name))
    except PySparkException:
        return False  # no name that the catalog could hold


def _named(spark: SparkSession, name: str) -> DataFrame:
    try:
        DeltaTable.forName(spark, name)
    except (PySparkException, Py4JError):
        return spark.table(name)  # a view, or a table of another format
    return read_now(spark, name)


def _typed(spark: SparkSession, files: Files) -> DataFrame:
    if files.format == "delta":
        return read_now(spark, files.source)
    reader = spark.read.format(files.format)
    if files.format in ("parquet", "orc") and len(files.paths) > 1:
        # A column that only later files have would be dropped in silence.
        reader = reader.option("mergeSchema", "true")
    with _folders_as_text(spark):
        return reader.load(files.source)


@contextmanager
def _folders_as_text(spark: SparkSession) -> Iterator[None]:
    """What folders name is text, as in CSV and JSON: `zip=02134` is no number."""
    with _turn, setting(spark, _INFERENCE, "false"):
        yield


def _loaded(source: str, load: Callable[[], DataFrame]) -> DataFrame:
    try:
        return load()
    except (PySparkException, Py4JError) as error:
        raise _refused(source, error) from None


def _refused(source: str, error: PySparkException | Py4JError) -> PrivpipeError:
    condition = condition_of(error)
    if isinstance(error, PySparkException) and condition == "COLUMN_ALREADY_EXISTS":
        name = (error.getMessageParameters() or {}).get("columnName", "")
        return SchemaError(
            f"columns with the same name, or that differ in case alone: {name}",
            where=source,
            hint="rename them in the source",
        )
    if "avro" in str(error).lower() and "data source" in str(error).lower():
        return EngineError(
            "this session cannot read Avro",
            where=source,
            hint=f"add to the project file: spark: {{spark.jars.packages: '{AVRO_PACKAGE}'}}",
        )
    whole = "check that its files are whole"
    gone = any(word in condition for word in ("UNRESOLVED_COLUMN", "VIEW"))
    hint = "a view of what is gone, or renamed: make it anew" if gone else whole
    return SourceError(f"Spark cannot read it ({condition})", where=source, hint=hint)
