"""What would make room in 64 bits for the sum that one unit moves, and for its noise."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, isqrt

from privpipe.dp import Bounds, Budget
from privpipe.features._measures import Measure

__all__ = ["room_hint"]

_MOST = (1 << 63) - 1
_NOISE = 1 << 12  # times what a unit moves, at an epsilon of 1 that several figures share


def room_hint(measure: Measure, bounds: Bounds, budget: Budget) -> str | None:
    """Which step, bounds or clamps would do, each by itself; None for what has no clamps."""
    room = _MOST // (_NOISE * ceil(1 / min(budget.amount, Fraction(1))))
    if measure.fixed is None:
        return None
    squared, step = measure.kind == "squares", measure.fixed.step
    times = -(-measure.largest * bounds.rows * bounds.groups // room)
    if times <= 1:
        return None
    if squared:
        times = isqrt(times) + 1
    ways = []
    coarse = step * 10 ** len(str(times - 1))
    if coarse < measure.fixed.high - measure.fixed.low:
        ways.append(f"a step of {coarse}")
    rows = room // (measure.largest * bounds.groups)
    if rows:
        ways.append(f"bounds.rows of at most {rows:,}")
    ways.append(f"a low and a high that lie {times:,} times closer")
    return ", or ".join(ways)
