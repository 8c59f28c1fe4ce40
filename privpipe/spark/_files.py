"""The files beneath a path, as Spark sees them: local, or on any file system it reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from privpipe.errors import SchemaError, SourceError
from privpipe.spark._errors import condition_of

_FORMATS = {
    "parquet": "parquet",
    "orc": "orc",
    "avro": "avro",
    "csv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
}
# The reader puts a row that it could not read here.
CORRUPT = "_privpipe_malformed_row"
_SUFFIX = re.compile(
    r"\.(parquet|orc|avro|(?:csv|json|jsonl|ndjson)(?=(?:\.(?:gz|bz2))?$))", re.IGNORECASE
)
_KNOWN = ".parquet .csv .json .avro .orc (.csv.gz and .json.gz too), or a Delta folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of one source: what the user wrote, and every file's own path.

    `partitions` are the columns that folders name: `zip` of `people/zip=02134/part-0.csv`.
    """

    source: str
    paths: tuple[str, ...]
    partitions: tuple[str, ...] = ()
    format: str


def has_format(path: str) -> bool:
    """Whether a path ends as one of the formats' files do."""
    return _format(path) is not None


def list_files(spark: SparkSession, source: str) -> Files:
    """The data files at `source` (a file, folder or glob) and their one format.

    Hidden files do not count.

    Raises: SourceError for nothing at that path, no files, or no one format that is known.
    """
    try:
        found = _listing(spark, source)
        paths = sorted(unquote(path) for path in found.inputFiles())
    except (PySparkException, Py4JError) as error:
        condition = condition_of(error)
        if condition == "PATH_NOT_FOUND":
            raise SourceError(
                "there is nothing at this path", where=source, hint="check the path"
            ) from None
        raise SourceError(
            f"the path cannot be listed ({condition})",
            where=source,
            hint="check its spelling, who may read it, that its folders are one table, and that "
            "this session has the storage's jars",
        ) from None
    return Files(
        source=source,
        paths=tuple(map(literal_path, paths)),
        # What the reader of whole files adds to its own four columns comes from folders.
        partitions=tuple(found.columns[4:]),
        format=_one_format(source, paths),
    )


def is_delta(spark: SparkSession, source: str) -> bool:
    """Whether a folder is a Delta table."""
    try:
        return bool(_listing(spark, f"{source.rstrip('/')}/_delta_log").inputFiles())
    except (PySparkException, Py4JError):
        return False


def _listing(spark: SparkSession, source: str) -> DataFrame:
    return spark.read.format("binaryFile").load(source)


def _one_format(source: str, paths: list[str]) -> str:
    if not paths:
        raise SourceError("the folder holds no data files", where=source, hint="check the path")
    formats = Counter(_format(path) for path in paths)
    if len(formats) > 1:
        names = sorted(name or "unknown" for name in formats)
        raise SourceError(
            f"its files are of several formats: {', '.join(names)}",
            where=source,
            hint="name the files of one format, with a pattern such as `folder/*.csv`",
        )
    (found,) = formats
    if found is None:
        raise SourceError(
            "the format is not known by its name", where=source, hint=f"a source is {_KNOWN}"
        )
    return found


def distinct_names(names: Sequence[str], place: str) -> None:
    """Raises SchemaError naming the columns that are there twice, or differ in case alone."""
    seen = Counter(name.lower() for name in names)
    twice = [name for name in names if seen[name.lower()] > 1]
    if twice:
        raise SchemaError(
            f"columns with the same name, or that differ in case alone: {', '.join(twice)}",
            where=place,
            hint="rename them in the source",
        )
    if CORRUPT in map(str.lower, names):
        raise SchemaError(
            "this name is privpipe's own while a text file is read",
            where=f"{place} column {CORRUPT}",
            hint="rename it in the source",
        )


def _format(path: str) -> str | None:
    found = _SUFFIX.search(path.rstrip("/").rpartition("/")[2])
    return _FORMATS[found.group(1).lower()] if found else None


def literal_path(path: str) -> str:
    """A path that Spark takes as it stands, with no pattern in it."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)
