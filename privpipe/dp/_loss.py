"""Privacy loss distributions of the mechanisms, each no better than the truth.

For each mechanism a pair of distributions that dominates it (Zhu, Dong and Wang 2022) goes to
dp_accounting, which rounds against the user and counts what it cuts from the tails as lost.

- A unit that moves l0 coordinates by at most linf each is dominated by l0 scalar mechanisms of
  sensitivity linf: both noises are log-concave, so a smaller move is a weaker one.
- **Laplace, wide**: the pair over the reals of sensitivity d + 2 dominates that over the integers
  of d. Over the integers, delta(eps) is 1 - exp((eps - d / scale) / 2) at the losses that occur,
  which lie 2 / scale apart, as it is over the reals; between them it is at most its value at the
  lower one, that is, at eps - 2 / scale.
- **Laplace, uneven**: randomized response of l1 / scale dominates every pure mechanism.
- **Gaussian, wide**: rounding a Gaussian of the reals gives, at each integer x with |x| <= k scale,
  the integers' probability within factors exp(-1 / (8 scale^2)) and exp(k^2 / (8 scale^2)), by the
  integral over half a step to each side; the sum of the weights differs by less than exp(-19
  scale^2). So the pair over the reals, with `slack` = l0 (1 + k^2) / (8 scale^2) added to epsilon
  and the mass beyond k = 12 + linf / scale, which is below 2 exp(-72) a coordinate, to delta.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from privpipe.dp._exact import above, below
from privpipe.dp._libraries import accounting
from privpipe.dp._mechanisms import Mechanism
from privpipe.dp._tails import FINE

__all__ = ["loss_epsilon"]

_FINEST, _COARSEST = 1e-6, 1e-3  # grids of losses
_TO_GRID = 1 / 128
_RESPONSE_GRID = 1e-4  # randomized response is rounded up by as much
_POINTS = 1_000_000  # that a distribution may take: losses above 50 get a coarser grid
_HOPELESS = 50  # an epsilon of one coordinate that no distribution need tell apart from infinity
_ROUNDING = 1e-14  # kept of delta for what the sums of an FFT round: a thousand times what they do
_BEYOND = 2 * math.exp(-72)


@dataclass(frozen=True, slots=True)
class _Part:
    """One scalar pair, `times` over, and what it adds to epsilon and delta from outside."""

    kind: str
    scale: Fraction
    move: Fraction
    times: int
    slack: float = 0.0
    beyond: float = 0.0


def loss_epsilon(mechanisms: Iterable[Mechanism], delta: float) -> float:
    """An epsilon that holds at `delta` for all `mechanisms` of one release; inf where none does.

    Equal mechanisms are composed in one step. Doubles: the caller rounds up.
    """
    accounting()  # also for what is kept: without the library nothing is told
    return _kept(tuple(mechanisms), delta)


@lru_cache(maxsize=256)
def _kept(mechanisms: tuple[Mechanism, ...], delta: float) -> float:
    """Kept, since a release asks what its mechanisms cost when it fits, charges and reserves."""
    parts: Counter[_Part] = Counter()
    for mechanism in mechanisms:
        part = _part(mechanism)
        if part.move / part.scale > _HOPELESS:
            return math.inf
        parts[part] += 1
        if mechanism.delta:
            parts[_Part("cutoff", mechanism.delta, Fraction(0), 1)] += 1
    slack = sum(part.slack * count for part, count in parts.items())
    beyond = sum(part.beyond * count for part, count in parts.items())
    # exp(slack) covers the factor exp(1 / (8 scale^2)) a coordinate that delta takes
    left = (delta - beyond) * math.exp(-slack) - _ROUNDING
    if left <= 0:
        return math.inf
    grid = _grid(parts)
    whole: Any = None
    for part, count in parts.items():
        one = _distribution(part, grid)
        many = part.times * count
        alike = one if many == 1 else one.self_compose(many)
        whole = alike if whole is None else whole.compose(alike)
    return float(whole.get_epsilon_for_delta(left)) + slack if whole is not None else 0.0


def _part(mechanism: Mechanism) -> _Part:
    bounds, scale = mechanism.sensitivity, mechanism.scale
    wide = scale >= FINE
    if mechanism.noise == "laplace":
        if not bounds.even:
            return _Part("response", scale, Fraction(bounds.l1), 1)
        kind, move = ("reals", bounds.linf + 2) if wide else ("integers", bounds.linf)
        return _Part("laplace " + kind, scale, Fraction(move), bounds.l0)
    if not wide:
        return _Part("gaussian integers", scale, Fraction(bounds.linf), bounds.l0)
    reach = 12 + float(bounds.linf / scale)
    slack = bounds.l0 * (1 + reach**2) / (8 * float(scale) ** 2) * (1 + 1e-9)
    norm = above(_root(bounds.l2_squared))
    return _Part("gaussian reals", scale, norm, 1, slack, bounds.l0 * _BEYOND)


def _root(square: int) -> Fraction:
    """A fraction just above the root of an integer."""
    return Fraction(math.isqrt(square << 80) + 1, 1 << 40)


def _grid(parts: Counter[_Part]) -> float:
    """Of the losses: a part of what one mechanism loses, unless that would take too many points.

    Connecting the dots adds to the variance of a loss a quarter of the grid's square at most. Where
    the grid is 1 / 128 of the mechanisms' mean square, that is 2e-5 of the whole variance, and
    epsilon grows by about as much.
    """
    range_ = squares = 0.0
    all_ = 0
    finest = _COARSEST
    for part, count in parts.items():
        if part.kind == "cutoff":
            continue
        ratio = float(part.move / part.scale)
        many = part.times * count
        most = ratio * many
        if part.kind.startswith("gaussian"):
            most = min(most * (14 + ratio), many * ratio**2 + 14 * ratio * math.sqrt(many))
        if part.kind == "response":
            finest = _RESPONSE_GRID
        range_ += most
        squares += many * ratio**2
        all_ += many
    wanted = _TO_GRID * math.sqrt(squares / all_) if all_ else finest
    return max(min(wanted, finest), _FINEST, 2 * range_ / _POINTS)


def _distribution(part: _Part, grid: float) -> Any:
    """One scalar pair; its parameter rounded to the side that loses more."""
    pld = accounting()
    options = {"value_discretization_interval": grid}
    if part.kind in ("cutoff", "response"):
        epsilon = 0.0 if part.kind == "cutoff" else float(above(part.move / part.scale))
        delta = float(above(part.scale)) if part.kind == "cutoff" else 0.0
        pure = pld.common.DifferentialPrivacyParameters(epsilon, delta)
        return pld.from_privacy_parameters(pure, **options)
    options["use_connect_dots"] = True
    if part.kind == "laplace integers":
        return pld.from_discrete_laplace_mechanism(
            float(above(1 / part.scale)), int(part.move), **options
        )
    scale = float(below(part.scale))
    if part.kind == "gaussian integers":
        return pld.from_discrete_gaussian_mechanism(scale, int(part.move), **options)
    make = pld.from_laplace_mechanism if "laplace" in part.kind else pld.from_gaussian_mechanism
    return make(scale, float(above(part.move)), **options)
