"""Profiles of a source's columns: counts and forms of a sample, and no value.

Each value of the sample is grouped by on the executors and measured there by Spark's own
expressions. What reaches the driver are counts and lengths; what stands in the plan are names and
this file's own patterns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, get_args

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType, StructType

from privpipe.errors import UsageError
from privpipe.policy import Charset, Looks, Profile, format_path
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark._names import absolute_target
from privpipe.spark._session import build_session
from privpipe.spark._source import read_source
from privpipe.spark._types import policy_type

__all__ = ["open_session", "profile"]

SAMPLE = 100_000

_MOST = 0.95  # of the values must have a form for the column to look like it
_UNCOUNTED = frozenset(
    {"struct", "array", "map", "variant", "geometry", "geography", "interval", "void"}
)
_TEXT = frozenset({"string", "char", "varchar"})
_SEPARATORS = " -./()+:@_,'"

# In this order: the first that fits is what a column looks like.
_FORMS: Mapping[str, str] = {
    "ssn": r"^\d{3}-\d{2}-\d{4}$",
    "card": r"^[2-6]\d{3}([ -]?\d){8,15}$",
    "ip": r"^(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7})$",
    "date": r"^\d{4}-\d{2}-\d{2}([ T].*)?$",
    "email": r"^[^@\s]+@[^@\s]+\.[^@\s.]+$",
    "phone": r"^(\+|\(?\d+[ ()/.-])[\d ()/.-]{6,18}$",
    "zip": r"^\d{5}(-\d{4})?$",
}
_CHARSETS: Mapping[str, str] = {
    "digits": r"^[0-9]*$",
    "hex": r"^[0-9a-f]*$",
    "base36": r"^[0-9a-z]*$",
    "letters": r"^[A-Za-z]*$",
    "alphanumeric": r"^[0-9A-Za-z]*$",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    path: tuple[str, ...]
    kind: DataType

    @property
    def column(self) -> Column:
        below = self.path[1:]
        return reduce(lambda column, step: column[step], below, F.col(quoted(self.path[0])))


def profile(
    source: str | Path | DataFrame,
    *,
    sample: int = SAMPLE,
    columns: Sequence[str] = (),
    spark: SparkSession | None = None,
) -> tuple[Profile, ...]:
    """A profile of each column of `source`, and of each field of a struct, in their order.

    The first `sample` rows are read, once. `columns` (as a policy spells them; a struct stands for
    its fields) leaves the others out. Arrays and maps are taken as a whole.

    Raises: UsageError for a column that is not there; what reading the source raises.
    """
    if sample < 1:
        raise UsageError("a sample has at least one row", hint="leave --sample out for 100,000")
    if isinstance(source, DataFrame):
        df = source
    else:
        session = build_session() if spark is None else spark
        df = read_source(session, absolute_target(str(source), Path.cwd()))
    leaves = _wanted(list(_leaves(df.schema, ())), columns)
    with translated("profiling the source"):
        found = {row["at"]: row for row in _measured(df.limit(sample), leaves).collect()}
    return tuple(_profile(leaf, found.get(at)) for at, leaf in enumerate(leaves))


@contextmanager
def open_session(settings: Mapping[str, str] | None = None) -> Iterator[SparkSession]:
    """A session under privpipe's rules for work that needs no project; it ends with the block."""
    session = build_session(settings)
    try:
        yield session
    finally:
        session.stop()


def _leaves(kind: StructType, above: tuple[str, ...]) -> Iterator[_Leaf]:
    for field in kind.fields:
        path = (*above, field.name)
        if isinstance(field.dataType, StructType) and field.dataType.fields:
            yield from _leaves(field.dataType, path)
        else:
            yield _Leaf(path=path, kind=field.dataType)


def _wanted(leaves: list[_Leaf], columns: Sequence[str]) -> list[_Leaf]:
    if not columns:
        return leaves
    kept = set()
    for name in columns:
        hits = {leaf.path for leaf in leaves if name in _spellings(leaf.path)}
        if not hits:
            places = ", ".join(format_path(leaf.path) for leaf in leaves[:20])
            raise UsageError(f"the source has no column {name}", hint=f"it has: {places}")
        kept |= hits
    return [leaf for leaf in leaves if leaf.path in kept]


def _spellings(path: tuple[str, ...]) -> set[str]:
    return {format_path(path[:end]) for end in range(1, len(path) + 1)}


def _measured(df: DataFrame, leaves: list[_Leaf]) -> DataFrame:
    """One row a leaf. Equal values are brought together first, so each is measured once."""
    cells = F.array(*(_cell(at, leaf) for at, leaf in enumerate(leaves)))
    each = df.select(F.inline(cells))
    groups = each.groupBy("at", "value", "valid").agg(F.count(F.lit(1)).alias("n"))
    bare = F.regexp_replace("value", "[" + "".join(f"\\{c}" for c in _SEPARATORS) + "]", "")
    marks = {f"form_{name}": F.col("value").rlike(form) for name, form in _FORMS.items()}
    marks["form_card"] &= F.call_function("luhn_check", F.regexp_replace("value", "[ -]", ""))
    marks |= {f"set_{name}": bare.rlike(form) for name, form in _CHARSETS.items()}
    marks |= {f"sep_{at}": F.contains("value", F.lit(c)) for at, c in enumerate(_SEPARATORS)}
    there = F.col("valid")
    return groups.groupBy("at").agg(
        F.sum("n").alias("rows"),
        F.sum(F.when(there, F.col("n")).otherwise(0)).alias("values"),
        F.count_if(there).alias("distinct"),
        F.max(F.when(there, F.col("n"))).alias("top"),
        F.min(F.length("value")).alias("min_length"),
        F.max(F.length("value")).alias("max_length"),
        F.min(F.length(F.regexp_replace("value", "[^0-9A-Za-z]", ""))).alias("letters"),
        *(F.sum(F.when(mark, F.col("n")).otherwise(0)).alias(n) for n, mark in marks.items()),
    )


def _cell(at: int, leaf: _Leaf) -> Column:
    kind = policy_type(leaf.kind).kind
    if kind in _UNCOUNTED:
        value = F.lit(None).cast(StringType())
    elif kind == "binary":
        value = F.base64(leaf.column)
    else:
        value = leaf.column.cast(StringType())
    return F.struct(
        F.lit(at).alias("at"), value.alias("value"), leaf.column.isNotNull().alias("valid")
    )


def _profile(leaf: _Leaf, row: Row | None) -> Profile:
    told = policy_type(leaf.kind)
    facts: dict[str, Any] = {"rows": 0, "nulls": 0}
    if row is not None:
        facts = {"rows": row["rows"], "nulls": row["rows"] - row["values"]}
        if told.kind not in _UNCOUNTED:
            facts |= {"distinct": row["distinct"], "top": row["top"]}
        if told.kind in _TEXT and row["values"]:
            facts |= _form_of(row)
    return Profile(path=format_path(leaf.path), kind=told.kind, type=told.text, **facts)


def _form_of(row: Row) -> dict[str, Any]:
    values = row["values"]
    charset: Charset = next(
        (name for name in get_args(Charset) if name != "text" and row[f"set_{name}"] == values),
        "text",
    )
    separators = "".join(c for at, c in enumerate(_SEPARATORS) if row[f"sep_{at}"])
    return {
        "min_length": row["min_length"],
        "max_length": row["max_length"],
        "letters": row["letters"],
        "charset": charset,
        "separators": separators if charset != "text" else "",
        "looks": _looks(row),
    }


def _looks(row: Row) -> Looks | None:
    values = row["values"]
    looks: Looks
    for looks in ("ssn", "card", "ip", "date", "email", "phone", "zip"):
        unique = row["distinct"] >= 0.98 * values and values > 20
        if row[f"form_{looks}"] >= _MOST * values and not (looks == "zip" and unique):
            return looks
    return None
