"""Calibration: the least noise that a budget allows, rounded to the side that hides more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from privpipe.dp._accounting import epsilon_at
from privpipe.dp._budget import Budget
from privpipe.dp._exact import Written, above, parse_exact
from privpipe.dp._libraries import opendp
from privpipe.dp._mechanisms import Mechanism, Noise
from privpipe.dp._sensitivity import INT64_MAX, Sensitivity
from privpipe.dp._tails import gaussian_tail, laplace_tail
from privpipe.errors import BudgetError, FixedOverflow

__all__ = ["Query", "fit_release", "make_gaussian", "make_laplace", "make_threshold"]

_FINER = 1e-5  # how near to the least a scale comes that is searched for by loss distributions
_SMALLEST = Fraction(1, 10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One vector that a release will show: how far a unit moves it, and its part of the budget.

    A selection of keys is by a `threshold` under Laplace noise, or a `gaussian_threshold`; with a
    `floor`, no noisy count below it is shown.
    """

    sensitivity: Sensitivity
    noise: Literal["laplace", "gaussian", "threshold", "gaussian_threshold"] = "gaussian"
    weight: Written = 1
    floor: int = 0

    @property
    def selects(self) -> bool:
        """Whether keys are selected by it."""
        return self.noise in ("threshold", "gaussian_threshold")

    @property
    def drawn(self) -> Noise:
        """The noise itself."""
        return "gaussian" if self.noise in ("gaussian", "gaussian_threshold") else "laplace"


def make_laplace(sensitivity: Sensitivity, share: Budget) -> Mechanism:
    """The least double that is a Laplace scale within `share`; a delta is left unused.

    Raises: `BudgetError` for an empty share, `FixedOverflow` for noise wider than 64 bits.
    """
    return Mechanism(
        noise="laplace", sensitivity=sensitivity, scale=_laplace_scale(sensitivity, share)
    )


def make_gaussian(sensitivity: Sensitivity, share: Budget) -> Mechanism:
    """The least double that is a Gaussian scale within `share` of rho.

    For (epsilon, delta), by loss distributions, and at most 0.001 % above the least.

    Raises: as `make_laplace`, and `BudgetError` for pure epsilon, which no Gaussian meets.
    """
    if share.unit == "rho":
        scale = _zcdp_scale(sensitivity, share.amount)
        return Mechanism(noise="gaussian", sensitivity=sensitivity, scale=scale)
    [fitted] = _fit_composed([Query(sensitivity=sensitivity)], share)
    return Mechanism(noise="gaussian", sensitivity=sensitivity, scale=fitted.scale)


def make_threshold(sensitivity: Sensitivity, share: Budget, *, floor: int = 0) -> Mechanism:
    """The least Laplace scale within `share`, and the least threshold within its delta.

    No noisy count below `floor` is shown, which a k of k-anonymity may be: it is a floor on what
    is shown, and not on how many units there are.

    Raises: as `make_laplace`, and `BudgetError` without a delta; `MissingExtra`.
    """
    scale = _laplace_scale(sensitivity, share)
    return _threshold("laplace", sensitivity, scale, share.delta, floor)


def fit_release(queries: Sequence[Query], budget: Budget) -> tuple[Mechanism, ...]:
    """The mechanisms of one release, in order, that together stay within `budget`.

    Pure epsilon and rho are divided by weight, exactly. For (epsilon, delta), scales stand to one
    another as they would if epsilon were divided by weight, and all shrink until the loss
    distributions of the whole fill the budget to 0.001 %. Thresholds divide delta by weight, or
    half of it where epsilon is composed at the other half (for Laplace noise alone, only where that
    is less noise than dividing epsilon).

    Raises: `BudgetError` for no query, an empty budget, Gaussian noise under pure epsilon, and a
    threshold without a delta; `FixedOverflow`; `MissingExtra`.
    """
    if not queries:
        raise BudgetError("a release of no query")
    if budget.kind == "approximate":
        return _fit_composed(queries, budget)
    shares = budget.split([query.weight for query in queries])
    cutoffs = _cutoffs(queries, budget.delta)
    made: list[Mechanism] = []
    for query, share, cutoff in zip(queries, shares, cutoffs, strict=True):
        own = Budget(unit=share.unit, amount=share.amount, delta=cutoff)
        make = make_gaussian if query.drawn == "gaussian" else make_laplace
        noise = make(query.sensitivity, own)
        if query.selects:
            noise = _threshold(noise.noise, query.sensitivity, noise.scale, cutoff, query.floor)
        made.append(noise)
    return tuple(made)


def _laplace_scale(sensitivity: Sensitivity, share: Budget) -> Fraction:
    if share.unit == "rho":
        return _zcdp_scale(sensitivity, share.amount)
    _some(share.amount)
    return above(sensitivity.l1 / share.amount)


def _zcdp_scale(sensitivity: Sensitivity, rho: Fraction) -> Fraction:
    """The least double with l2^2 / (2 scale^2) <= rho."""
    _some(rho)
    square = sensitivity.l2_squared / (2 * rho)
    scale = Fraction(math.nextafter(math.sqrt(square), 0.0))
    while scale**2 < square:
        scale = Fraction(math.nextafter(float(scale), math.inf))
    return scale


def _some(amount: Fraction) -> None:
    if amount < _SMALLEST:
        raise BudgetError(
            "a share of the budget that leaves nothing but noise", hint="at least 1e-9"
        )


def _cutoffs(queries: Sequence[Query], delta: Fraction) -> list[Fraction]:
    """The delta of each query: thresholds divide it, and noise alone takes none."""
    weights = [parse_exact(query.weight) if query.selects else Fraction(0) for query in queries]
    whole = sum(weights, Fraction(0))
    return [delta * weight / whole if whole else Fraction(0) for weight in weights]


def _fit_composed(queries: Sequence[Query], budget: Budget) -> tuple[Mechanism, ...]:
    """The one factor by which all scales shrink, searched for."""
    if not budget.delta:
        raise BudgetError(
            "Gaussian noise meets no pure epsilon", hint="a delta, a budget in rho, or Laplace"
        )
    _some(budget.amount)
    shares = budget.split([query.weight for query in queries])
    cutoffs = _cutoffs(queries, budget.delta / 2)

    def at(factor: float) -> tuple[Mechanism, ...]:
        return tuple(
            _scaled(query, share.amount * Fraction(factor), budget.delta, cutoff)
            for query, share, cutoff in zip(queries, shares, cutoffs, strict=True)
        )

    def over(log: float) -> float:
        try:
            epsilon = epsilon_at(at(math.exp(log)), budget.delta)
        except BudgetError:  # noise so small that no epsilon holds
            return math.inf
        return math.log(epsilon / budget.amount) if epsilon else -math.inf

    log = _last_below(over, start=math.log(0.25), least=math.log(1e-9), near=_FINER)
    if log is None:
        raise BudgetError("no noise within 64 bits meets this budget", hint="a larger delta")
    if log <= 0 and all(query.drawn == "laplace" for query in queries):
        # Divided, epsilon does no worse, and leaves the whole of delta to the thresholds.
        whole = _cutoffs(queries, budget.delta)
        return tuple(
            _scaled(query, share.amount, budget.delta, cutoff)
            for query, share, cutoff in zip(queries, shares, whole, strict=True)
        )
    return at(math.exp(log))


def _last_below(
    over: Callable[[float], float], *, start: float, least: float, near: float
) -> float | None:
    """A place where the rising function `over` is at most 0, and above 0 by `near` further on.

    None where there is none above `least`. Epsilon is nearly a power of the factor, so over
    logarithms a line through the last two places finds the root in a few steps; where it leaves the
    bracket, or the ends are far apart still, the middle is taken.
    """
    at, value = start, over(start)
    low = at if value <= 0 else None
    high = at if value > 0 else None
    slope, wide = 1.0, math.log(4)
    for step in range(200):
        if low is not None and high is not None and high - low <= near:
            return low
        guess = at - value / slope if math.isfinite(value) else math.nan
        # Aimed a little to the other side of the root, so that both ends close in.
        guess += near / 3 if low == at else -near / 3
        if low is None:
            guess = guess if at - wide < guess < at else at - wide
            if guess < least:
                return None
        elif high is None:
            guess = guess if at < guess < at + wide else at + wide
        elif not low < guess < high or step % 8 == 7:
            guess = (low + high) / 2
        found = over(guess)
        rise = (found - value) / (guess - at) if math.isfinite(found - value) else 0.0
        slope = rise if 0.2 < rise < 10 else slope
        at, value = guess, found
        low, high = (at, high) if value <= 0 else (low, at)
    return low


def _scaled(query: Query, epsilon: Fraction, delta: Fraction, cutoff: Fraction) -> Mechanism:
    """The mechanism of `query` with scales as for `epsilon` alone, by the classical formulas."""
    bounds = query.sensitivity
    width = Fraction(bounds.l1)
    if query.drawn == "gaussian":
        width = Fraction(math.sqrt(2 * math.log(1.25 / float(delta)) * bounds.l2_squared))
    scale = above(width / epsilon)
    if query.selects:
        return _threshold(query.drawn, bounds, scale, cutoff, query.floor)
    return Mechanism(noise=query.drawn, sensitivity=bounds, scale=scale)


def _threshold(
    noise: Noise, sensitivity: Sensitivity, scale: Fraction, delta: Fraction, floor: int
) -> Mechanism:
    """The least threshold with a chance of at most `delta`.

    The tail of the distribution itself is the judge, and for Laplace noise OpenDP's map too: it
    holds for counts strictly above the threshold, while its mechanism also shows one that equals it
    (0.16), which is why `select` compares by itself.
    """
    if not delta:
        raise BudgetError("private selection needs a delta", hint="a delta, or public keys")
    low = sensitivity.linf - 1  # shows a unit's own key half of the time
    high = sensitivity.linf + math.ceil(scale * 50) + 1
    while _chance(noise, sensitivity, scale, high) > delta:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if _chance(noise, sensitivity, scale, middle) <= delta else (middle, high)
        )
    high = max(high, floor - 1)
    cutoff = _chance(noise, sensitivity, scale, high)
    return Mechanism(
        noise=noise, sensitivity=sensitivity, scale=scale, threshold=high, delta=cutoff
    )


def _chance(noise: Noise, sensitivity: Sensitivity, scale: Fraction, threshold: int) -> Fraction:
    """That a unit's keys, with counts of linf, show: the union's bound, or OpenDP's if larger."""
    if threshold > INT64_MAX // 2:
        raise FixedOverflow("a threshold that 64 bits have no room for", hint="a larger delta")
    tail = gaussian_tail if noise == "gaussian" else laplace_tail
    union = sensitivity.l0 * tail(float(scale), threshold + 1 - sensitivity.linf)
    # above 0 also where a floor is so high that a double tells no chance
    least = max(Fraction(union * (1 + 1e-12)), Fraction(1, 1 << 200))
    if noise == "gaussian":
        return least
    dp = opendp()
    counts = dp.map_domain(dp.atom_domain(T="i64"), dp.atom_domain(T="i64"))
    metric = dp.l01inf_distance(dp.absolute_distance(T="i64"))
    mechanism = dp.m.make_laplace_threshold(counts, metric, float(scale), threshold)
    _, delta = mechanism.map((sensitivity.l0, sensitivity.l1, sensitivity.linf))
    return max(Fraction(delta), least)
