"""The audit of draws: it finds what is there, and claims no more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta  # type: ignore[import-untyped]

from privpipe.dp import epsilon_bound
from privpipe.dp._audit import _least
from privpipe.errors import UsageError

RNG = np.random.default_rng(7)


def answers(truth: int, epsilon: float, draws: int) -> np.ndarray[Any, Any]:
    """Randomized response: the truth with a chance of e^epsilon / (1 + e^epsilon)."""
    honest = RNG.random(draws) < math.exp(epsilon) / (1 + math.exp(epsilon))
    return np.where(honest, truth, 1 - truth).astype(np.float64)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0])
def test_the_bound_is_near_and_below(epsilon: float) -> None:
    found = epsilon_bound(answers(1, epsilon, 100_000), answers(0, epsilon, 100_000))
    assert 0.85 * epsilon < found <= epsilon
    with_delta = epsilon_bound(
        answers(1, epsilon, 100_000), answers(0, epsilon, 100_000), delta=0.1
    )
    assert with_delta < found


def test_draws_that_are_alike_tell_nothing() -> None:
    assert epsilon_bound(RNG.normal(size=5000), RNG.normal(size=5000)) == 0
    assert epsilon_bound(np.zeros(500), np.zeros(500)) == 0
    with pytest.raises(UsageError, match="at least 200"):
        epsilon_bound(np.zeros(199), np.zeros(500))


@pytest.mark.parametrize(("seen", "draws"), [(0, 10), (1, 10), (7, 50), (50, 50), (400, 1000)])
def test_the_chance_is_clopper_and_pearsons(seen: int, draws: int) -> None:
    exact = beta.ppf(1e-6, seen, draws - seen + 1) if seen else 0.0
    assert _least(seen, draws, 1e-6) == pytest.approx(exact, rel=1e-9)
