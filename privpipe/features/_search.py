"""Which quantiles are found by bisection: those of which it errs less than a histogram does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from privpipe.dp import Bisection, Noise
from privpipe.errors import BudgetError
from privpipe.features._model import Aggregate, Spec

__all__ = ["with_searches"]


def with_searches(spec: Spec, noise: Noise) -> Spec:
    """`spec`, its quantiles `searched` where that errs less under `noise`.

    A histogram costs the same for any number of quantiles, and nothing where it is shown too.
    """
    alike: dict[tuple[object, ...], list[Aggregate]] = {}
    for each in spec.aggregates:
        if each.edges:
            alike.setdefault(_bins_of(each), []).append(each)
    aggregates = (
        replace(each, searched=_errs_less(alike[_bins_of(each)], noise))
        if each.kind == "quantile"
        else each
        for each in spec.aggregates
    )
    return replace(spec, aggregates=tuple(aggregates))


def _bins_of(aggregate: Aggregate) -> tuple[object, ...]:
    """Those of which the rows are the same."""
    return aggregate.column, aggregate.edges, aggregate.window and aggregate.window.place


def _errs_less(alike: Sequence[Aggregate], noise: Noise) -> bool:
    """By the deviation of a rank where that of a count is 1, for figures of the same bins."""
    bins = len(alike[0].edges) - 1
    if any(each.kind == "histogram" for each in alike):
        return False
    try:
        searches = [Bisection(bins=bins, at=each.at) for each in alike]
    except BudgetError:  # too few bins, or quantiles too fine
        return False
    at = [float(each) for figure in alike for each in figure.at]
    moves = [max(each, 1 - each) for each in at]
    steps, gathered = searches[0].steps, searches[0].gathered  # they follow from the bins
    search = steps * sum(moves)
    if noise == "gaussian":
        search = math.sqrt(steps * sum(move**2 for move in moves))
    return search * gathered < math.sqrt(bins * max(each * (1 - each) for each in at))
