"""The commit of the rows that are set aside, in a run of their own before the target's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from privpipe.errors import AppendMismatch, InternalError
from privpipe.kernels import AesCmac
from privpipe.keys import KeyRef, open_ref
from privpipe.policy import Plan
from privpipe.spark._admission import Request
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark._output import beside
from privpipe.spark._places_read import places_told
from privpipe.spark._prepared import Planned
from privpipe.spark._protect import key_refs, protect
from privpipe.spark._quarantine import quarantine_plan, sets_aside, whole, with_run
from privpipe.spark._release import Run, carry_out
from privpipe.spark._types import policy_type, table_schema
from privpipe.spark._workspace import Workspace

__all__ = ["set_aside", "with_set_aside"]

_MOST_TABLES = 100
_SPATIAL = {"geometry", "geography"}
_NESTED = {"struct", "array", "map", "variant"} | _SPATIAL


def set_aside(
    work: Workspace, bad: DataFrame, plan: Plan, request: Request, attempt: str
) -> Run | None:
    """Commits the rows `bad` to the quarantine table beside the target; None where there are none.

    The run bears the id of the one that they were left out of, and a tag of what they hold: the
    same rows are committed once, however often that one is repeated; and where the source has
    changed since, they are others and are committed too. Rows may come twice, and none is lost.
    Of what is sealed, no tag may tell who holds the other keys: `attempt` is the tag then.
    """
    rows = whole(bad, plan)
    sealed = any(leaf.protection == "seal" for leaf in plan.leaves)
    with translated("looking for values that their protection cannot take"):
        tag = (None if rows.isEmpty() else attempt) if sealed else _tag(rows, _tag_key(work, plan))
    if tag is None:
        return None
    rows = with_run(rows, request.run_id)
    aside = quarantine_plan(plan, table_schema(rows.schema))
    aside = replace(aside, keys=work.keys, schema_json=rows.schema.json())
    own = replace(
        request,
        run_id=f"{request.run_id}.quarantine.{tag}",
        table=aside.table,
        mode="append",
        policy_hash=aside.policy_hash,
        policy=aside.policy_json,
    )
    reads = places_told(work, rows, request.source)
    prepared = Planned(plan=aside, keys=work.keys, make=lambda: protect(rows, aside), reads=reads)
    earlier = work.catalog.run(own.run_id)
    if earlier is not None:
        return carry_out(work, replace(own, target=earlier.target), lambda: prepared)
    for number in range(1, _MOST_TABLES):
        # A source that has other columns by now has another table of what was set aside.
        place = beside(request.target, f"_{number}" if number > 1 else "")
        try:
            return carry_out(work, replace(own, target=place), lambda: prepared)
        except AppendMismatch:
            continue
    return carry_out(work, replace(own, target=place), lambda: prepared)


def with_set_aside(work: Workspace, run: Run) -> Run:
    """A run that is repeated, with what it set aside when it was made, in the last attempt that
    did."""
    head = f"{run.run_id}.quarantine."
    done = [
        each
        for each in work.catalog.runs()
        if each.run_id.startswith(head)
        and each.state == "COMMITTED"
        and each.table == f"{run.table}_quarantine"
    ]
    if not done:
        return run
    last = max(done, key=lambda each: each.started_at)
    return replace(run, quarantined=last.rows or 0, quarantine=last.target)


def _tag_key(work: Workspace, plan: Plan) -> KeyRef:
    leaf = sets_aside(plan)[0]
    if leaf.keyset is None:
        raise InternalError("a token without its keyset", where=f"column {leaf.path[0]}")
    return key_refs(plan, work.keys)[leaf.keyset]


def _tag(rows: DataFrame, ref: KeyRef) -> str | None:
    """A PRF of all rows, whatever their order: in the catalog, and so with a key. None for none."""
    told = [each for name in rows.columns for each in _told(rows, name)]
    numbers = F.xxhash64(*told) if told else F.lit(0)
    found = rows.agg(F.count(F.lit(1)), F.sum(numbers.cast("decimal(38,0)"))).first()
    if found is None or not found[0]:
        return None
    prf = open_ref(ref).derived(b"pp1:quarantine", 32, "quarantine", AesCmac)
    return bytes(prf.compute(pa.array([f"{found[0]} {found[1]}".encode()]))[0].as_py()).hex()[:16]


def _told(rows: DataFrame, name: str) -> Iterator[Column]:
    """What is hashed of a column; nothing of one that Spark can neither hash nor write as JSON."""
    inside = {part.kind for part in policy_type(rows.schema[name].dataType).walk()}
    column = F.col(quoted(name))
    # A hash passes nulls over and runs through what is nested: that nothing moves from one place to
    # the next unnoticed, both are told apart.
    if not inside & _NESTED:
        yield from (F.isnull(column), column)
    elif not inside & ({"time"} | _SPATIAL):
        yield F.to_json(F.struct(column))
