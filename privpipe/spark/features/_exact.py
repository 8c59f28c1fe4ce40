"""`features` under `k_anonymity`: exact figures of groups of enough units, in one shuffle.

It is the weaker thing beside a release: no noise, no budget, and no guarantee against who knows the
rest. A group of fewer units is not written, and no total is, which would tell of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from privpipe.aggregates import Aggregate, Enough
from privpipe.features import (
    OURS,
    ROW,
    ExactAggregate,
    ExactSpec,
    enough_of,
    exact_aggregate,
    written_policy,
)
from privpipe.policy import Plan, Policy
from privpipe.spark._admission import Request
from privpipe.spark._leaves import quoted
from privpipe.spark._prepared import Planned
from privpipe.spark._protect import protect_in
from privpipe.spark._release import Run, carry_out
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._figure_lines import on_figure_lines
from privpipe.spark.features._groups import group_fields, listed_rows
from privpipe.spark.features._held import held
from privpipe.spark.features._periods import opened_groups, period_warnings
from privpipe.spark.features._source import find_source, refuse_null_units
from privpipe.spark.features._unit import check_unit
from privpipe.spark.mapreduce import aggregate

__all__ = ["exact_features", "exact_figures"]

PlanTable = Callable[[Policy, DataFrame], Plan]
Figures = dict[str, tuple[Aggregate, str | Column | list[str | Column]]]

# No figure has its own name beside these, and no column of the source one of them (`group_fields`):
# what says whether a group may show cannot be replaced by a spec.
_FIGURE = OURS + "figure_{}"
_ROWS = OURS + "rows"
_WITH = OURS + "with_{}"
_VALUES = OURS + "values_{}"


def exact_features(
    work: Workspace, spec: ExactSpec, request: Request, plan_table: PlanTable
) -> Run:
    """Carries out what `request` asks for; the same run id twice changes nothing.

    Raises: SpecError and SchemaError for what cannot be, DecryptionError where an encrypted value
    does not authenticate.
    """

    with on_figure_lines(spec, _FIGURE), ExitStack() as keeping:
        return carry_out(work, request, lambda: _prepared(work, spec, request, plan_table, keeping))


def _prepared(
    work: Workspace, spec: ExactSpec, request: Request, plan_table: PlanTable, keeping: ExitStack
) -> Planned:
    source = find_source(work, spec, work.find(request.source))
    source.table.refuse_target(work, work.find(request.target))
    named = source.spec
    # That two int64 pseudonyms may be one counts too few units, and no more: it needs no room.
    check_unit(work, source.table, named, 0)
    figures = exact_figures(opened_groups(work, source), named)
    output = plan_table(written_policy(named), figures)
    warnings = (
        *output.warnings,
        *period_warnings(source),
        f"exact figures of {named.hides}: no differential privacy, and what two releases "
        "differ in may be one person",
    )
    refuse_null_units(source)
    whole = keeping.enter_context(held(figures, "adding up the figures"))

    def make() -> DataFrame:
        return protect_in(whole(), output, work.catalog.location)

    return Planned(
        plan=replace(output, warnings=warnings),
        keys=work.keys,
        make=make,
        reads=source.table.reads(work),
    )


def exact_figures(df: DataFrame, spec: ExactSpec) -> DataFrame:
    """The groups of `df` that may be shown, with their figures; lazy.

    A group is shown where enough units are in it, and the values of `diversity` are enough. In such
    a group a figure is null where too few units have a value of its column.
    """
    keys = group_fields(df, spec).names
    rows = listed_rows(df, spec)
    wanted: Figures = {_ROWS: (enough_of(spec), _whose(spec, None))}
    for column in _columns(spec):
        wanted[_WITH.format(column)] = enough_of(spec), _whose(spec, column)
    for column, least in spec.diversity:
        wanted[_VALUES.format(column)] = Enough(least), column
    for figure in spec.aggregates:
        made, columns = exact_aggregate(figure, spec)
        wanted[_FIGURE.format(figure.name)] = made, list(columns)
    told = aggregate(rows, keys, wanted)
    shown = _enough(spec, _ROWS)
    for column, _ in spec.diversity:
        shown = shown & F.col(quoted(_VALUES.format(column)))
    return told.where(shown).select(
        *(F.col(quoted(each.key)).alias(each.column) for each in spec.groups),
        *(_shown(spec, each) for each in spec.aggregates),
    )


def _shown(spec: ExactSpec, figure: ExactAggregate) -> Column:
    found = F.col(quoted(_FIGURE.format(figure.name)))
    if figure.column is not None:
        found = F.when(_enough(spec, _WITH.format(figure.column)), found)
    return found.alias(figure.name)


def _columns(spec: ExactSpec) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.column for each in spec.aggregates if each.column is not None))


def _whose(spec: ExactSpec, column: str | None) -> str | Column | list[str | Column]:
    """The units that have a value of the column; where rows are units, the column itself."""
    if spec.unit == ROW:
        return [] if column is None else column
    if column is None:
        return spec.unit
    return F.when(F.col(quoted(column)).isNotNull(), F.col(quoted(spec.unit)))


def _enough(spec: ExactSpec, name: str) -> Column:
    found = F.col(quoted(name))
    return found >= spec.k if spec.unit == ROW else found
