"""The draw: noise on the group results, once.

What comes in is exact and never leaves; what goes out is noisy. A second call is a second release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from privpipe.dp import add_noise, select
from privpipe.features._figures import Noisy
from privpipe.features._measures import UNITS, Measure
from privpipe.features._plan import FeaturePlan
from privpipe.features._sums import GroupSums

__all__ = ["Drawn", "dense", "draw", "draw_on", "pass_measures"]

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Which groups are shown, by their places, and their noisy results."""

    groups: npt.NDArray[np.intp]
    noisy: Noisy


def pass_measures(plan: FeaturePlan) -> tuple[Measure, ...]:
    """What the pass over the rows adds up: each vector of the plan, the selection's first."""
    first = () if plan.selection is None else (plan.selection.measure,)
    return (*first, *(vector.measure for vector in plan.vectors))


def draw(plan: FeaturePlan, sums: GroupSums, groups: int) -> Drawn:
    """Draws the noise of every vector of `plan` on `sums`, of which there are `groups` groups.

    Public groups that no unit is in are 0 before the noise, and are shown like any other. Where
    groups are selected, vectors are drawn for those alone that are shown.

    Raises: as `privpipe.dp.add_noise`.
    """
    return draw_on(plan, dense(plan, sums, groups))


def draw_on(plan: FeaturePlan, exact: Mapping[Measure, Int64s]) -> Drawn:
    """As `draw`, on a row for each group of every measure."""
    noisy: dict[Measure, Int64s] = {}
    shown = np.arange(len(next(iter(exact.values()))))
    if plan.selection is not None:
        [counts] = exact[plan.selection.measure].T
        shown, noisy[plan.selection.measure] = select(counts, plan.selection.mechanism)
    for vector in plan.vectors:
        measure, part = vector.measure, np.ascontiguousarray(exact[vector.measure][shown])
        if measure.kind == "search":
            noisy[measure] = measure.bisection.draw(part, vector.mechanism)
            continue
        drawn = add_noise(part.ravel(), vector.mechanism).reshape(part.shape)
        noisy[measure] = drawn if measure.kind == "bins" else drawn[:, 0]
    if plan.selection is None and plan.spec.release.floor:
        # Of what is noisy already, and so at no cost; a selection has it in its threshold.
        large = noisy[UNITS] >= plan.spec.release.floor
        shown, noisy = shown[large], {measure: part[large] for measure, part in noisy.items()}
    return Drawn(groups=shown, noisy=noisy)


def dense(plan: FeaturePlan, sums: GroupSums, groups: int) -> dict[Measure, Int64s]:
    """By measure, a row for every group."""
    found: dict[Measure, Int64s] = {}
    at = 0
    pairs = iter(sums.pairs)
    for measure in pass_measures(plan):
        each = np.zeros((groups, measure.width), dtype=np.int64)
        if measure.kind == "distinct":
            each[:, 0] = np.bincount(next(pairs)[0], minlength=groups)
        else:
            each[sums.groups] = sums.sums[:, at : at + measure.width]
            at += measure.width
        found[measure] = each
    return found
