"""Targets: what stands where a run would write, and whether it may."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import unquote, urlparse

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import ParseException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from privpipe.catalog import TABLES
from privpipe.errors import TargetError
from privpipe.spark._leaves import quoted
from privpipe.spark._names import delta_table, is_path
from privpipe.spark._newest import newest_version

__all__ = [
    "Target",
    "checked_mode",
    "identifier",
    "inspect_target",
    "is_bare_log",
    "local_path",
    "may_write",
    "refuse_alias",
    "refuse_catalog",
    "refuse_forgotten_name",
    "refuse_no_place",
    "refuse_read_from",
    "refuse_same_place",
]

MODES = ("error", "overwrite", "append")

State = Literal["absent", "delta", "leavings", "other"]

# `catalog.schema.table`: a name with two dots is looked up in a catalog of its own.
_CATALOG_DOTS = 2

_DETAIL = ("location", "properties", "partitionColumns", "clusteringColumns")

# A data file as Delta names it, and its checksum.
_DATA_FILE = r"\.?part-\d{5}-[0-9a-f-]{36}[.-]c\d{3}(\.\w+)*\.parquet(\.crc)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What stands at a target: nothing, a Delta table, or something else.

    "leavings" are data files that no commit names: a write that died leaves them, and so does one
    that is still under way.
    """

    name: str
    state: State
    location: str | None = None
    version: int | None = None
    schema: StructType | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """The table's own properties, which an overwrite keeps"""
    partitions: tuple[str, ...] = ()
    clustering: tuple[str, ...] = ()


def identifier(target: str) -> str:
    """The target as Spark's SQL and `writeTo` name it."""
    return f"delta.{quoted(target)}" if is_path(target) else target


def inspect_target(spark: SparkSession, target: str) -> Target:
    """Looks at what stands at `target`, a path or a name, and changes nothing."""
    try:
        table = delta_table(spark, target)
        version = newest_version(spark, target)
        detail = table.detail().select(*_DETAIL).first()
        frame = table.toDF()
    except (PySparkException, Py4JError):
        found = _files_at(spark, target) if is_path(target) else _named(spark, target)
        return Target(name=target, state=found)
    return Target(
        name=target,
        state="delta",
        location=None if detail is None else detail["location"],
        version=version,
        schema=frame.schema,
        settings={} if detail is None else _settings(detail["properties"] or {}),
        partitions=() if detail is None else tuple(detail["partitionColumns"] or ()),
        clustering=() if detail is None else tuple(detail["clusteringColumns"] or ()),
    )


# What belongs to the columns and features of the table that was, or is ours to set.
_NOT_KEPT = re.compile(
    r"privpipe\.|delta\.(columnMapping|dataSkipping|feature|min(Reader|Writer)|rowTracking"
    r"|enableRowTracking|inCommitTimestamp|enableInCommitTimestamps|universalFormat|enableIceberg"
    r"|clustering|coordinatedCommits|identity|generation|constraints)"
)


def _settings(properties: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if not _NOT_KEPT.match(name)}


def checked_mode(mode: str) -> str:
    """A mode that a caller may ask for. Raises TargetError."""
    if mode not in MODES:
        raise TargetError(f"unknown mode {mode!r}", hint=f"one of {', '.join(MODES)}")
    return mode


def may_write(target: Target, mode: str, *, ours: bool = False) -> None:
    """Refuses a mode that does not fit what is there. `ours`: leavings are of our own writes."""
    if target.state == "other" or (target.state == "leavings" and not ours):
        raise TargetError(
            "something that is no Delta table is there",
            where=target.name,
            hint="choose another target; privpipe overwrites Delta tables alone",
        )
    if target.state == "delta" and mode == "error":
        raise TargetError(
            "the target exists",
            where=target.name,
            hint="choose another target, or --mode append or overwrite",
        )


def refuse_same_place(spark: SparkSession, source: str, target: str) -> None:
    """Refuses a target that is the source, holds it, or lies in it."""
    if _overlap(spark, source, target):
        raise TargetError(
            "the target is the source, or one lies within the other",
            where=target,
            hint="write to a folder of its own",
        )


def refuse_read_from(spark: SparkSession, df: DataFrame, target: str) -> None:
    """Refuses a target that `df` reads files of, by whatever pattern or view it comes to them.

    What the source reads is listed only where something lies at the target.
    """
    place, local = _place(spark, target), local_path(spark, target)
    if place is None or (local is not None and not local.exists()):
        return
    files = (_place(spark, unquote(file)) for file in df.inputFiles())
    if any(file is not None and place in file.parents for file in files):
        raise TargetError(
            "the source reads files of the target",
            where=target,
            hint="write to a folder of its own",
        )


def refuse_alias(spark: SparkSession, target: Target, others: Iterable[str]) -> None:
    """Refuses a target that the catalog knows by another name, or that lies in or around another
    table of its own: what is recorded of the one would not hold for the other."""
    for other in others:
        if other == target.name or (not is_path(other) and target.state != "delta"):
            continue
        if is_path(other) and other.startswith("/") and not Path(other, "_delta_log").exists():
            continue  # a table that was taken away
        if _overlap(spark, other, target.location or target.name):
            raise TargetError(
                f"the catalog knows a table there as {other}",
                where=target.name,
                hint="name it so; or write to a folder of its own",
            )


def refuse_catalog(spark: SparkSession, catalog: str, target: str) -> None:
    """Refuses a target that is privpipe's catalog, holds it, or lies in it: to overwrite one of
    its tables, or to VACUUM a table around it, is to lose every key."""
    schema = catalog.removeprefix("schema:")
    places = [catalog] if schema == catalog else [f"{schema}.{name}" for name in TABLES]
    if any(_overlap(spark, place, target) for place in places):
        raise TargetError(
            "the target is privpipe's catalog, or one lies within the other",
            where=target,
            hint="write to a folder of its own",
        )


def refuse_no_place(spark: SparkSession, target: str) -> None:
    """Refuses a target that is neither a path nor a name that a table can have."""
    if is_path(target):
        return
    try:
        spark.catalog.tableExists(target)
    except ParseException:
        raise TargetError(
            "this is neither a path nor a table's name",
            where=target,
            hint=f"a path has a slash: ./{target}",
        ) from None
    schema = target.rpartition(".")[0]
    if schema and "`" not in target and not spark.catalog.databaseExists(schema):
        raise TargetError(
            f"Spark's catalog has no schema {schema}",
            where=target,
            hint=f"make the schema first; or, for a path, write ./{target}",
        )


def refuse_forgotten_name(spark: SparkSession, target: str) -> None:
    """Refuses a table's name that Spark's in-memory catalog would forget with the session: the
    table could not be found again, and its files would stand in the way of the next one."""
    kind = spark.conf.get("spark.sql.catalogImplementation", "in-memory")
    catalog = spark.conf.get("spark.sql.catalog.spark_catalog", "") or ""
    plain = catalog.endswith(".DeltaCatalog")
    if kind == "in-memory" and plain and not is_path(target) and target.count(".") < _CATALOG_DOTS:
        raise TargetError(
            "Spark's in-memory catalog would forget this name with the session",
            where=target,
            hint=f"for a path, write ./{target}; for names that last, set "
            "spark.sql.catalogImplementation to hive in the project file",
        )


def _overlap(spark: SparkSession, one: str, other: str) -> bool:
    ours, theirs = (_place(spark, name) for name in (one, other))
    if ours is None or theirs is None:
        return False
    return ours == theirs or ours in theirs.parents or theirs in ours.parents


def _place(spark: SparkSession, name: str) -> Path | None:
    location: str | None = name
    if not is_path(name):
        try:
            detail = DeltaTable.forName(spark, name).detail().select("location").first()
        except (PySparkException, Py4JError):
            return None
        location = None if detail is None else detail["location"]
    if location is None:
        return None
    url = urlparse(location)
    if url.scheme in ("", "file"):
        return Path(unquote(_without_scheme(location)) if url.scheme else location).resolve()
    return Path(f"/{url.scheme}/{url.netloc}{url.path}")


def local_path(spark: SparkSession, path: str) -> Path | None:
    """A path on a disk of this machine; None for others and for a table's name. Without a scheme a
    path lies where Hadoop's settings say."""
    if not is_path(path):
        return None
    url, context = urlparse(path), cast("Any", spark.sparkContext)
    scheme = (
        url.scheme
        or str(
            context._jsc.hadoopConfiguration().get("fs.defaultFS", "file:///")  # noqa: SLF001
        ).partition(":")[0]
    )
    return Path(_without_scheme(path) if url.scheme else path) if scheme == "file" else None


def _without_scheme(path: str) -> str:
    """What follows `file:` as it stands, as Spark reads it: a `#` or `?` ends no name of a file."""
    return "/" + path.partition(":")[2].lstrip("/")


def _files_at(spark: SparkSession, target: str) -> State:
    path = local_path(spark, target)
    if path is not None:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return "absent"
        return "leavings" if path.is_dir() and all(_left(path)) else "other"
    try:
        files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(target)
        if files.select("path").isEmpty():
            return "absent"
        data = F.col("path").rlike(f"/{_DATA_FILE}$")
        # Spark's listings leave out `_delta_log`, so it is asked for by name.
        whole = files.where(~data).isEmpty() and not _holds_files(spark, f"{target}/_delta_log")
    except (PySparkException, Py4JError):
        return "absent"
    return "leavings" if whole else "other"


def is_bare_log(spark: SparkSession, place: str) -> bool:
    """Whether nothing stands at the path `place` but the beginnings of a Delta log: no data, no
    commit."""
    folder = local_path(spark, place)
    if folder is not None:
        try:
            names = [found.name for found in folder.iterdir()]
        except OSError:
            return False
        return names == ["_delta_log"] and all(_left(folder))
    return not (_holds_files(spark, place) or _holds_files(spark, f"{place}/_delta_log"))


def _left(folder: Path) -> Iterator[bool]:
    """For each thing in `folder`, whether a Delta write that never committed leaves such a thing:
    data files, and a log in which nothing but temporary files stand."""
    for found in folder.iterdir():
        if found.name == "_delta_log":
            yield all(entry.name.startswith((".", "_")) for entry in found.iterdir())
        else:
            yield found.is_file() and re.fullmatch(_DATA_FILE, found.name) is not None


def _holds_files(spark: SparkSession, folder: str) -> bool:
    try:
        return not spark.read.format("binaryFile").load(folder).select("path").isEmpty()
    except (PySparkException, Py4JError):
        return False


def _named(spark: SparkSession, target: str) -> State:
    try:
        return "other" if spark.catalog.tableExists(target) else "absent"
    except (PySparkException, Py4JError):
        return "absent"
