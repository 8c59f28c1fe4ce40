"""JSON Lines, every field as the text that stands in it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from privpipe.errors import EncodingError, MalformedRow, SourceError
from privpipe.spark._files import CORRUPT, Files, distinct_names
from privpipe.spark._leaves import quoted
from privpipe.spark._objects import holds_struct, strayed
from privpipe.spark._schema import Wanted
from privpipe.spark._text import TextColumn, TextSource, counted, malformed, unfitting
from privpipe.spark._typed import as_text

_HINT = "one whole JSON object a line, each key once, nothing behind it"


def json_source(spark: SparkSession, files: Files, wanted: Wanted) -> TextSource:
    """The files of one table: one JSON object a line.

    A field without a type of its own is the text in the file: a string's characters, a number as
    it is written, `true` and `false`, and an object or array as its JSON. Fields come in the order
    in which they first stand in their objects; one that a row lacks is null there. The names, and
    lines that are no object, are found in a pass of their own before the rows are read: a reader
    alone takes `{"a":1}{"a":2}` for one row, and the last of two equal keys.

    Raises: SourceError, SchemaError, MalformedRow with the count of lines.
    """
    names = _names(spark, files)
    distinct_names((*names, *files.partitions), files.source)
    kinds = wanted.columns((*names, *files.partitions), files.source, nested=True)
    columns = tuple(TextColumn(name=name, kind=kind) for name, kind in kinds.items())
    inside = [c for c in columns if c.name not in files.partitions]
    fields = [StructField(c.name, as_text(c.kind)) for c in inside]
    fields.append(StructField(CORRUPT, StringType()))
    fields += [StructField(name, StringType()) for name in files.partitions]
    raw = spark.read.json(
        files.source,
        schema=StructType(fields),
        mode="PERMISSIVE",
        columnNameOfCorruptRecord=CORRUPT,
        allowSingleQuotes=False,
    )
    bad = F.col(CORRUPT).isNotNull() | _touched(inside[0])
    return TextSource(
        place=files.source,
        raw=raw,
        columns=columns,
        faults=(malformed(bad, files.source, _HINT), *unfitting(columns, files.source)),
        torn=lambda: _refuse_stray(spark, files, inside),
    )


def _refuse_stray(spark: SparkSession, files: Files, columns: Sequence[TextColumn]) -> None:
    """Raises EncodingError where an object has a key that its struct does not name: the reader
    would drop it."""
    for column in columns:
        if not holds_struct(column.kind):
            continue
        name = quoted(column.name)
        text = F.from_json(F.col("value"), f"{name} string").getField(column.name)
        count = _lines(spark, files).where(strayed(text, as_text(column.kind))).count()
        if count:
            error = EncodingError(
                "an object has a key that its type does not name",
                where=f"{files.source} column {column.name}",
                hint="name every key, in its own spelling, in the policy's `schema:`; "
                "`map<string,string>` takes any",
            )
            raise counted(error, count)


def _lines(spark: SparkSession, files: Files) -> DataFrame:
    """The lines that are not blank. Without what folders name, which might be called `value`."""
    lines = spark.read.option("recursiveFileLookup", "true").text(files.source)
    return lines.where(F.col("value").rlike(r"\S"))


def _touched(column: TextColumn) -> Column:
    """Never true. Spark refuses to read the malformed-row column alone, as a count would."""
    return F.coalesce(F.length(F.col(quoted(column.name)).cast("string")) < 0, F.lit(False))


def _names(spark: SparkSession, files: Files) -> tuple[str, ...]:
    line = F.col("value")
    # A parser stops behind the first value, whatever follows it. In a list before a text that no
    # line can know, the line is one whole value if and only if that text comes second.
    mark = secrets.token_hex(16)
    listed = F.try_parse_json(F.concat(F.lit("["), line, F.lit(f',"{mark}"]')))
    second = F.try_variant_get(listed, "$[1]", "string")
    whole = F.coalesce(second == mark, F.lit(False))
    keys = F.json_object_keys(line)
    bad_line = F.array(F.struct(F.lit(None).cast("string").alias("name"), F.lit(-1).alias("at")))
    named = F.transform(keys, lambda key, at: F.struct(key.alias("name"), at.alias("at")))
    found = F.when(whole & keys.isNotNull(), named).otherwise(bad_line)
    rows: list[Row] = (
        _lines(spark, files)
        .select(F.explode(found).alias("key"))
        .groupBy("key.name")
        .agg(F.count("*").alias("count"), F.min("key.at").alias("at"))
        .collect()
    )
    broken = sum(row["count"] for row in rows if row["name"] is None)
    if broken:
        what = "1 line is" if broken == 1 else f"{broken} lines are"
        raise MalformedRow(f"{what} not well-formed", where=files.source, hint=_HINT)
    if not rows:
        raise SourceError(
            "the JSON is empty: no line names a field", where=files.source, hint="give it a row"
        )
    return tuple(row["name"] for row in sorted(rows, key=lambda row: (row["at"], row["name"])))
