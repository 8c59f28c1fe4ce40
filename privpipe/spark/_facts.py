"""Column facts: what the catalog keeps of a run's columns, and what it answers about a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pyspark.sql.types import StructType

from privpipe.catalog import Catalog, ColumnRecord, RunRecord, current_columns, lease_is_over
from privpipe.errors import NotProtected, UnsettledRun
from privpipe.keys import KeyRef
from privpipe.policy import Plan, format_path
from privpipe.spark._leaves import leaf_type

__all__ = ["column_records", "facts_of"]


def column_records(
    plan: Plan, run: RunRecord, refs: Mapping[tuple[str, str], KeyRef]
) -> tuple[ColumnRecord, ...]:
    """One fact a protected leaf. The source's exact types are kept as Spark's JSON."""
    schema = StructType.fromJson(json.loads(plan.schema_json))
    now = datetime.now(UTC)
    return tuple(
        ColumnRecord(
            run_uid=run.run_uid,
            run_id=run.run_id,
            table=plan.table,
            target=run.target,
            path=format_path(leaf.path),
            protection=leaf.protection,
            primitive=leaf.primitive,
            scope=leaf.scope,
            key_id=refs[leaf.scope, leaf.primitive].key_id,
            type=leaf.type,
            type_json=leaf_type(schema, leaf.path).json(),
            domain=leaf.domain,
            family=leaf.family,
            context=leaf.context,
            recorded_at=now,
        )
        for leaf in plan.leaves
    )


def facts_of(catalog: Catalog, target: str) -> tuple[ColumnRecord, ...]:
    """The facts in force for `target`, by path.

    Raises UnsettledRun where a run on it died before it was recorded, NotProtected where the
    catalog knows none.
    """
    dead = [
        run
        for run in catalog.runs()
        if run.target == target and run.state == "PENDING" and lease_is_over(run, datetime.now(UTC))
    ]
    if dead:
        raise UnsettledRun(
            "a run on this table died before it was recorded",
            where=f"run {dead[0].run_id}",
            hint="run `privpipe catalog repair`",
        )
    facts = current_columns(catalog, target)
    if not facts:
        raise NotProtected(
            "the catalog knows no protected column of this table",
            where=target,
            hint="`privpipe catalog tables` lists those it knows",
        )
    return facts
