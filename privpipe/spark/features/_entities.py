"""`features` of entities: from the spec to a protected table, with its run, and with no noise.

Whatever is refused is refused before anything is written. What a refusal or a warning tells of the
data are numbers of rows, and no value.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.errors import SpecError
from privpipe.features import EntitySpec, place_of, written_policy
from privpipe.policy import Plan, Policy, parse_path
from privpipe.spark._admission import Request
from privpipe.spark._errors import translated
from privpipe.spark._prepared import Planned
from privpipe.spark._protect import protect_in
from privpipe.spark._release import Run, carry_out
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._entity_rows import entity_rows
from privpipe.spark.features._entity_source import EntitySource, find_entities
from privpipe.spark.features._figure_lines import on_figure_lines
from privpipe.spark.features._held import held
from privpipe.spark.features._times import window_start

__all__ = ["entity_features"]

PlanTable = Callable[[Policy, DataFrame], Plan]


def entity_features(
    work: Workspace, spec: EntitySpec, request: Request, plan_table: PlanTable
) -> Run:
    """Carries out what `request` asks for; the same run id twice changes nothing.

    Raises: SpecError and SchemaError for what cannot be, DecryptionError where an encrypted value
    does not authenticate.
    """

    with on_figure_lines(spec, "of the windows, aggregates.{}"), ExitStack() as keeping:
        return carry_out(work, request, lambda: _prepared(work, spec, request, plan_table, keeping))


def _prepared(
    work: Workspace, spec: EntitySpec, request: Request, plan_table: PlanTable, keeping: ExitStack
) -> Planned:
    source = find_entities(work, spec, work.find(request.source))
    for table in source.tables:
        table.refuse_target(work, work.find(request.target))
    rows = entity_rows(source)
    output = plan_table(written_policy(source.spec), rows)
    warnings = [*output.warnings, *source.warnings, *_history(source)]
    copied = {str(parse_path(fact.path)[0]) for fact in source.carried}
    clear = [name for name in source.spec.clear if name not in copied]
    if clear:
        warnings.append(f"nothing hides {', '.join(clear)}: written in clear")

    whole = keeping.enter_context(held(rows, "looking back over the windows"))

    def make() -> DataFrame:
        return protect_in(whole(), output, work.catalog.location)

    return Planned(
        plan=replace(output, warnings=tuple(warnings)),
        keys=work.keys,
        make=make,
        carried=source.carried,
        reads={place: at for each in source.tables for place, at in each.reads(work).items()},
    )


def _history(source: EntitySource) -> list[str]:
    """Warns of what is left out, and of windows that reach back beyond the first event.

    Numbers alone leave the engine: a time in a plan would be a value in clear.
    Raises: SpecError where a window does so for all rows, or a label lies before all events.
    """
    spec, there = source.spec, F.col("entity").isNotNull() & F.col("time").isNotNull()
    first = source.events.agg(
        F.min(F.when(there, F.col("time"))).alias("first"),
        F.max(F.when(there, F.col("asof"))).alias("latest"),
        F.count_if(there).alias("events"),
        F.count_if(~there).alias("bare_events"),
    )
    starts = {
        f"short{at}": window_start(F.col("asof"), window, source.time_type)
        for at, window in enumerate(spec.windows)
    }
    with translated("looking at the history of the events"):
        if source.labels is None:
            row = first.withColumn("asof", F.col("latest")).select(
                "events", "bare_events", F.lit(0).alias("bare_labels"), F.lit(1).alias("rows"),
                F.lit(0).alias("early"),
                *((start < F.col("first")).cast("int").alias(n) for n, start in starts.items()),
            ).first()  # fmt: skip
        else:
            labels = source.labels.crossJoin(F.broadcast(first))
            row = labels.agg(
                *(F.max(name).alias(name) for name in ("events", "bare_events")),
                F.count_if(~there).alias("bare_labels"),
                F.count_if(there).alias("rows"),
                F.count_if(there & (F.col("asof") <= F.col("first"))).alias("early"),
                *(F.count_if(there & (s < F.col("first"))).alias(n) for n, s in starts.items()),
            ).first()
    found = {name: int(number or 0) for name, number in (row.asDict() if row else {}).items()}
    return _judged(spec, found)


def _judged(spec: EntitySpec, found: dict[str, int]) -> list[str]:
    warnings = []
    for what, number in (("event", found["bare_events"]), ("label", found["bare_labels"])):
        if not number:
            continue
        told = f"{number:,} {what}(s) have no entity or no time"
        if spec.nulls == "refuse":
            hint = "`nulls: drop` leaves such rows out"
            raise SpecError(told, where=place_of(spec, "nulls"), hint=hint)
        warnings.append(f"{told}, and are left out")
    if not found["rows"]:
        raise SpecError("no label has an entity and a time", where=place_of(spec, "labels"))
    if not found["events"]:
        raise SpecError("no event has an entity and a time", where=place_of(spec, "source"))
    if found["early"]:
        line = spec.labels.line if spec.labels is not None else 0
        raise SpecError(
            f"{found['early']:,} of {found['rows']:,} labels lie before all events",
            where=f"{spec.file}:{line} labels",
            hint="leave them out of the table of labels, or bring the events of before",
        )
    for at, window in enumerate(spec.windows):
        short = found[f"short{at}"]
        if short == found["rows"]:
            raise SpecError(
                f"the window {window.text} is longer than the history: for every row it begins "
                "before the first event",
                where=f"{spec.file}:{spec.windows_line} windows",
                hint="a shorter window",
            )
        if short:
            warnings.append(
                f"the window {window.text} begins before the first event for {short:,} of "
                f"{found['rows']:,} labels"
            )
    return warnings
