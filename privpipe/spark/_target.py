"""Targets: what stands where a run would write, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlparse

from delta import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from privpipe.errors import TargetError
from privpipe.spark._leaves import quoted
from privpipe.spark._names import delta_table, is_path

__all__ = ["Target", "identifier", "inspect_target", "may_write", "refuse_same_place"]

MODES = ("error", "overwrite", "append")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What stands at a target: nothing, a Delta table, or something else."""

    name: str
    state: Literal["absent", "delta", "other"]
    location: str | None = None
    version: int | None = None
    schema: StructType | None = None


def identifier(target: str) -> str:
    """The target as Spark's SQL and `writeTo` name it."""
    return f"delta.{quoted(target)}" if is_path(target) else target


def inspect_target(spark: SparkSession, target: str) -> Target:
    """Looks at what stands at `target`, a path or a name, and changes nothing."""
    try:
        table = delta_table(spark, target)
        latest = table.history(1).select("version").first()
        detail = table.detail().select("location").first()
        frame = table.toDF()
    except (PySparkException, Py4JError):
        taken = _holds_files(spark, target) if is_path(target) else _named(spark, target)
        return Target(name=target, state="other" if taken else "absent")
    return Target(
        name=target,
        state="delta",
        location=None if detail is None else detail["location"],
        version=None if latest is None else latest["version"],
        schema=frame.schema,
    )


def may_write(target: Target, mode: str) -> None:
    """Refuses a mode that does not fit what is there."""
    if mode not in MODES:
        raise TargetError(f"unknown mode {mode!r}", hint=f"one of {', '.join(MODES)}")
    if target.state == "other":
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
    ours, theirs = (_place(spark, name) for name in (source, target))
    if ours is None or theirs is None:
        return
    near = ours == theirs or ours in theirs.parents or theirs in ours.parents
    if near:
        raise TargetError(
            "the target is the source, or one lies within the other",
            where=target,
            hint="write to a folder of its own",
        )


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
        return Path(unquote(url.path) if url.scheme else location).resolve()
    return Path(f"/{url.scheme}/{url.netloc}{url.path}")


def _holds_files(spark: SparkSession, target: str) -> bool:
    url = urlparse(target)
    if url.scheme in ("", "file"):
        path = Path(url.path if url.scheme else target)
        return path.is_file() or (path.is_dir() and any(path.iterdir()))
    try:
        files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(target)
        return not files.select("path").isEmpty()
    except (PySparkException, Py4JError):
        return False


def _named(spark: SparkSession, target: str) -> bool:
    try:
        return spark.catalog.tableExists(target)
    except (PySparkException, Py4JError):
        return False
