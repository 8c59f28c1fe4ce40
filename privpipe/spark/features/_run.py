"""`features`: a private release, from the spec to a protected table, charged before it is drawn.

    1  plan         noise and cost, from the spec alone; every refusal that needs no data
    2  run PENDING  as every run of privpipe
    3  reserve      in the ledger, before a row is read
    4  sums         exact, in the driver's memory and nowhere else
    5  draw         where no other run is ahead: said in the ledger; then the noise, once, in the
                    driver
    6  commit       the noisy table, protected like any other
    7  publish      the table's version, in the ledger

What fails before 5 is given back. From there on the charge is spent: a run that is repeated then
reserves, and draws, anew. The noise is drawn in the driver, since what a task draws is drawn again
when the task is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal, localcontext
from fractions import Fraction
from functools import cached_property

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.catalog import RunRecord, ledger
from privpipe.dp import check_sum
from privpipe.errors import BudgetError, PrivpipeError
from privpipe.features import (
    ROW,
    FeaturePlan,
    FeatureSpec,
    Spec,
    draw,
    figure_columns,
    figure_of,
    figure_place,
    figure_type,
    on_line,
    pass_measures,
    place_of,
    plan_features,
    with_totals,
    written_policy,
)
from privpipe.policy import Plan, Policy
from privpipe.spark._admission import Request, checked_run_id, new_run_id
from privpipe.spark._handed import handed
from privpipe.spark._last_look import LastLook
from privpipe.spark._leaves import quoted
from privpipe.spark._places_read import one_name
from privpipe.spark._prepared import Planned
from privpipe.spark._protect import protect_in
from privpipe.spark._release import Run, carry_out
from privpipe.spark._target import checked_mode
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._groups import Listed, find_groups, group_fields, listed_values
from privpipe.spark.features._periods import opened_groups, period_warnings
from privpipe.spark.features._source import FeatureSource, find_source, refuse_null_units
from privpipe.spark.features._sums import group_sums, value_column
from privpipe.spark.features._unit import check_unit

__all__ = ["feature_request", "plan_source", "publish_settled", "release_features"]

PlanTable = Callable[[Policy, DataFrame], Plan]


def feature_request(
    spec: FeatureSpec, source: str, target: str, mode: str, run_id: str | None
) -> Request:
    """What a release is asked to do; `source` and `target` as the catalog keeps places."""
    return Request(
        run_id=new_run_id() if run_id is None else checked_run_id(run_id),
        table=spec.name,
        source=source,
        target=target,
        mode=checked_mode(mode),
        policy_hash=spec.hash,
        policy=spec.canonical_text,
        said="spec",
    )


def release_features(work: Workspace, spec: Spec, request: Request, plan_table: PlanTable) -> Run:
    """Carries out the release that `request` asks for; the same run id twice changes nothing.

    Raises: SpecError, SchemaError and BudgetError for what cannot be, before anything is charged;
    UnknownBudget, BudgetConflict and BudgetSpent from the ledger; DecryptionError where an
    encrypted value does not authenticate.
    """

    def prepare() -> Planned:
        # An attempt that died has said which version it reads, and paid for that: the plan follows
        # from its rows. One that was given back binds nobody, so that what is mended is read.
        told = [each for each in _attempts(work, request) if each.state in ("reserved", "drawn")]
        version = told[-1].sources.get(request.source) if told else None
        source = find_source(work, spec, work.find(request.source), version)
        source.table.refuse_target(work, work.find(request.target))
        opened = opened_groups(work, source)
        rows = source.table.rows(work)
        plan = plan_source(work, source, opened, rows)
        listed = listed_values(opened, source.spec)
        output = plan_table(written_policy(spec), _frame(opened, _empty(source.spec), source.spec))
        attempt = _Attempt(
            work=work,
            request=request,
            source=source,
            opened=opened,
            plan=plan,
            listed=listed,
            rows=rows,
        )
        place = place_of(spec, "privacy.budget")
        with _charged_at(place):
            ledger.check_reservation(work.catalog, attempt.reservation, same=attempt.same)
        # Noisy figures may stand in clear: that nothing is protected is no warning here.
        noted = output.warnings if output.leaves else ()

        def make() -> DataFrame:
            return protect_in(attempt.frame(), output, work.catalog.location)

        reads = attempt.reservation.sources
        output = replace(output, warnings=(*noted, *spec.warnings, *period_warnings(source)))
        return Planned(plan=output, keys=work.keys, make=make, reads=reads, drawing=attempt.draw)

    run = carry_out(work, request, prepare)
    publish_drawn(work, run)
    return run


def publish_drawn(work: Workspace, run: Run | RunRecord) -> None:
    """Says in the ledger which version holds what a run drew, where that is not said yet."""
    drawn = [each for each in _attempts(work, run) if each.state == "drawn"]
    if drawn and run.table_version is not None:
        ledger.publish(work.catalog, drawn[-1].uid, run.table_version)


def _attempts(work: Workspace, run: Request | Run | RunRecord) -> tuple[ledger.Release, ...]:
    return ledger.attempts(work.catalog, run.run_id)


def publish_settled(work: Workspace) -> None:
    """Says so for all runs that died between their commit and the ledger's last word."""
    stands = ledger.standings(work.catalog)
    waiting = {
        release.run_id for each in stands for release in each.releases if release.state == "drawn"
    }
    for run in work.catalog.runs() if waiting else ():
        if run.run_id in waiting and run.state == "COMMITTED":
            publish_drawn(work, run)


@dataclass(kw_only=True)
class _Attempt:
    """One try of a run. It draws once, however often its commit is repeated."""

    work: Workspace
    request: Request
    source: FeatureSource[Spec]
    opened: DataFrame
    plan: FeaturePlan
    listed: Listed
    rows: int
    _drawn: list[DataFrame] = field(default_factory=list)

    def frame(self) -> DataFrame:
        """The noisy table, which was drawn."""
        [drawn] = self._drawn
        return drawn

    def draw(self, look: LastLook) -> None:
        """Reserves, adds up, and draws behind `look`; does nothing where it has drawn."""
        if not self._drawn:
            self._drawn.append(self._draw(look))

    def _draw(self, look: LastLook) -> DataFrame:
        spec = self.source.spec
        with _charged_at(place_of(spec, "privacy.budget")):
            held = ledger.reserve(self.work.catalog, self.reservation, same=self.same).release
        try:
            refuse_null_units(self.source)
            groups = find_groups(self.opened, spec, self.listed)
            sums = group_sums(
                groups.placed(self.opened),
                pass_measures(self.plan),
                spec.bounds,
                unit=None if spec.unit == ROW else spec.unit,
                groups=groups.names,
                rows=self.rows,
                salt=spec.hash,
            )
            ledger.start_draw(self.work.catalog, held.uid, look=look)
        except BaseException:
            # Nothing was drawn, so nothing was told but that it failed. Where the ledger has the
            # draw for all that, it gives nothing back.
            _give_back(self.work, held.uid)
            raise
        drawn = draw(self.plan, sums, len(groups))
        shown = groups.values.take(pa.array(drawn.groups))
        columns = {group.column: shown.column(at) for at, group in enumerate(spec.groups)}
        columns = with_totals(spec, columns)
        told = pa.table({**columns, **figure_columns(self.plan, drawn.noisy)})
        return _frame(self.opened, told, spec)

    @cached_property
    def same(self) -> Callable[[str], str]:
        """The one name of a place; what it has looked up it knows."""
        return one_name(self.work)

    @cached_property
    def reservation(self) -> ledger.Reservation:
        """What it asks of the budget."""
        spec = self.source.spec
        return ledger.Reservation(
            budget=spec.release.ledger,
            run_id=self.request.run_id,
            charge=self.plan.cost.charge,
            mechanisms=self.plan.mechanisms,
            unit=None if spec.unit == ROW else spec.unit,
            sources=self.source.table.reads(self.work),
            spec_hash=self.request.policy_hash,
            target=self.request.target,
        )


def _give_back(work: Workspace, reservation: str) -> None:
    try:
        ledger.cancel(work.catalog, reservation, note="it failed before a draw")
    except PrivpipeError:
        # It stays reserved: spent, until `privpipe budget cancel` or the run again.
        return


def plan_source(
    work: Workspace, source: FeatureSource[Spec], opened: DataFrame, rows: int
) -> FeaturePlan:
    """The plan, and every refusal that types and the row count decide.

    Raises: as `release_features`.
    """
    spec = source.spec
    delta = spec.release.budget.delta
    if delta * rows >= 1:
        raise BudgetError(
            f"delta is {float(delta):.1e}, and the source has {rows:,} rows: a release of one "
            "row as it stands would be within it",
            where=place_of(spec, "privacy.delta"),
            hint=f"write a delta below {_below(Fraction(1, rows))}; 1e-9 is usual",
        )
    group_fields(opened, spec)
    plan = plan_features(spec, collisions=check_unit(work, source.table, spec, rows))
    for measure in pass_measures(plan):
        name = figure_of(plan.spec.aggregates, measure)
        with on_line("" if name is None else figure_place(spec, name)):
            check_sum(measure.largest, max(rows, 1))
            if measure.column is not None and measure.kind != "distinct":
                value_column(measure.column, opened.schema[measure.column].dataType)
    return plan


@contextmanager
def _charged_at(place: str) -> Iterator[None]:
    """The ledger's refusals have the spec's line beside what they name."""
    try:
        yield
    except BudgetError as error:
        where = place if error.where is None else f"{place}, {error.where}"
        raise type(error)(error.message, where=where, hint=error.hint) from None


def _below(number: Fraction) -> str:
    """The number, or somewhat less, in two digits."""
    with localcontext(prec=2, rounding=ROUND_DOWN):
        return f"{float(Decimal(number.numerator) / number.denominator):.2g}"


def _empty(spec: Spec) -> pa.Table:
    groups = {group.column: pa.array([], pa.null()) for group in spec.groups}
    figures = {
        name: pa.array([], figure_type(each)) for each in spec.aggregates for name in each.columns
    }
    return pa.table({**groups, **figures})


def _frame(opened: DataFrame, told: pa.Table, spec: Spec) -> DataFrame:
    """The table in Spark, its groups of the source's own types."""
    types = {group.column: opened.schema[group.key].dataType for group in spec.groups}
    df = handed(opened.sparkSession, told)
    return df.select(
        *(
            F.col(quoted(name)).cast(types[name]).alias(name) if name in types else quoted(name)
            for name in told.column_names
        )
    )
