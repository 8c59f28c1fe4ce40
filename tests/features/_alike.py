"""Group results of groups whose rows all have one value."""

from __future__ import annotations

import numpy as np

from privpipe.features import FeaturePlan, GroupSums, pass_measures


def sums_of(plan: FeaturePlan, counts: list[int], value: int = 20) -> GroupSums:
    """Groups of so many rows and as many units, each with the value `value`."""
    rows = np.array(counts, dtype=np.int64)
    parts = []
    for measure in pass_measures(plan):
        if measure.kind == "distinct":
            continue
        fixed = measure.fixed
        if measure.binned:
            edges = [float(edge) for edge in measure.edges]
            place = np.searchsorted(edges[1:-1], value, side="right")
            part = np.zeros((len(rows), measure.width), dtype=np.int64)
            part[:, place] = rows
        elif fixed is None:
            part = rows[:, None]
        else:
            unit = int(value / fixed.step)
            centred = 2 * unit - fixed.low_units - fixed.high_units
            width = fixed.high_units - fixed.low_units
            each = {"total": unit, "centred": centred, "squares": 2 * centred**2 - width**2}
            part = rows[:, None] * each[measure.kind]
        parts.append(part)
    there = np.flatnonzero(rows)
    distinct = sum(each.kind == "distinct" for each in pass_measures(plan))
    return GroupSums(
        groups=there,
        sums=np.hstack(parts)[there],
        pairs=((np.repeat(there, 3), np.tile(np.arange(3), len(there))),) * distinct,
    )
