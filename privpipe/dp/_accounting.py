"""What a release costs, and whether a budget still holds it.

Two kinds of composition, kept apart. The mechanisms of **one release** are fixed before any of
them runs, so their privacy loss distributions compose. **Across releases** an analyst chooses the
next one after seeing the last, and only a filter admits: the sum of epsilons and deltas (Rogers,
Roth, Ullman and Vadhan 2016) or of rhos (Feldman and Zrnic 2021; with deltas, Whitehouse, Ramdas,
Rogers and Wu 2023). A loss distribution over a whole history informs and admits nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from privpipe.dp._budget import Budget, Unit, total_budget
from privpipe.dp._exact import Written, above, below, parse_exact, rounded_up
from privpipe.dp._loss import loss_epsilon
from privpipe.dp._mechanisms import Mechanism
from privpipe.errors import BudgetError, BudgetSpent

__all__ = ["Cost", "admit", "epsilon_at", "release_cost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one release costs: `charge` is what a ledger takes; `naive` is basic composition."""

    charge: Budget
    naive: Budget


def release_cost(mechanisms: Sequence[Mechanism], unit: Unit, *, delta: Written = 0) -> Cost:
    """The cost of `mechanisms`, all fixed before the release, in a budget's `unit`.

    `rho`: the exact sums. `epsilon` without a delta: the exact sum. `epsilon` at `delta`: by
    privacy loss distributions, or the sum where that is less; rounded up to nine decimals. Naive,
    a Gaussian takes an equal share of what the thresholds leave of `delta`, by way of its rho.

    Raises: `BudgetError` for no mechanism, Gaussian noise or a threshold without a delta, and a
    delta that the thresholds use up; `MissingExtra`.
    """
    if not mechanisms:
        raise BudgetError("a release of no mechanism")
    cutoffs = sum((mechanism.delta for mechanism in mechanisms), Fraction(0))
    if unit == "rho":
        rho = sum((mechanism.rho for mechanism in mechanisms), Fraction(0))
        exact = Budget(unit="rho", amount=rho, delta=cutoffs)
        return Cost(charge=exact, naive=exact)
    at = parse_exact(delta)
    naive = _naive(mechanisms, at, cutoffs)
    composed = _composed(mechanisms, at)
    if composed is None or naive.amount <= composed:
        return Cost(charge=naive, naive=naive)
    charge = Budget(unit="epsilon", amount=composed, delta=at)
    return Cost(charge=charge, naive=naive)


def epsilon_at(mechanisms: Sequence[Mechanism], delta: Written) -> Fraction:
    """An epsilon that holds at `delta` for `mechanisms` together, if all were fixed beforehand.

    Over the mechanisms of many releases this informs only: see the top of the module.

    Raises: as `release_cost`.
    """
    return release_cost(mechanisms, "epsilon", delta=delta).charge.amount


def admit(budget: Budget, spent: Iterable[Budget], charge: Budget) -> Budget:
    """What is left of `budget` after `spent` and `charge`: the filter across releases.

    Raises: `BudgetSpent` where the charge does not fit, with what is left; `BudgetError` where
    units differ.
    """
    if charge.unit != budget.unit:
        raise BudgetError(
            f"the budget is in {budget.unit}, and the release costs {charge.unit}",
            hint=f"write what may be spent as `{budget.unit}:`, or open a budget in {charge.unit}",
        )
    so_far = total_budget(spent, budget.unit)
    if not budget.holds(so_far):
        raise BudgetSpent(f"more was spent than the budget's {budget}: {so_far}")
    left = budget.minus(so_far)
    if not left.holds(charge):
        raise BudgetSpent(
            f"the release costs {charge}, and {left} is left of {budget}",
            hint="fewer figures, more noise, or another budget for data that this one has not seen",
        )
    return left.minus(charge)


def _composed(mechanisms: Iterable[Mechanism], delta: Fraction) -> Fraction | None:
    """By loss distributions; None where they tell of no finite epsilon."""
    found = loss_epsilon(tuple(mechanisms), float(below(delta))) if delta else math.inf
    return rounded_up(max(found, 0.0) * (1 + 1e-9)) if math.isfinite(found) else None


def _naive(mechanisms: Sequence[Mechanism], delta: Fraction, cutoffs: Fraction) -> Budget:
    """The sum over mechanisms, each at its own share of delta."""
    gaussians = [mechanism for mechanism in mechanisms if mechanism.epsilon is None]
    if cutoffs > delta or (gaussians and cutoffs == delta):
        raise BudgetError(
            "Gaussian noise and private selection need a delta, and this one is used up",
            hint="a larger delta, Laplace noise, or public keys",
        )
    amount = sum((mechanism.epsilon or Fraction(0) for mechanism in mechanisms), Fraction(0))
    if not gaussians:
        return Budget(unit="epsilon", amount=amount, delta=cutoffs)
    share = float(below((delta - cutoffs) / len(gaussians)))
    for mechanism, count in Counter(gaussians).items():
        amount += count * _from_zcdp(mechanism.rho, share)
    return Budget(unit="epsilon", amount=amount, delta=delta)


def _from_zcdp(rho: Fraction, delta: float) -> Fraction:
    """An epsilon that a rho meets at delta (Canonne, Kamath and Steinke 2020, corollary 13).

    Every order of Rényi divergence gives one; the least of a grid of orders is taken.
    """
    less = np.logspace(-6, 8, 4001)  # the order, less one
    order = 1 + less
    tail = -math.log(delta) - order * np.log1p(1 / less) - np.log(less)
    least = float(np.min(float(above(rho)) * order + tail / less))
    return rounded_up(max(least, 0.0) * (1 + 1e-9))
