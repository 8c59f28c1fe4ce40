"""Consistent totals: least squares by another way, and division without negatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import consistent_totals
from privpipe.errors import UsageError

Doubles = npt.NDArray[np.float64]


def tree(seed: int) -> tuple[npt.NDArray[np.int64], Doubles, Doubles]:
    """Parents, totals and variances of a random forest, some inner nodes not measured."""
    generator = np.random.default_rng(seed)
    nodes = int(generator.integers(1, 40))
    parents = np.array([int(generator.integers(-1, node)) if node else -1 for node in range(nodes)])
    variances = generator.uniform(0.1, 9, nodes)
    for node in set(parents[parents >= 0].tolist()):
        if generator.random() < 0.2:
            variances[node] = np.inf
    return parents, generator.normal(5, 9, nodes), variances


def by_leaves(parents: npt.NDArray[np.int64]) -> Doubles:
    """Which leaves each node is the sum of."""
    nodes = len(parents)
    sums = np.eye(nodes)
    for node in range(nodes - 1, 0, -1):
        if parents[node] >= 0:
            sums[parents[node]] += sums[node]
    leaves = [node for node in range(nodes) if node not in parents]
    return sums[:, leaves]


def adds_up(totals: Doubles, parents: npt.NDArray[np.int64]) -> bool:
    parts = np.bincount(parents[parents >= 0], totals[parents >= 0], minlength=len(totals))
    inner = np.isin(np.arange(len(totals)), parents)
    return bool(np.allclose(parts[inner], totals[inner], atol=1e-7))


@pytest.mark.parametrize("seed", range(30))
def test_it_is_the_weighted_least_squares(seed: int) -> None:
    parents, noisy, variances = tree(seed)
    design, weights = by_leaves(parents), 1 / np.sqrt(variances)
    leaves = np.linalg.lstsq(design * weights[:, None], noisy * weights, rcond=None)[0]
    found = consistent_totals(noisy, variances, parents)
    assert found == pytest.approx(design @ leaves, abs=1e-7)
    assert adds_up(found, parents)


def test_other_weights_give_other_totals() -> None:
    """The comparison above sees variances that were taken for equal."""
    parents, noisy, variances = tree(3)
    finite = np.where(np.isfinite(variances), variances, 1.0)
    found, equal = consistent_totals(noisy, finite, parents), np.ones(len(noisy))
    assert not np.allclose(found, consistent_totals(noisy, equal, parents), atol=1e-3)
    assert not adds_up(noisy, parents)


@pytest.mark.parametrize("seed", range(30))
def test_counts_are_not_negative_and_add_up(seed: int) -> None:
    parents, noisy, variances = tree(seed)
    found = consistent_totals(noisy - 4, variances, parents, counts=True)
    assert (found >= 0).all()
    assert adds_up(found, parents)
    free = consistent_totals(noisy - 4, variances, parents)
    roots = parents < 0
    assert found[roots] == pytest.approx(np.maximum(free[roots], 0))
    if (free >= 0).all():
        assert found == pytest.approx(free)


@pytest.mark.parametrize("seed", range(20))
def test_a_division_is_the_nearest(seed: int) -> None:
    """No small move between two parts, which keeps the sum and no negative, comes nearer."""
    generator = np.random.default_rng(seed)
    parts, variances = generator.normal(1, 5, 8), generator.uniform(0.2, 4, 8)
    noisy, parents = np.concatenate([[7.0], parts]), np.array([-1] + [0] * 8)
    spread = np.concatenate([[1e-9], variances])  # the total is all but known
    found = consistent_totals(noisy, spread, parents, counts=True)
    free = consistent_totals(noisy, spread, parents)

    def distance(totals: Doubles) -> float:
        return float((((totals - free)[1:] ** 2) / variances).sum())

    for giver in range(1, 9):
        for taker in range(1, 9):
            moved = found.copy()
            step = min(1e-4, found[giver])
            moved[giver] -= step
            moved[taker] += step
            assert distance(moved) >= distance(found) - 1e-9


def test_it_errs_less_than_the_noise() -> None:
    generator = np.random.default_rng(11)
    parents = np.array([-1] + [0] * 4 + [1 + at // 16 for at in range(64)])
    leaves = generator.poisson(3, 64).astype(np.float64)
    exact = by_leaves(parents) @ leaves
    errors: Any = {"noisy": [], "least squares": [], "counts": []}
    for _ in range(200):
        noisy = exact + generator.normal(0, 4, len(exact))
        variances = np.full(len(exact), 16.0)
        errors["noisy"].append(noisy - exact)
        errors["least squares"].append(consistent_totals(noisy, variances, parents) - exact)
        errors["counts"].append(consistent_totals(noisy, variances, parents, counts=True) - exact)
    rms = {name: float(np.sqrt(np.mean(np.square(each)))) for name, each in errors.items()}
    assert rms["counts"] < rms["least squares"] < rms["noisy"]
    drift = float(np.mean([each[0] for each in errors["counts"]]))
    clipped = float(np.mean([np.maximum(exact + each, 0)[5:].sum() for each in errors["noisy"]]))
    assert abs(drift) < 1.5
    assert clipped - exact[0] > 30  # what leaves clipped one by one add up to


def test_two_hundred_thousand_leaves_in_one_go() -> None:
    nodes = 200_000
    parents = np.concatenate([[-1], np.zeros(400, np.int64), 1 + np.arange(nodes) % 400])
    noisy = np.ones(len(parents))
    assert adds_up(consistent_totals(noisy, noisy, parents, counts=True), parents)


@pytest.mark.parametrize(
    ("noisy", "variances", "parents"),
    [
        ([1.0, 2.0], [1.0, 1.0], [-1, 1]),
        ([1.0, 2.0], [1.0, 1.0], [1, -1]),
        ([1.0, 2.0], [1.0, 1.0], [-1, -2]),
        ([1.0, 2.0], [1.0, 1.0], [-1.0, 0.0]),
        ([1.0, 2.0], [1.0, 0.0], [-1, 0]),
        ([1.0, 2.0], [1.0, np.inf], [-1, 0]),
        ([1.0, 2.0], [1.0, np.nan], [-1, 0]),
        ([1.0, np.nan], [1.0, 1.0], [-1, 0]),
        ([1.0], [1.0, 1.0], [-1, 0]),
    ],
)
def test_what_is_no_hierarchy_is_refused(noisy: Any, variances: Any, parents: Any) -> None:
    with pytest.raises(UsageError):
        consistent_totals(noisy, variances, parents)


def test_no_node_at_all() -> None:
    assert consistent_totals([], [], np.zeros(0, np.int64)).tolist() == []
    assert consistent_totals([-2.0], [1.0], [-1], counts=True).tolist() == [0]
    assert consistent_totals([np.nan, 2.0], [np.inf, 1.0], [-1, 0]).tolist() == [2, 2]
