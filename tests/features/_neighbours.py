"""Tables that differ by one unit, and how far apart their sums are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from privpipe.dp import Bounds
from privpipe.features._sums import GroupSums
from tests.features._tables import ALL, Row, as_dict, folded, hashed

Change = np.ndarray[Any, Any]
NUMBERS = sum(measure.width for measure in ALL)


def moved(with_it: GroupSums, without: GroupSums) -> Change:
    """By group and number, how far one unit moved the sums."""
    return difference(as_dict(with_it), as_dict(without))


def difference(one: dict[int, list[int]], other: dict[int, list[int]]) -> Change:
    nothing = [0] * NUMBERS
    groups = sorted(one.keys() | other.keys())
    lines = [np.subtract(one.get(each, nothing), other.get(each, nothing)) for each in groups]
    return np.array(lines).reshape(len(groups), NUMBERS)


def within_sensitivity(change: Change, bounds: Bounds) -> bool:
    """Whether no measure moved further than it declares, in any norm."""
    at = 0
    for measure in ALL:
        width = measure.width
        part = np.abs(change[:, at : at + width]).astype(object)
        at += width
        told = measure.sensitivity(bounds)
        fits = (
            np.count_nonzero(part) <= told.l0
            and part.sum() <= told.l1
            and (part**2).sum() <= told.l2_squared
            and part.max(initial=0) <= told.linf
        )
        if not fits:
            return False
    return True


def by_value(
    rows: Sequence[Row], bounds: Bounds, *, per_unit: bool = True, by_place: bool = False
) -> dict[int, list[int]]:
    """The sums of a table whose groups are found in it, as a selection finds them: a group's place
    is its rank among those that are there. `by_place` plants names that are no more than that."""
    values = sorted({row[1] for row in rows})
    names = [at if by_place else hashed("group", value) for at, value in enumerate(values)]
    placed: list[Row] = [(unit, values.index(group), x, y) for unit, group, x, y in rows]
    sums = folded(placed, bounds, np.array(names, dtype=np.int64), per_unit=per_unit)
    return {values[place]: line for place, line in as_dict(sums).items()}
