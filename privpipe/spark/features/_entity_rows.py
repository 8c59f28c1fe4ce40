"""The pass over events and moments: one shuffle by entity, and all windows of one in one place.

What is shuffled are entities as they are stored, times, and the columns that figures are of, which
Spark writes to its shuffle files as it does for any job: encrypted only where
`spark.io.encryption.enabled` and network encryption are. A worker holds the rows of some entities,
and of one entity all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType

from privpipe.features import WindowPlan, entity_starts, window_type
from privpipe.spark._lips import sealed_lips
from privpipe.spark._types import arrow_type
from privpipe.spark.features._entity_source import EntitySource
from privpipe.spark.features._times import months_before

__all__ = ["entity_rows"]

CHUNK_ROWS = 1 << 18
OUT_ROWS = 20_000

Batches: TypeAlias = Iterator[pa.RecordBatch]


def entity_rows(source: EntitySource) -> DataFrame:
    """A row of features for each moment, lazily; its columns are those of the spec, in its order.

    Left out are events and labels that have no entity or no time. The rows are the same whatever
    the order and the parts in which events come.
    """
    spec, df = source.spec, source.events
    if source.labels is None:
        df = df.withColumn("event", F.lit(True))
    else:
        labels = source.labels.withColumn("event", F.lit(False))
        df = df.withColumn("event", F.lit(True)).unionByName(labels, allowMissingColumns=True)
    asof, kind = F.col("asof"), source.time_type
    months = {f"m{at}": each.months for at, each in enumerate(spec.windows) if each.months}
    if months:
        ends = {"month": 0, **months}
        df = df.withColumns({name: months_before(asof, n, kind) for name, n in ends.items()})
    df = df.where(F.col("entity").isNotNull() & F.col("time").isNotNull())
    together = df.repartition(F.col("entity")).sortWithinPartitions("entity", "time")
    plan = WindowPlan(windows=spec.windows, aggregates=spec.aggregates, columns=source.columns)
    schema = _schema(source)
    types = [arrow_type(field.dataType) for field in schema]
    made = together.mapInArrow(_folder(plan, types), schema)
    names = [*spec.keys, *(name for name, _, _ in spec.figures)]
    return made.select(
        *(F.col(field.name).alias(name) for field, name in zip(schema, names, strict=True))
    )


def _schema(source: EntitySource) -> StructType:
    """By place, since pyspark reads a name that has a dot as a path."""
    events = source.events.schema
    kinds = [events["entity"].dataType, source.time_type]
    for _, each, _ in source.spec.figures:
        column = None
        if each.column is not None:
            column = arrow_type(events[f"c{source.columns.index(each.column)}"].dataType)
        kinds.append(from_arrow_type(window_type(each.kind, column)))
    return StructType([StructField(f"f{at}", kind) for at, kind in enumerate(kinds)])


def _folder(plan: WindowPlan, types: Sequence[pa.DataType]) -> Callable[[Batches], Batches]:
    def fold(batches: Batches) -> Batches:
        for rows in _whole_entities(batches):
            with sealed_lips("of the windows"):
                made = [
                    column if column.type == kind else column.cast(kind)
                    for column, kind in zip(plan.figures(rows), types, strict=True)
                ]
                told = pa.RecordBatch.from_arrays(made, [f"f{at}" for at in range(len(made))])
            for start in range(0, told.num_rows, OUT_ROWS):
                yield told.slice(start, OUT_ROWS)

    return fold


def _whole_entities(batches: Batches) -> Batches:
    """Some batches at a time, cut where an entity ends."""
    held: list[pa.RecordBatch] = []
    rows, enough = 0, CHUNK_ROWS
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows < enough:
            continue
        whole = pa.concat_batches(held)
        cut = int(entity_starts(whole.column("entity"))[-1])
        if cut:
            yield whole.slice(0, cut)
        # An entity that fills a chunk is looked at again when there is twice as much of it.
        held, rows = [whole.slice(cut)], whole.num_rows - cut
        enough = max(CHUNK_ROWS, 2 * rows)
    if rows:
        yield pa.concat_batches(held)
