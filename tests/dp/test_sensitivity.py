"""Declared sensitivities against real neighbours."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import Bounds, Sensitivity
from privpipe.errors import BudgetError, FixedOverflow

Vector = npt.NDArray[np.int64]
GROUPS, BINS, LOW, HIGH = 3, 3, -2, 3


def moves(bounds: Bounds, what: str) -> list[Vector]:
    """What every unit within `bounds` adds to a vector: all of them, since they are few."""
    alone: list[Vector] = []
    values = range(BINS) if what == "histogram" else range(LOW, HIGH + 1)
    for rows in range(bounds.rows + 1):
        for own in product(values, repeat=rows):
            if what == "counts":
                alone.append(np.array([rows]))
            elif what == "units":
                alone.append(np.array([int(rows > 0)]))
            elif what == "sums":
                alone.append(np.array([sum(own)]))
            else:
                alone.append(np.bincount(own, minlength=BINS).astype(np.int64))
    distinct = [np.array(each) for each in sorted({tuple(move.tolist()) for move in alone})]
    nothing = np.zeros_like(distinct[0])
    return [
        np.concatenate(chosen)
        for chosen in product(distinct, repeat=GROUPS)
        if sum(bool(part.any()) for part in chosen) <= bounds.groups
    ] + [np.concatenate([nothing] * GROUPS)]


def norms(vectors: list[Vector]) -> tuple[int, int, int, int]:
    """The largest of each norm."""
    every = np.abs(np.array(vectors))
    return (
        int((every > 0).sum(axis=1).max()),
        int(every.sum(axis=1).max()),
        int((every**2).sum(axis=1).max()),
        int(every.max()),
    )


def declared(bounds: Bounds, what: str) -> Sensitivity:
    if what == "sums":
        return bounds.sums(low=LOW, high=HIGH)
    if what == "histogram":
        return bounds.histogram(bins=BINS)
    return bounds.counts() if what == "counts" else bounds.units()


@pytest.mark.parametrize("what", ["counts", "units", "sums", "histogram"])
@pytest.mark.parametrize(("groups", "rows"), [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2)])
def test_the_worst_unit_is_as_bad_as_declared(what: str, groups: int, rows: int) -> None:
    found = norms(moves(Bounds(groups=groups, rows=rows), what))
    told = declared(Bounds(groups=groups, rows=rows), what)
    assert found == (told.l0, told.l1, told.l2_squared, told.linf)


def test_a_unit_beyond_its_bounds_is_found() -> None:
    """The check above sees a unit of two groups where one was declared."""
    found = norms(moves(Bounds(groups=2, rows=1), "sums"))
    told = declared(Bounds(groups=1, rows=1), "sums")
    assert found[0] > told.l0
    assert found[1] > told.l1
    assert found[2] > told.l2_squared


def test_evenness() -> None:
    assert Bounds(groups=3, rows=2).counts().even
    assert Bounds(groups=3, rows=1).histogram(bins=9).even
    assert not Bounds(groups=3, rows=2).histogram(bins=9).even


@pytest.mark.parametrize(
    "make",
    [
        lambda: Bounds(groups=0, rows=1),
        lambda: Bounds(groups=1, rows=-1),
        lambda: Bounds(groups=1, rows=1).sums(low=1, high=0),
        lambda: Bounds(groups=1, rows=1).sums(low=0, high=0),
        lambda: Bounds(groups=1, rows=1).histogram(bins=0),
        lambda: Sensitivity(l0=1, l1=3, l2_squared=4, linf=2),
        lambda: Sensitivity(l0=2, l1=4, l2_squared=3, linf=2),
    ],
)
def test_bounds_that_contradict_are_refused(make: object) -> None:
    with pytest.raises(BudgetError):
        make()  # type: ignore[operator]


def test_a_unit_that_overflows_is_refused() -> None:
    with pytest.raises(FixedOverflow, match="64 bits"):
        Bounds(groups=4, rows=2).sums(low=0, high=1 << 60)
