"""From noisy group results to the columns of the table: post-processing alone, which costs nothing.

Counts, and sums of what is never below 0, are shown as no less than 0. Beside each figure stand the
ends of its interval, `<name>_low` and `<name>_high`, which tell of the noise and not of what the
bounds cut away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.dp import Figures, FixedPoint, interval, non_negative, quantile
from privpipe.errors import InternalError
from privpipe.features._measures import Measure, measures_of, moments_of
from privpipe.features._model import Aggregate
from privpipe.features._plan import FeaturePlan
from privpipe.features._totals import ADDED, Rollup, add_totals, rollup_of

__all__ = ["Noisy", "figure_columns", "figure_type"]

Noisy: TypeAlias = Mapping[Measure, npt.NDArray[np.int64]]
"""By measure, its noisy group results: a vector, or a row a group and a column a bin, or an answer
of a search."""

Parts: TypeAlias = tuple[pa.Array, pa.Array, pa.Array]
_DIGITS = 19  # of a 64-bit integer


def figure_columns(plan: FeaturePlan, noisy: Noisy) -> dict[str, pa.Array]:
    """The columns of all figures, three each, in the spec's order; behind the groups stand their
    totals, in the order of `with_totals`, null for figures that do not add up."""
    columns: dict[str, pa.Array] = {}
    rollup = rollup_of(plan.spec)
    for aggregate in plan.spec.aggregates:
        if aggregate.kind in ADDED:
            told = _added(aggregate, plan, noisy, rollup)
        else:
            told = _FIGURES[aggregate.kind](aggregate, plan, noisy)
            more = 0 if rollup is None else rollup.nodes
            told = tuple(pa.concat_arrays([each, pa.nulls(more, each.type)]) for each in told)
        columns.update(zip(aggregate.columns, told, strict=True))
    return columns


def figure_type(aggregate: Aggregate) -> pa.DataType:
    """The type of a figure, and of both its ends."""
    if aggregate.kind in ("mean", "variance", "quantile"):
        kind: pa.DataType = pa.float64()
    elif aggregate.kind == "sum":
        kind = _decimal(_fixed(aggregate))
    else:
        kind = pa.int64()
    return pa.list_(kind) if aggregate.several else kind


def _counted(aggregate: Aggregate, plan: FeaturePlan, noisy: Noisy) -> Parts:
    return _added(aggregate, plan, noisy, None)


def _added(aggregate: Aggregate, plan: FeaturePlan, noisy: Noisy, rollup: Rollup | None) -> Parts:
    """A figure that is one sum in each group, and of groups theirs."""
    [measure] = measures_of(aggregate)
    found, mechanism, level = noisy[measure], plan.mechanism_of(measure), plan.spec.release.level
    counts = aggregate.kind != "sum" or _fixed(aggregate).low_units >= 0
    ends = interval(found, mechanism, level, counts=counts)
    shown = non_negative(found) if counts else found
    if rollup is not None:
        shown, ends = add_totals(found, mechanism, level, rollup, counts=counts)
    whole = (shown, ends.low, ends.high)
    if aggregate.kind == "histogram":
        first, low, high = (_lists(each) for each in whole)
    elif aggregate.kind == "sum":
        fixed = _fixed(aggregate)
        first, low, high = (pa.array(fixed.decimals(e), _decimal(fixed)) for e in whole)
    else:
        first, low, high = (pa.array(each) for each in whole)
    return first, low, high


def _averaged(aggregate: Aggregate, plan: FeaturePlan, noisy: Noisy) -> Parts:
    measures = measures_of(aggregate)
    told = moments_of(aggregate, plan.spec.bounds).figures(
        [noisy[each] for each in measures],
        [plan.mechanism_of(each) for each in measures],
        plan.spec.release.level,
    )
    return _parts([told[-1]], several=False)


def _ranked(aggregate: Aggregate, plan: FeaturePlan, noisy: Noisy) -> Parts:
    [measure] = measures_of(aggregate)
    edges = [float(edge) for edge in aggregate.edges]
    mechanism, level = plan.mechanism_of(measure), plan.spec.release.level
    if measure.kind == "search":
        found = measure.bisection.figures(noisy[measure], edges, mechanism, level)
        return _parts(list(found), several=aggregate.several)
    told = [quantile(noisy[measure], edges, mechanism, at, level) for at in aggregate.at]
    return _parts(told, several=aggregate.several)


def _parts(told: list[Figures], *, several: bool) -> Parts:
    kinds = (
        [each.value for each in told],
        [each.low for each in told],
        [each.high for each in told],
    )
    if not several:
        value, low, high = (pa.array(each[0]) for each in kinds)
    else:
        value, low, high = (_lists(np.column_stack(each)) for each in kinds)
    return value, low, high


def _lists(rows: npt.NDArray[Any]) -> pa.Array:
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.ravel()))


def _decimal(fixed: FixedPoint) -> pa.DataType:
    """The decimal, or the integer, that holds every noisy sum."""
    [one] = fixed.decimals(np.array([1], dtype=np.int64))
    places = -int(one.as_tuple().exponent)
    whole = max(int(fixed.step), 1)
    return pa.decimal128(min(_DIGITS + len(str(whole)) - 1, 38), places)


def _fixed(aggregate: Aggregate) -> FixedPoint:
    if aggregate.fixed is None:
        raise InternalError("a sum without its clamps", where=aggregate.name)
    return aggregate.fixed


_FIGURES: Mapping[str, Callable[[Aggregate, FeaturePlan, Noisy], Parts]] = {
    "distinct": _counted,
    "mean": _averaged,
    "variance": _averaged,
    "quantile": _ranked,
}
