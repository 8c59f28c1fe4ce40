"""An attack on one's own spec: the same release, drawn many times with and without one unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from privpipe.dp import Mechanism, epsilon_at, epsilon_bound
from privpipe.features._draw import dense, draw_on
from privpipe.features._measures import Measure
from privpipe.features._plan import FeaturePlan
from privpipe.features._sums import GroupSums

__all__ = ["Attack", "attack"]

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Exact: TypeAlias = Mapping[Measure, npt.NDArray[np.int64]]
Int64s = npt.NDArray[np.int64]

_DELTA = Fraction(1, 10**6)  # at which a budget in rho is told
_CERTAIN = 1e9
_NUMBERS = 50_000_000  # that are drawn at once
_EVENTS = 8  # groups of which each is asked whether it shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """How well the draws told one unit's presence: `shown` is an epsilon that the release has at
    least, `claimed` what the plan says, both at `delta`. `moved` is how many groups the unit is in,
    `most` the epsilon that so many draws show where each of them tells all.
    """

    shown: float
    claimed: float
    delta: float
    draws: int
    moved: int
    most: float

    @property
    def holds(self) -> bool:
        """Whether the draws agree with the claim."""
        return self.shown <= self.claimed


def attack(
    plan: FeaturePlan,
    present: GroupSums,
    absent: GroupSums,
    groups: int,
    *,
    there: tuple[Bools, Bools] | None = None,
    draws: int = 20_000,
    failure: float = 1e-6,
) -> Attack:
    """Attacks `plan` by `draws` releases with a unit and as many without it.

    Input: the exact sums of all units, and of all but one; `there` says which of the `groups` the
    data with the unit have, and which those without it (all of them, if it is None). Only groups in
    which the two differ tell anything, so noise is drawn for these alone, and for no more of them
    than memory holds.

    A draw's score is the log of how much likelier it is with the unit, which no other test beats
    where the noise is as planned (Neyman and Pearson 1933). Where groups are selected, whether each
    is shown, and whether any is, is asked by itself; and the unit is put where a selection tells
    most: into groups that are its own, and into groups of just as many others as the threshold.
    `failure` bounds the chance that what holds does not seem to.

    Raises: `UsageError` for fewer than 200 draws.
    """
    delta = plan.cost.charge.delta or (_DELTA if plan.cost.charge.unit == "rho" else Fraction(0))
    claimed = epsilon_at(plan.mechanisms, delta - plan.collisions)
    exact, without = (dense(plan, sums, groups) for sums in (present, absent))
    one, other = there or (np.ones(groups, dtype=np.bool_), np.ones(groups, dtype=np.bool_))
    differ = np.zeros(groups, dtype=np.bool_)
    for measure in exact:
        differ |= (exact[measure] != without[measure]).any(axis=1)
    found = Attack(
        shown=0.0,
        claimed=float(claimed),
        delta=float(delta),
        draws=draws,
        moved=int(np.count_nonzero(differ)),
        most=_most(draws, float(delta), failure),
    )
    # Those that moved before those that only came or went, of which there is no unit in the draw.
    told = np.concatenate([np.flatnonzero(differ), np.flatnonzero((one != other) & ~differ)])
    told = told[: max(_NUMBERS // (draws * sum(part.shape[1] for part in exact.values())), 1)]
    if not len(told):
        return found
    pair = _Pair(
        present={measure: part[told] for measure, part in exact.items()},
        absent={measure: part[told] for measure, part in without.items()},
        there=(one[told], other[told]),
    )
    pairs = (pair, *_worst(plan, pair))
    chance = failure / len(pairs)
    shown = max(_bound(plan, each, draws, float(delta), chance) for each in pairs)
    events = 1 if plan.selection is None else 2 + min(len(told), _EVENTS)
    return replace(found, shown=shown, most=_most(draws, float(delta), chance / events))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The exact results of two neighbours, in some groups, and which of these each has."""

    present: Exact
    absent: Exact
    there: tuple[Bools, Bools]


def _worst(plan: FeaturePlan, pair: _Pair) -> tuple[_Pair, ...]:
    """Neighbours that differ by the same unit, among others: so that a selection is attacked where
    it has the most to hide, whatever sizes the sample's groups have."""
    if plan.selection is None or plan.selection.mechanism.threshold is None:
        return ()
    counts = plan.selection.measure
    own = {measure: part - pair.absent[measure] for measure, part in pair.present.items()}
    nobody = {measure: np.zeros_like(part) for measure, part in own.items()}
    brought = own[counts][:, 0] > 0
    if not brought.any():
        return ()
    alone = _Pair(present=own, absent=nobody, there=(brought, np.zeros_like(brought)))
    others = pair.absent[counts].copy()
    others[brought] = plan.selection.mechanism.threshold
    edge = _Pair(
        present={**pair.present, counts: others + own[counts]},
        absent={**pair.absent, counts: others},
        there=(pair.there[0] | brought, pair.there[1] | brought),
    )
    return alone, edge


def _most(draws: int, delta: float, failure: float) -> float:
    """What an event that is there in each draw with the unit, and in none without, shows."""
    sure = np.ones(draws)
    return epsilon_bound(sure, -sure, delta=delta, confidence=1 - failure)


def _bound(plan: FeaturePlan, pair: _Pair, draws: int, delta: float, failure: float) -> float:
    """The most that any of the events tells."""
    one, other = (
        _scores(plan, truth, pair, has, draws)
        for truth, has in zip((pair.present, pair.absent), pair.there, strict=True)
    )
    confidence = 1 - failure / len(one)
    bounds = (
        epsilon_bound(with_it, alone, delta=delta, confidence=confidence)
        for with_it, alone in zip(one, other, strict=True)
    )
    return max(bounds)


def _scores(
    plan: FeaturePlan, truth: Exact, pair: _Pair, has: Bools, draws: int
) -> tuple[Doubles, ...]:
    """Of `draws` draws on the groups of `truth` that it `has`: the log of how much likelier each is
    with the unit; where groups are selected, whether any is shown, and whether each is."""
    groups, places = len(has), np.flatnonzero(has)
    scores, shown = np.zeros(draws * groups), np.zeros(draws * groups, dtype=np.bool_)
    many = {measure: np.tile(part[has], (draws, 1)) for measure, part in truth.items()}
    drawn = draw_on(plan, many) if len(places) else None
    if drawn is not None and len(drawn.groups):
        group = places[drawn.groups % len(places)]
        at = drawn.groups // len(places) * groups + group
        shown[at] = True
        for measure, noisy in drawn.noisy.items():
            told = noisy.reshape(len(at), -1).astype(np.float64)
            one, other = (parts[measure][group] for parts in (pair.present, pair.absent))
            mechanism = plan.mechanism_of(measure)
            if measure.kind == "search":
                one, other = (
                    measure.bisection.asked(noisy, each, mechanism) for each in (one, other)
                )
            scores[at] += _likelier(told, one, other, mechanism).sum(axis=1)
    seen = shown.reshape(draws, groups)
    if plan.selection is None:
        return (scores.reshape(draws, groups).sum(axis=1),)
    with_it, alone = (parts[plan.selection.measure][:, 0] for parts in (pair.present, pair.absent))
    mechanism = plan.selection.mechanism
    seldom = _hidden(with_it, mechanism) - _hidden(alone, mechanism)
    # What nobody is in without the unit would never have shown; and the other way round.
    certain = _CERTAIN * ((with_it >= 1).astype(np.float64) - (alone >= 1))
    scores = np.where(seen, np.where(certain == 0, scores.reshape(seen.shape), certain), seldom)
    events = (seen.any(axis=1), *seen.T[:_EVENTS])
    return (scores.sum(axis=1), *(each.astype(np.float64) for each in events))


def _likelier(told: Doubles, one: Int64s, other: Int64s, mechanism: Mechanism) -> Doubles:
    scale = float(mechanism.scale)
    if mechanism.noise == "laplace":
        return np.asarray((np.abs(told - other) - np.abs(told - one)) / scale, dtype=np.float64)
    return np.asarray(((told - other) ** 2 - (told - one) ** 2) / (2 * scale**2), np.float64)


def _hidden(counts: Int64s, mechanism: Mechanism) -> Doubles:
    """The log of the chance that a group of so many units does not show."""
    room = (float(mechanism.threshold or 0) - counts) / float(mechanism.scale)
    if mechanism.noise == "gaussian":
        below = np.array([NormalDist().cdf(float(each)) for each in room])
        return np.where(counts < 1, 0.0, np.log(np.maximum(below, 1e-300)))
    below = np.where(
        room >= 0, 1 - np.exp(-np.maximum(room, 0)) / 2, np.exp(np.minimum(room, 0)) / 2
    )
    return np.where(counts < 1, 0.0, np.log(np.maximum(below, 1e-300)))
