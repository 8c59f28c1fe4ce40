"""The plan of a release: its noise, what it costs, and how far its figures will be off.

All of it follows from the spec alone, so it is told, and charged, before any data is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from privpipe.dp import Budget, Cost, Mechanism, Noise, Query, fit_release, release_cost
from privpipe.errors import BudgetError, FixedOverflow
from privpipe.features._measures import UNITS, Measure, figure_of, measures_of, query_of, weighed
from privpipe.features._model import Aggregate, Spec
from privpipe.features._places import figure_place, on_line, place_of
from privpipe.features._room import room_hint
from privpipe.features._search import with_searches
from privpipe.features._totals import ADDED, parts_of

__all__ = ["Expected", "FeaturePlan", "Vector", "plan_features"]

_ROWS = 1000  # of the group for which the error of a mean is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A vector of group results, and the noise that is drawn on it."""

    measure: Measure
    mechanism: Mechanism


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How far a figure will be off: the root mean square `error` in `measure`s of its own.

    `at_rows` is the size of the group that it is told for, None where the size does not matter.
    """

    name: str
    error: float
    measure: str
    at_rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturePlan:
    """What a release does. `selection` says which groups are shown, where their values are not
    public; `cost` is what the ledger takes."""

    spec: Spec
    vectors: tuple[Vector, ...]
    selection: Vector | None
    cost: Cost
    collisions: Fraction = Fraction(0)

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """All that draws noise, in order: the selection first."""
        first = () if self.selection is None else (self.selection.mechanism,)
        return (*first, *(vector.mechanism for vector in self.vectors))

    def mechanism_of(self, measure: Measure) -> Mechanism:
        """What draws the noise of a measure."""
        if self.selection is not None and measure == self.selection.measure:
            return self.selection.mechanism
        return next(each.mechanism for each in self.vectors if each.measure == measure)

    @property
    def expected(self) -> tuple[Expected, ...]:
        """The error of each figure, in the spec's order; behind them those of its totals."""
        figures = [self._expected(each) for each in self.spec.aggregates]
        added = [each for each in self.spec.aggregates if each.kind in ADDED]
        totals = [self._total(each, by) for by in self.spec.totals for each in added]
        return (*figures, *totals)

    def _total(self, aggregate: Aggregate, by: tuple[str, ...]) -> Expected:
        """Of independent noises, one for each group that the total is of."""
        one = self._expected(aggregate)
        told = f"each total by {' and '.join(by)}" if by else "the total"
        if aggregate.kind == "histogram":
            told = f"each bin of {told}"
        error = one.error * math.sqrt(parts_of(self.spec, by))
        return Expected(name=one.name, error=error, measure=told)

    def _expected(self, aggregate: Aggregate) -> Expected:
        deviations = [self.mechanism_of(each).deviation for each in measures_of(aggregate)]
        fixed, name = aggregate.fixed, aggregate.name
        if aggregate.searched:
            [search] = measures_of(aggregate)
            rank = deviations[0] / search.bisection.parts * search.bisection.gathered
            return Expected(name=name, error=rank, measure="rows of rank, and one bin")
        if aggregate.kind == "quantile":
            # Of the rank: noise to the left of the quantile, less its share of all noise.
            q = max(float(at * (1 - at)) for at in aggregate.at)
            rank = deviations[0] * math.sqrt((len(aggregate.edges) - 1) * q)
            return Expected(name=name, error=rank, measure="rows of rank, and one bin")
        if fixed is None:
            what = "each bin" if aggregate.kind == "histogram" else "each group"
            return Expected(name=name, error=deviations[0], measure=what)
        step, width = float(fixed.step), float(fixed.high_units - fixed.low_units)
        if aggregate.kind == "sum":
            return Expected(name=name, error=step * deviations[0], measure="each group")
        rows, sums, *squares = deviations
        if not squares:
            off = step / 2 * math.hypot(sums, width * rows) / _ROWS
        else:
            parts = (squares[0] / 2, 2 * width * sums, 2.5 * width**2 * rows)
            off = step**2 / 4 * math.hypot(*parts) / _ROWS
        return Expected(name=name, error=off, measure="at most", at_rows=_ROWS)


def plan_features(spec: Spec, *, collisions: Fraction = Fraction(0)) -> FeaturePlan:
    """The noise of a spec's release, fitted to its budget, and the cost: of all kinds of noise that
    the spec lets be, and ways to find its quantiles, those that err least.

    `collisions` is the chance that two units have one token; it is taken from delta, and charged.

    Raises: `BudgetError` where the budget is too small or has no delta for what is asked, with the
    figures; `FixedOverflow`; `MissingExtra`.
    """
    budget = spec.release.budget
    if collisions >= budget.delta and collisions:
        raise BudgetError(
            f"two units have one token with a chance of {float(collisions):.1e}, and delta is "
            f"{float(budget.delta):.1e}",
            where=place_of(spec, "privacy.delta"),
            hint="a unit of 122 bits or more (pseudonymize, output: uuid), or a larger delta",
        )
    tried = (
        _fitted(with_searches(spec, noise), noise, selection, collisions)
        for noise, selection in _noises(spec)
    )
    return min(tried, key=_errors)


def _noises(spec: Spec) -> Iterator[tuple[Noise, Noise]]:
    """Of the figures, and of the selection: those that may be had.

    Laplace noise grows with the groups of a unit and the vectors of a release, and Gaussian noise
    with their roots, but it begins higher. Which errs less follows from the spec alone.
    """
    both: tuple[Noise, ...] = ("gaussian", "laplace")
    able = {"pure": both[1:], "zcdp": both[:1]}.get(spec.release.budget.kind, both)
    asked = spec.release.noise
    for noise in able if asked == "least" else (asked,):
        for selection in able if spec.selected else able[:1]:
            yield noise, selection


def _errors(plan: FeaturePlan) -> float:
    """The product of all errors. What a threshold hides has no figure: it counts twice for each."""
    told = [max(each.error, 1e-9) for each in plan.expected]
    if plan.selection is not None:
        told += [plan.selection.mechanism.threshold or 1] * (2 * len(told))
    return sum(map(math.log, told))


def _fitted(spec: Spec, noise: Noise, selection: Noise, collisions: Fraction) -> FeaturePlan:
    shares = dict(weighed(spec.aggregates))
    queries = []
    if spec.selected:
        first = Query(
            sensitivity=UNITS.sensitivity(spec.bounds),
            noise="threshold" if selection == "laplace" else "gaussian_threshold",
            weight=shares.pop(UNITS, Fraction(1)),
            floor=spec.release.floor,
        )
        queries.append(first)
    queries += [_query(measure, weight, spec, noise) for measure, weight in shares.items()]
    widest = max(shares, key=lambda each: each.sensitivity(spec.bounds).l1, default=UNITS)
    with on_line(place_of(spec, "privacy"), BudgetError), _on_figure(spec, widest):
        mechanisms = _mechanisms(tuple(queries), _less(spec.release.budget, collisions))
    cut = 1 if spec.selected else 0
    return FeaturePlan(
        spec=spec,
        selection=Vector(measure=UNITS, mechanism=mechanisms[0]) if cut else None,
        vectors=tuple(
            Vector(measure=measure, mechanism=mechanism)
            for measure, mechanism in zip(shares, mechanisms[cut:], strict=True)
        ),
        cost=_charged(mechanisms, spec, collisions),
        collisions=collisions,
    )


def _query(measure: Measure, weight: Fraction, spec: Spec, noise: Noise) -> Query:
    with _on_figure(spec, measure):
        return query_of(measure, weight, spec, noise)


@contextmanager
def _on_figure(spec: Spec, measure: Measure) -> Iterator[None]:
    """What has no room is told of the measure's figure, with what would do."""
    try:
        yield
    except FixedOverflow as error:
        name = figure_of(spec.aggregates, measure)
        where = place_of(spec, "bounds") if name is None else figure_place(spec, name)
        hint = room_hint(measure, spec.bounds, spec.release.budget) or error.hint
        raise FixedOverflow(error.message, where=where, hint=hint) from None


@lru_cache(maxsize=256)
def _mechanisms(queries: tuple[Query, ...], budget: Budget) -> tuple[Mechanism, ...]:
    # A spec is planned before its run, in it, and when it is repeated.
    return fit_release(queries, budget)


def _less(budget: Budget, collisions: Fraction) -> Budget:
    return Budget(unit=budget.unit, amount=budget.amount, delta=budget.delta - collisions)


def _charged(mechanisms: Sequence[Mechanism], spec: Spec, collisions: Fraction) -> Cost:
    budget = spec.release.budget
    cost = release_cost(mechanisms, budget.unit, delta=_less(budget, collisions).delta)
    if not collisions:
        return cost
    more = Budget(unit=budget.unit, amount=Fraction(0), delta=collisions)
    return Cost(charge=cost.charge + more, naive=cost.naive + more)
