"""Consistent totals: noisy counts of groups and of groups of groups, made to add up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from privpipe.dp._figures import Doubles
from privpipe.errors import UsageError

__all__ = ["consistent_totals"]

Places = npt.NDArray[np.intp]


def consistent_totals(
    noisy: npt.ArrayLike,
    variances: npt.ArrayLike,
    parents: npt.ArrayLike,
    *,
    counts: bool = False,
) -> Doubles:
    """The totals nearest to the noisy ones of which each is the sum of its parts.

    Input: three vectors, a node of the hierarchy in each place: its noisy total; its noise's
    variance (inf for one that was not measured, and has parts); the place of the node it is part
    of, which comes earlier, or -1. Output: doubles, the weighted least squares over the whole tree
    (Hay, Rastogi, Miklau and Suciu 2010, with unequal variances), and the best linear unbiased
    ones. With `counts` none is below 0: going down, each node's total is divided among its parts
    by the nearest division without a negative one, so that totals do not drift upwards.

    Raises: `UsageError` for vectors that make no tree.
    """
    found, spread, above = _checked(noisy, variances, parents)
    families = list(_families(above))
    best, error = found.copy(), spread.copy()
    for parent, parts in reversed(families):
        total, unsure = best[parts].sum(), error[parts].sum()
        trust = unsure / (unsure + spread[parent])  # 0 where the parent was not measured
        best[parent] = total + trust * (found[parent] - total if trust else 0.0)
        error[parent] = unsure * (1 - trust)
    if counts:
        roots = above < 0
        best[roots] = np.maximum(best[roots], 0)
    for parent, parts in families:
        if counts:
            best[parts] = _divided(best[parent], best[parts], error[parts])
        else:
            missing = best[parent] - best[parts].sum()
            best[parts] += missing * error[parts] / error[parts].sum()
    return best


def _checked(
    noisy: npt.ArrayLike, variances: npt.ArrayLike, parents: npt.ArrayLike
) -> tuple[Doubles, Doubles, Places]:
    found = np.asarray(noisy, dtype=np.float64)
    spread = np.asarray(variances, dtype=np.float64)
    above = np.asarray(parents)
    if above.dtype.kind != "i" or not (
        found.ndim == 1 and found.shape == spread.shape == above.shape
    ):
        raise UsageError("a hierarchy is three vectors of one length; parents are integers")
    places = above.astype(np.intp)
    if not ((places >= -1) & (places < np.arange(len(places)))).all():
        raise UsageError("a node of a hierarchy comes before its parts")
    inner = np.zeros(len(places), dtype=np.bool_)
    inner[places[places >= 0]] = True
    if not ((spread > 0) & (inner | np.isfinite(spread))).all():
        raise UsageError("a variance is above 0, and finite for a node without parts")
    if not np.isfinite(found[np.isfinite(spread)]).all():
        raise UsageError("a noisy total is finite")
    return found, spread, places


def _families(above: Places) -> Iterator[tuple[int, Places]]:
    """Each node that has parts, from the top down, with their places."""
    order = np.argsort(above, kind="stable").astype(np.intp)
    order = order[np.count_nonzero(above < 0) :]
    starts = np.flatnonzero(np.diff(above[order])) + 1
    for parts in np.split(order, starts) if len(order) else []:
        yield int(above[parts[0]]), parts


def _divided(total: float, parts: Doubles, spread: Doubles) -> Doubles:
    """Nearest to `parts`, by squares over variances, that is not negative and sums to `total`.

    It is max(0, part + shift * variance) for one shift; parts turn positive in a known order.
    """
    turn = -parts / spread
    order = np.argsort(turn)
    shifts = (total - np.cumsum(parts[order])) / np.cumsum(spread[order])
    active = np.flatnonzero(shifts > turn[order])
    if not len(active):
        return np.zeros_like(parts)
    divided: Doubles = np.maximum(0.0, parts + shifts[active[-1]] * spread)
    return divided
