"""`inspect`: what the text and binary columns of a table seem to hold, told with no key.

A worker looks at the values and gives back codes and counts; no value leaves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StringType, StructType

from privpipe import arrow
from privpipe.arrow import Path as ColumnPath
from privpipe.arrow import Step
from privpipe.errors import InvalidValue, SchemaError, UsageError
from privpipe.kernels import classify, parse_k2, recognize
from privpipe.policy import format_path
from privpipe.spark._errors import translated
from privpipe.spark._intervals import carried_type, to_months
from privpipe.spark._leaves import leaf_type, quoted
from privpipe.spark._lips import sealed_lips
from privpipe.spark._names import absolute_target
from privpipe.spark._own_session import session_or_own
from privpipe.spark._source import read_source
from privpipe.spark._types import arrow_type

__all__ = ["Kind", "Seen", "inspect"]

SAMPLE = 10_000

_MOST_NAMES = 16
_FOUND = (
    "leaf int, kind string, count bigint, key_ids array<bigint>, distinct bigint, "
    "names array<string>"
)
_K2 = 4
"""The code that `classify` gives k2 fields"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """So many values that seem to be one thing.

    `kind` is `plain`, `tink`, `tink base64`, `fernet`, `k2`, `dlp surrogate` or `vault transit`;
    `key_ids` are Tink's, `names` those of Kryptonite's keysets, 16 at most. `doubtful`: nearly each
    value has a key id of its own, so that these are most likely other bytes.
    """

    kind: str
    count: int
    key_ids: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One text or binary leaf of a table: its path, its Spark type, and what it seems to hold, the
    most frequent first. Without kinds it holds nulls alone; `looked` is False for a column that no
    Python worker takes."""

    column: str
    type: str
    kinds: tuple[Kind, ...]
    looked: bool = True


def inspect(
    source: str | Path | DataFrame, *, spark: SparkSession | None = None, sample: int = SAMPLE
) -> tuple[Seen, ...]:
    """What each string or binary leaf of `source` (a path, a name or a DataFrame) seems to be.

    First bytes and lengths are looked at, of the first `sample` rows that Spark comes upon: any
    value may begin like a ciphertext, and RAW ciphertexts have no mark, so they pass for plain.
    Without `spark`, a session is built for it.
    """
    if sample < 1:
        raise UsageError("a sample has at least one row", where=f"sample={sample}")
    if isinstance(source, DataFrame):
        return _inspected(source, sample)
    with session_or_own(spark) as session:
        return _inspected(read_source(session, absolute_target(str(source), Path.cwd())), sample)


def _inspected(df: DataFrame, sample: int) -> tuple[Seen, ...]:
    leaves = [path for field in df.schema.fields for path in _leaves((field.name,), field.dataType)]
    takes = {field.name for field in df.schema.fields if _takes(field.dataType)}
    chosen = {path: at for at, path in enumerate(leaves) if path[0] in takes}
    found: dict[int, list[Any]] = {}
    if chosen:
        kinds = {field.name: field.dataType for field in df.schema.fields}
        names = list(dict.fromkeys(str(path[0]) for path in chosen))
        carried = [to_months(F.col(quoted(name)), kinds[name])[0].alias(name) for name in names]
        looked = df.select(*carried).limit(sample).mapInArrow(_look(tuple(chosen.items())), _FOUND)
        with translated("looking at the sample"):
            for row in looked.collect():
                found.setdefault(row.leaf, []).append(row)
    return tuple(
        Seen(
            column=format_path(path),
            type=leaf_type(df.schema, path).simpleString(),
            kinds=_merged(found.get(at, ())),
            looked=path in chosen,
        )
        for at, path in enumerate(leaves)
    )


def _leaves(path: ColumnPath, kind: DataType) -> Iterator[ColumnPath]:
    if isinstance(kind, (StringType, BinaryType)):
        yield path
    elif isinstance(kind, StructType):
        for field in kind.fields:
            yield from _leaves((*path, field.name), field.dataType)
    elif isinstance(kind, ArrayType):
        yield from _leaves((*path, Step.ELEMENT), kind.elementType)
    elif isinstance(kind, MapType):
        yield from _leaves((*path, Step.VALUES), kind.valueType)


def _takes(kind: DataType) -> bool:
    try:
        arrow_type(carried_type(kind))
    except SchemaError:
        return False
    return True


def _look(leaves: tuple[tuple[ColumnPath, int], ...]) -> Any:
    """What runs on an executor: each batch becomes a row for each leaf and kind."""

    def look(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        schema = pa.schema(
            [
                ("leaf", pa.int32()),
                ("kind", pa.string()),
                ("count", pa.int64()),
                ("key_ids", pa.list_(pa.int64())),
                ("distinct", pa.int64()),
                ("names", pa.list_(pa.string())),
            ]
        )
        for batch in batches:
            rows: list[dict[str, Any]] = []
            for path, at in leaves:
                with sealed_lips(format_path(path)):
                    column = batch.column(batch.schema.get_field_index(str(path[0])))
                    rows += [{"leaf": at, **each} for each in _kinds(arrow.leaf(column, path[1:]))]
            yield pa.RecordBatch.from_pylist(rows, schema)

    return look


def _kinds(values: pa.Array) -> list[dict[str, Any]]:
    return [
        {
            "kind": found.kind,
            "count": found.count,
            "key_ids": list(found.key_ids),
            "distinct": found.distinct_keys,
            "names": _names(values) if found.kind == "k2" else [],
        }
        for found in recognize(values)
    ]


def _names(values: pa.Array) -> list[str]:
    """The keysets that k2 fields name; none where they cannot be taken apart."""
    fields = values.filter(pc.equal(classify(values), _K2))
    try:
        names = parse_k2(fields).key_ids.dictionary.to_pylist()
    except InvalidValue:
        return []
    return sorted(name for name in names if name.isprintable())[:_MOST_NAMES]


def _merged(rows: Iterable[Any]) -> tuple[Kind, ...]:
    kinds: dict[str, list[Any]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(row)
    found = []
    for kind, own in kinds.items():
        count = sum(row["count"] for row in own)
        key_ids = dict.fromkeys(each for row in own for each in row["key_ids"])
        distinct = max(len(key_ids), *(row["distinct"] for row in own))
        names = sorted({each for row in own for each in row["names"]})
        found.append(
            Kind(
                kind=kind,
                count=count,
                key_ids=tuple(key_ids)[:_MOST_NAMES],
                names=tuple(names[:_MOST_NAMES]),
                doubtful=distinct > 1 and 2 * distinct > count,
            )
        )
    return tuple(sorted(found, key=lambda each: -each.count))
