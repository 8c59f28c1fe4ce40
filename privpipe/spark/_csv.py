"""CSV as RFC 4180 has it, every cell as the text that stands in it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from privpipe.errors import SourceError
from privpipe.spark._files import CORRUPT, Files, distinct_names
from privpipe.spark._quotes import refuse_torn
from privpipe.spark._schema import Wanted
from privpipe.spark._text import (
    TextColumn,
    TextSource,
    malformed,
    undecodable,
    unfitting,
)

_SEPARATORS = (",", ";", "\t", "|")
# An empty cell is null, a quoted empty one is empty: the reader tells them apart only where null
# is written as a text that no cell holds.
_NULL = "\x00privpipe null\x00"
_MOST_COLUMNS = 1_000_000
_HINT = (
    "every row needs as many cells as the header; a quote that begins a cell also ends it, and one "
    "inside it is written twice"
)


@dataclass(frozen=True, slots=True)
class Header:
    """A file's first line: the columns' names, trimmed, and the separator it shows."""

    names: tuple[str, ...]
    separator: str


def csv_source(spark: SparkSession, files: Files, wanted: Wanted) -> TextSource:
    """The files of one table: comma-separated, or by what their header shows.

    - The separator is the first of `,` `;` tab `|` in the header. Where a blank follows every one
      of them there, the blank is the separator's: `a, b` has the columns `a` and `b`, and so have
      all its rows. No other blank is taken off a cell; names are trimmed.
    - A quoted cell may hold separators, line breaks and doubled quotes; a backslash is a
      backslash. Line breaks in cells mean that a file is read by one task.
    - An empty cell is null, a quoted empty cell is the empty text. Blank lines are skipped.
    - All files share one header.

    Raises: SourceError, SchemaError; a malformed row shows when the rows are read.
    """
    header = _common_header(spark, files)
    distinct_names((*header.names, *files.partitions), files.source)
    kinds = wanted.columns((*header.names, *files.partitions), files.source, nested=False)
    columns = tuple(TextColumn(name=name, kind=kind) for name, kind in kinds.items())
    fields = [StructField(name, StringType()) for name in header.names]
    fields.append(StructField(CORRUPT, StringType()))
    fields += [StructField(name, StringType()) for name in files.partitions]
    raw = spark.read.csv(
        files.source,
        schema=StructType(fields),
        header=True,
        sep=header.separator,
        multiLine=True,
        escape='"',
        nullValue=_NULL,
        emptyValue="",
        mode="PERMISSIVE",
        columnNameOfCorruptRecord=CORRUPT,
        maxColumns=_MOST_COLUMNS,  # beyond its limit the reader throws the row's own text
        enforceSchema=True,
    )
    bad = malformed(F.col(CORRUPT).isNotNull(), files.source, _HINT)
    return TextSource(
        place=files.source,
        raw=raw,
        columns=columns,
        faults=(
            bad,
            undecodable(columns[: len(header.names)], files.source),
            *unfitting(columns, files.source),
        ),
        torn=lambda: refuse_torn(spark, files, header.separator, bad.error),
    )


def _common_header(spark: SparkSession, files: Files) -> Header:
    headers = [header for header in _headers(spark, files) if header is not None]
    if not headers:
        raise SourceError(
            "the CSV is empty: it has no header line",
            where=files.source,
            hint="the first line names the columns",
        )
    if any(other != headers[0] for other in headers):
        raise SourceError(
            "its files have different header lines",
            where=files.source,
            hint="read them one by one, or land them as one Parquet table first",
        )
    return headers[0]


def _headers(spark: SparkSession, files: Files) -> Sequence[Header | None]:
    def header(path: str) -> Header | None:
        line = spark.read.text(path).where("value != ''").head()  # blank lines are skipped
        return parse_header(line[0], files.source) if line else None

    if files.partitions:
        return [parse_header(line, files.source) for line in _first_lines(spark, files.source)]
    # A job a file, each of some milliseconds; Spark would check headers too, but its message on
    # a file without one prints that file's first row.
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(header, files.paths))


def _first_lines(spark: SparkSession, source: str) -> list[str]:
    """The first line of each file that has one, in a job over all: the plan of a job a file, which
    is logged, would hold the values that its folders name."""
    reader = spark.read.option("recursiveFileLookup", "true")
    lines = reader.text(source).where("value != ''")
    place = lines.metadataColumn("_metadata")
    first = F.min_by("value", "at").alias("line")
    rows = (
        lines.where(place.getField("file_block_start") == 0)
        .select("value", place.getField("file_path").alias("file"))
        .withColumn("at", F.monotonically_increasing_id())
        .groupBy("file")
        .agg(first)
        .collect()
    )
    return [row["line"] for row in rows]


def parse_header(line: str, place: str) -> Header:
    """Names and separator of a header line.

    Raises: SourceError where a name is missing or the line is not text.
    """
    text = line.removeprefix("\ufeff")
    if "\ufffd" in text or "\x00" in text:
        raise SourceError(
            "the header is not UTF-8 text", where=place, hint="convert the file to UTF-8"
        )
    separator = next((mark for mark in _SEPARATORS if mark in text), ",")
    cells = _cells(text, separator, place)
    blank = len(cells) > 1 and all(cell.startswith(" ") for cell in cells[1:])
    if blank:
        cells = _cells(text, separator, place, skipinitialspace=True)
    names = tuple(cell.strip() for cell in cells)
    for number, name in enumerate(names, start=1):
        if not name:
            raise SourceError(
                f"column {number} has no name in the header", where=place, hint="name every column"
            )
    return Header(names=names, separator=f"{separator} " if blank else separator)


def _cells(line: str, separator: str, place: str, *, skipinitialspace: bool = False) -> list[str]:
    rows = csv.reader([line], delimiter=separator, strict=True, skipinitialspace=skipinitialspace)
    try:
        return next(rows, [])
    except csv.Error:
        raise SourceError(
            "the header line is not CSV", where=place, hint="a quote in it has no partner"
        ) from None
