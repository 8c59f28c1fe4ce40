"""What an attacker may find, who knows both of two neighbours, the mechanisms, and all that was
drawn: an event S with P(S) > e^epsilon Q(S) + delta."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv  # type: ignore[import-untyped]

from privpipe.dp import epsilon_at
from privpipe.features import FeaturePlan

Doubles = npt.NDArray[np.float64]
RUNS = 4000
DOUBT = 1e-12  # of one look; of all together below one in a million


def claimed(plan: FeaturePlan) -> tuple[float, float]:
    """Epsilon and delta: those that are charged, or what a rho is at a delta of 0.1."""
    charge = plan.cost.charge
    if charge.unit == "epsilon":
        return float(charge.amount), float(charge.delta)
    return float(epsilon_at(plan.mechanisms, "0.1")), 0.1


def gap(one: Doubles, other: Doubles, epsilon: float) -> float:
    """The largest P(S) - e^epsilon Q(S) over thresholds, of chances that are surely no smaller and
    no larger (Clopper and Pearson 1934)."""
    runs = len(one)
    cuts = np.unique(np.quantile(np.concatenate([one, other]), np.linspace(0.02, 0.98, 49)))
    often, seldom = ((each[:, None] >= cuts).sum(axis=0) for each in (one, other))
    least = np.where(often, betaincinv(np.maximum(often, 1), runs - often + 1, DOUBT), 0.0)
    most = np.where(
        seldom < runs, betaincinv(seldom + 1, np.maximum(runs - seldom, 1), 1 - DOUBT), 1.0
    )
    return float((least - math.exp(epsilon) * most).max())


def widest(one: Doubles, other: Doubles, epsilon: float) -> float:
    """`gap` of either neighbour from the other, of thresholds from above and from below."""
    pairs = ((one, other), (-other, -one), (-one, -other), (other, one))
    return max(gap(*pair, epsilon) for pair in pairs)


def log_ratio(near: Doubles, far: Doubles, *, gaussian: bool) -> Doubles:
    """How much likelier noise `near` is than `far`, both in scales, a row a release."""
    near, far = np.abs(near), np.abs(far)
    if gaussian:
        near, far = near**2 / 2, far**2 / 2
    return np.asarray((far - near).sum(axis=1), dtype=np.float64)
