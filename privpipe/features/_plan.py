"""The plan of a release: its noise, what it costs, and how far its figures will be off.

All of it follows from the spec alone, so it is told, and charged, before any data is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privpipe.dp import Budget, Cost, Mechanism, Noise, Query, fit_release, release_cost
from privpipe.errors import BudgetError
from privpipe.features._measures import Measure, measures_of, query_of, weighed
from privpipe.features._model import Aggregate, Spec

__all__ = ["Expected", "FeaturePlan", "Vector", "plan_features"]

_ROWS = 1000  # of the group for which the error of a mean is told
_UNITS = Measure(kind="units")


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
        """The error of each figure, in the spec's order."""
        return tuple(self._expected(each) for each in self.spec.aggregates)

    def _expected(self, aggregate: Aggregate) -> Expected:
        deviations = [self.mechanism_of(each).deviation for each in measures_of(aggregate)]
        fixed, name = aggregate.fixed, aggregate.name
        if aggregate.searched:
            [search] = measures_of(aggregate)
            rank = deviations[0] / search.bisection.parts
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
    """The noise of a spec's release, fitted to its budget, and the cost.

    `collisions` is the chance that two units have one token; it is taken from delta, and charged.

    Raises: `BudgetError` where the budget is too small or has no delta for what is asked, with the
    figures; `FixedOverflow`; `MissingExtra`.
    """
    shares = dict(weighed(spec.aggregates))
    selecting = shares.pop(_UNITS, Fraction(1)) if spec.selected else None
    budget = spec.release.budget
    if collisions >= budget.delta and collisions:
        raise BudgetError(
            f"two units have one token with a chance of {float(collisions):.1e}, and delta is "
            f"{float(budget.delta):.1e}",
            where=spec.file,
            hint="a unit of 122 bits or more (pseudonymize, output: uuid), or a larger delta",
        )
    mechanisms = _least(spec, shares, selecting, _less(budget, collisions))
    cost = _charged(mechanisms, spec, collisions)
    first = mechanisms[: 1 if spec.selected else 0]
    return FeaturePlan(
        spec=spec,
        selection=Vector(measure=_UNITS, mechanism=first[0]) if first else None,
        vectors=tuple(
            Vector(measure=measure, mechanism=mechanism)
            for measure, mechanism in zip(shares, mechanisms[len(first) :], strict=True)
        ),
        cost=cost,
        collisions=collisions,
    )


def _least(
    spec: Spec, shares: Mapping[Measure, Fraction], selecting: Fraction | None, budget: Budget
) -> tuple[Mechanism, ...]:
    """The noise with the least product of deviations, a threshold standing for its own.

    Laplace noise grows with the groups of a unit and the vectors of a release, and Gaussian noise
    with their roots, but it begins higher. Which is less follows from the spec alone.
    """
    both: tuple[Noise, ...] = ("gaussian", "laplace")
    able = {"pure": both[1:], "zcdp": both[:1]}.get(budget.kind, both)
    asked = spec.release.noise
    noises = able if asked == "least" else (asked,)
    tried = []
    for noise in noises:
        queries = [query_of(measure, weight, spec, noise) for measure, weight in shares.items()]
        for selection in able if selecting is not None else able[:1]:
            first = [] if selecting is None else [_selection(spec, selecting, selection)]
            tried.append(fit_release([*first, *queries], budget))
    return min(tried, key=_errors)


def _selection(spec: Spec, weight: Fraction, noise: Noise) -> Query:
    return Query(
        sensitivity=_UNITS.sensitivity(spec.bounds),
        noise="threshold" if noise == "laplace" else "gaussian_threshold",
        weight=weight,
        floor=spec.release.floor,
    )


def _errors(mechanisms: Sequence[Mechanism]) -> float:
    return sum(math.log(each.threshold or max(each.deviation, 1e-9)) for each in mechanisms)


def _less(budget: Budget, collisions: Fraction) -> Budget:
    return Budget(unit=budget.unit, amount=budget.amount, delta=budget.delta - collisions)


def _charged(mechanisms: Sequence[Mechanism], spec: Spec, collisions: Fraction) -> Cost:
    budget = spec.release.budget
    cost = release_cost(mechanisms, budget.unit, delta=_less(budget, collisions).delta)
    if not collisions:
        return cost
    more = Budget(unit=budget.unit, amount=Fraction(0), delta=collisions)
    return Cost(charge=cost.charge + more, naive=cost.naive + more)
