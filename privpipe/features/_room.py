"""What would make room in 64 bits for the sum that one unit moves."""

from __future__ import annotations

from math import isqrt

from privpipe.dp import Bounds
from privpipe.features._measures import Measure

__all__ = ["room_hint"]

_MOST = (1 << 63) - 1


def room_hint(measure: Measure, bounds: Bounds) -> str | None:
    """Which step, bounds or clamps would do, each by itself; None for what has no clamps."""
    if measure.fixed is None:
        return None
    squared, step = measure.kind == "squares", measure.fixed.step
    times = -(-measure.largest * bounds.rows * bounds.groups // _MOST)
    if squared:
        times = isqrt(times) + 1
    ways = []
    coarse = step * 10 ** len(str(times - 1))
    if coarse < measure.fixed.high - measure.fixed.low:
        ways.append(f"a step of {coarse}")
    rows = _MOST // (measure.largest * bounds.groups)
    if rows:
        ways.append(f"bounds.rows of at most {rows:,}")
    ways.append(f"a low and a high that lie {times:,} times closer")
    return ", or ".join(ways)
