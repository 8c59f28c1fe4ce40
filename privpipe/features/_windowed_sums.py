"""The one pass over rows that lie in several windows: of a unit each window keeps what its own rows
let it, as if there were no other.

So every figure over a window has the sensitivity that it has without windows, and which rows lie in
another window changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privpipe.dp import Bounds
from privpipe.features._bounded import BoundedSums
from privpipe.features._grouped import OURS
from privpipe.features._measures import Measure
from privpipe.features._sums import GroupSums

__all__ = ["WINDOWS", "WindowedSums", "bounded_sums", "of_all_rows"]

Int64s = npt.NDArray[np.int64]

WINDOWS = f"{OURS}windows"
"""The windows that a row is in: a bit for each, by its place"""


def of_all_rows(measures: Iterable[Measure]) -> tuple[Measure, ...]:
    """What is measured, each once, whatever windows it is over."""
    return tuple(dict.fromkeys(replace(each, window=None) for each in measures))


def bounded_sums(
    measures: Sequence[Measure], bounds: Bounds, names: Int64s, *, per_unit: bool
) -> BoundedSums | WindowedSums:
    """What folds the rows: by windows where a measure is over one."""
    kind = WindowedSums if any(each.window is not None for each in measures) else BoundedSums
    return kind(measures, bounds, names, per_unit=per_unit)


class WindowedSums:
    """As `BoundedSums`, of rows that have `WINDOWS` too, and are in one of them at least.

    What is over no window, as the count that selects groups is, is of all of these rows.
    """

    def __init__(
        self, measures: Sequence[Measure], bounds: Bounds, names: Int64s, *, per_unit: bool
    ) -> None:
        self._measures = tuple(measures)
        self._apart = {
            window: BoundedSums(
                [replace(each, window=None) for each in measures if each.window == window],
                bounds,
                names,
                per_unit=per_unit,
            )
            for window in dict.fromkeys(each.window for each in measures)
        }

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows, each for the windows that it is in."""
        bits = batch.column(WINDOWS).to_numpy()
        for window, sums in self._apart.items():
            inside = batch if window is None else batch.filter(pa.array(bits >> window & 1 == 1))
            sums.add(inside)

    def totals(self) -> GroupSums:
        """The sums of all that was added, in the order of the measures. Call it once."""
        return _side_by_side(
            self._measures, {window: sums.totals() for window, sums in self._apart.items()}
        )


def _side_by_side(measures: Sequence[Measure], told: Mapping[int | None, GroupSums]) -> GroupSums:
    """One row for each group that any window has; where a window has no row of it, 0."""
    groups = np.unique(np.concatenate([each.groups for each in told.values()]))
    width = sum(each.width for each in measures if each.kind != "distinct")
    sums = np.zeros((len(groups), width), dtype=np.int64)
    rows = {window: np.searchsorted(groups, each.groups) for window, each in told.items()}
    columns = {window: iter(each.sums.T) for window, each in told.items()}
    distinct = {window: iter(each.pairs) for window, each in told.items()}
    pairs, at = [], 0
    for measure in measures:
        if measure.kind == "distinct":
            pairs.append(next(distinct[measure.window]))
            continue
        for _ in range(measure.width):
            sums[rows[measure.window], at] = next(columns[measure.window])
            at += 1
    return GroupSums(groups=groups, sums=sums, pairs=tuple(pairs))
