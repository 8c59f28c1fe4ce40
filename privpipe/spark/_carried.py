"""Protected columns that a table has from another as they are stored there.

Their values keep the context and the key of the table that they come from, so the new table's facts
of them are that table's: they open there, are rekeyed there, and hold their keys in use there too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.catalog import ColumnRecord, RunRecord
from privpipe.policy import parse_path
from privpipe.spark._labels import labels_for
from privpipe.spark._leaves import quoted

__all__ = ["carried_differences", "carried_names", "carried_records", "labelled"]

_FACTS = (
    "protection", "primitive", "scope", "key_id", "type", "context", "domain", "family", "settings"
)  # fmt: skip


def carried_names(carried: Sequence[ColumnRecord]) -> frozenset[str]:
    """The columns, in lower case."""
    return frozenset(str(parse_path(fact.path)[0]).lower() for fact in carried)


def carried_records(carried: Sequence[ColumnRecord], run: RunRecord) -> Iterator[ColumnRecord]:
    """The facts as those of what `run` writes."""
    now = datetime.now(UTC)
    for fact in carried:
        yield replace(
            fact,
            run_uid=run.run_uid,
            run_id=run.run_id,
            table=run.table,
            target=run.target,
            recorded_at=now,
        )


def labelled(df: DataFrame, carried: Sequence[ColumnRecord]) -> DataFrame:
    """`df`, its carried columns with the metadata that goes with their facts."""
    labels = {str(parse_path(fact.path)[0]).lower(): labels_for(fact) for fact in carried}
    return df.select(
        *(
            F.col(quoted(field.name)).alias(
                field.name, metadata={**field.metadata, **labels.get(field.name.lower(), {})}
            )
            for field in df.schema.fields
        )
    )


def carried_differences(
    carried: Sequence[ColumnRecord], there: Mapping[str, ColumnRecord]
) -> Iterator[str]:
    """What keeps them from being appended to the columns of these facts, by path."""
    for fact in carried:
        known = there.get(fact.path)
        if known is None:
            yield f"{fact.path}: not protected there, {fact.protection} here"
            continue
        for name in _FACTS:
            ours, theirs = getattr(fact, name) or None, getattr(known, name) or None
            if ours != theirs:
                yield f"{fact.path}: {name} {theirs or 'none'} there, {ours or 'none'} here"
