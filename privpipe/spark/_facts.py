"""Column facts: what the catalog keeps of a run's columns, and what it answers about a table."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql.types import StructType

from privpipe.catalog import Catalog, ColumnRecord, RunRecord, current_run, lease_is_over
from privpipe.errors import NotProtected, UnsettledRun
from privpipe.kernels import key_fingerprint
from privpipe.keys import KeyRef
from privpipe.policy import LeafPlan, Plan, format_path, parse_path, settings_json
from privpipe.spark._leaves import leaf_type
from privpipe.spark._types import loosest, spark_type

__all__ = [
    "column_records",
    "facts_of",
    "held_keys",
    "is_of_column",
    "key_id_of",
    "lying_runs",
    "settings_text",
]


def is_of_column(fact: ColumnRecord, column: str) -> bool:
    """Whether a fact is of this column as a whole, and of no leaf of it."""
    path = parse_path(fact.path)
    return len(path) == 1 and str(path[0]).lower() == column.lower()


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
            primitive=leaf.primitive or "",
            scope=leaf.scope or "",
            key_id=key_id_of(leaf, refs),
            type=leaf.type,
            type_json=leaf_type(schema, leaf.path).json(),
            domain=leaf.domain,
            family=leaf.family,
            context=leaf.context,
            recorded_at=now,
            settings=settings_text(leaf),
        )
        for leaf in plan.leaves
    )


def key_id_of(leaf: LeafPlan, refs: Mapping[tuple[str, str], KeyRef]) -> int:
    """The id of the leaf's key: its keyset's primary, a sealing key's fingerprint, or 0."""
    if leaf.keyset is not None:
        return refs[leaf.keyset].key_id
    if leaf.protection == "seal" and leaf.file is not None:
        return key_fingerprint(leaf.file.text.encode())
    return 0


def settings_text(leaf: LeafPlan) -> str | None:
    """What the policy told the protection, as the catalog keeps it; None where it told nothing."""
    told = {} if leaf.settings is None else settings_json(leaf.settings)
    if leaf.file is not None:
        told["sha256"] = leaf.file.digest
    return json.dumps(told, sort_keys=True, ensure_ascii=False) if told else None


def facts_of(catalog: Catalog, target: str, version: int | None = None) -> tuple[ColumnRecord, ...]:
    """The facts in force for `target`, by path: as it is now, or as it was at `version`.

    Raises UnsettledRun where a run on it died before it was recorded, NotProtected where the
    catalog knows none.
    """
    runs = catalog.runs()
    dead = [
        run
        for run in runs
        if run.target == target and run.state == "PENDING" and lease_is_over(run, datetime.now(UTC))
    ]
    if dead:
        raise UnsettledRun(
            "a run on this table died before it was recorded",
            where=f"run {dead[0].run_id}",
            hint="run `privpipe catalog repair`",
        )
    maker = current_run((run for run in runs if _made_by(run, version)), target)
    recorded = () if maker is None else catalog.columns(target)
    own = [fact for fact in recorded if maker is not None and fact.run_uid == maker.run_uid]
    own.sort(key=lambda fact: fact.path)
    facts = tuple(_as_loose_as(fact, recorded) for fact in own)
    if not facts:
        raise NotProtected(
            "the catalog knows no protected column of this table",
            where=target,
            hint="`privpipe catalog tables` lists those it knows",
        )
    return facts


def _made_by(run: RunRecord, version: int | None) -> bool:
    """Whether the run may have made that version, or one before it."""
    return version is None or run.table_version is None or run.table_version <= version


def _as_loose_as(fact: ColumnRecord, recorded: Iterable[ColumnRecord]) -> ColumnRecord:
    """The fact with nulls inside its type wherever some run that wrote this column allowed them:
    what one run appended without, another may have written with."""
    told = {
        other.type_json
        for other in recorded
        if (other.path, other.type, other.context) == (fact.path, fact.type, fact.context)
    }
    if told <= {fact.type_json}:
        return fact
    kind = reduce(loosest, map(spark_type, sorted(told)), spark_type(fact.type_json))
    return replace(fact, type_json=kind.json())


def held_keys(
    runs: Iterable[RunRecord], recorded: Iterable[ColumnRecord], target: str
) -> dict[str, set[int]]:
    """The keys under which values of each column lie in the table: those of the run that last wrote
    it whole, and of all that were appended since."""
    since = lying_runs(run for run in runs if run.target == target)
    found: dict[str, set[int]] = defaultdict(set)
    for fact in recorded:
        if fact.run_uid in since:
            found[fact.path].add(fact.key_id)
    return found


def lying_runs(runs: Iterable[RunRecord], version: int | None = None) -> set[str]:
    """Of the runs on one table, the uids of those whose rows lie in it, now or at `version`: of the
    last that wrote it whole, and of all that appended since."""
    done = [run for run in runs if run.state == "COMMITTED" and _made_by(run, version)]
    whole = max((run.started_at for run in done if run.mode != "append"), default=None)
    return {run.run_uid for run in done if whole is None or run.started_at >= whole}
