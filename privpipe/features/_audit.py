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

Doubles = npt.NDArray[np.float64]
Exact: TypeAlias = Mapping[Measure, npt.NDArray[np.int64]]
Int64s = npt.NDArray[np.int64]

_DELTA = Fraction(1, 10**6)  # at which a budget in rho is told
_CERTAIN = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """How well the draws told one unit's presence: `shown` is an epsilon that the release has at
    least, `claimed` what the plan says, both at `delta`. `moved` is how many groups the unit is in.
    """

    shown: float
    claimed: float
    delta: float
    draws: int
    moved: int

    @property
    def holds(self) -> bool:
        """Whether the draws agree with the claim."""
        return self.shown <= self.claimed


def attack(
    plan: FeaturePlan, present: GroupSums, absent: GroupSums, groups: int, *, draws: int = 20_000
) -> Attack:
    """Attacks `plan` by `draws` releases with a unit and as many without it.

    Input: the exact sums of all units, and of all but one. Only groups in which they differ tell
    anything, so noise is drawn for these alone. A draw's score is the log of how much likelier it
    is with the unit, which no other test beats (Neyman and Pearson 1933).

    Raises: `UsageError` for fewer than 200 draws.
    """
    delta = plan.cost.charge.delta or (_DELTA if plan.cost.charge.unit == "rho" else Fraction(0))
    claimed = epsilon_at(plan.mechanisms, delta - plan.collisions)
    exact, without = (dense(plan, sums, groups) for sums in (present, absent))
    differ = np.zeros(groups, dtype=np.bool_)
    for measure in exact:
        differ |= (exact[measure] != without[measure]).any(axis=1)
    moved = np.flatnonzero(differ)
    found = Attack(
        shown=0.0, claimed=float(claimed), delta=float(delta), draws=draws, moved=len(moved)
    )
    if not len(moved):
        return found
    with_it, alone = (
        {each: part[moved] for each, part in parts.items()} for parts in (exact, without)
    )
    one = _scores(plan, with_it, with_it, alone, draws)
    other = _scores(plan, alone, with_it, alone, draws)
    return replace(found, shown=epsilon_bound(one, other, delta=float(delta)))


def _scores(plan: FeaturePlan, truth: Exact, present: Exact, absent: Exact, draws: int) -> Doubles:
    """Of `draws` draws on `truth`, the log of how much likelier each is with the unit."""
    groups = len(next(iter(truth.values())))
    many = {measure: np.tile(part, (draws, 1)) for measure, part in truth.items()}
    drawn = draw_on(plan, many)
    group = drawn.groups % groups
    scores = np.zeros(draws * groups)
    for measure, noisy in drawn.noisy.items():
        mechanism = plan.mechanism_of(measure)
        told = noisy.reshape(len(drawn.groups), -1).astype(np.float64)
        one, other = (parts[measure][group] for parts in (present, absent))
        if measure.kind == "search":
            one, other = (measure.bisection.asked(noisy, each) for each in (one, other))
        scores[drawn.groups] += _likelier(told, one, other, mechanism).sum(axis=1)
    if plan.selection is not None:
        hidden = np.ones(len(scores), dtype=np.bool_)
        hidden[drawn.groups] = False
        with_it, alone = (parts[plan.selection.measure][:, 0] for parts in (present, absent))
        mechanism = plan.selection.mechanism
        seldom = _hidden(with_it, mechanism) - _hidden(alone, mechanism)
        scores[hidden] += np.tile(seldom, draws)[hidden]
        # Nobody but the unit is in the group: without it, it would never have shown.
        lone = np.tile((with_it >= 1) & (alone < 1), draws)
        scores[lone & ~hidden] = _CERTAIN
    return np.asarray(scores.reshape(draws, groups).sum(axis=1), dtype=np.float64)


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
