"""Mechanisms as facts: a noise, its scale, what it hides, what it costs and how far it errs.

A scale is a fraction that is exactly a double, since OpenDP takes a double and reads it exactly:
what is charged is what is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from privpipe.dp import _tails as tails
from privpipe.dp._exact import Written, above, parse_exact, shown
from privpipe.dp._sensitivity import Sensitivity
from privpipe.errors import BudgetError, FixedOverflow

__all__ = ["Mechanism", "Noise"]

Noise = Literal["laplace", "gaussian"]
"""A distribution over the integers"""
_WIDEST = 1 << 60  # noise of a wider scale would often saturate 64 bits, and tell nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """Noise of one `scale` added to every coordinate of a vector of `sensitivity`.

    `laplace`: integers with P(x) proportional to exp(-|x| / scale), and pure epsilon (Ghosh,
    Roughgarden and Sundararajan 2012). `gaussian`: to exp(-x^2 / (2 scale^2)), and zCDP (Canonne,
    Kamath and Steinke 2020). With a `threshold`, private selection: of the keys that the data have,
    only those with a noisy count strictly above it are shown (Korolova et al. 2009; Rogers 2023).
    A key that one unit alone brought would tell of that unit by being there; that any of a unit's
    keys is shown has at most the chance `delta`.

    Every figure is in the vector's fixed-point units, for one coordinate; none depends on data.

    Raises: `BudgetError` for a scale that is not above 0 or is no double, and for a threshold that
    a unit reaches by itself, is without a delta or under Gaussian noise; `FixedOverflow` for a
    scale that 64 bits have no room for.
    """

    noise: Noise
    sensitivity: Sensitivity
    scale: Fraction
    threshold: int | None = None
    delta: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if self.noise not in ("laplace", "gaussian"):
            raise BudgetError(f"no noise: {self.noise!r}", hint="laplace or gaussian")
        if self.scale <= 0:
            raise BudgetError("a scale of noise is above 0")
        if self.scale > _WIDEST:
            raise FixedOverflow(
                f"noise of scale {shown(self.scale)} has no room in 64 bits",
                hint="a coarser step, narrower bounds, or a larger budget",
            )
        if above(self.scale) != self.scale:
            raise BudgetError("a scale that is no double", hint="make it by the calibration")
        self._check_threshold()

    def _check_threshold(self) -> None:
        if self.threshold is None:
            if self.delta:
                raise BudgetError("noise alone has no delta of its own")
            return
        if not 0 < self.delta < 1:
            raise BudgetError("the delta of a threshold is outside (0, 1)")
        if self.threshold < self.sensitivity.linf:
            raise BudgetError(
                "a threshold that one unit reaches by itself", hint="make it by the calibration"
            )

    @property
    def epsilon(self) -> Fraction | None:
        """l1 / scale, exactly, beside `delta`; None for Gaussian noise, which meets none."""
        return self.sensitivity.l1 / self.scale if self.noise == "laplace" else None

    @property
    def rho(self) -> Fraction:
        """The exact zCDP cost: l2^2 / (2 scale^2), for both noises.

        Gaussian: Canonne, Kamath and Steinke 2020, theorem 14. Laplace: a coordinate that moves by
        d is (d / scale)-DP and so d^2 / (2 scale^2)-zCDP (Bun and Steinke 2016, proposition 3.3),
        and coordinates add up.
        """
        return self.sensitivity.l2_squared / (2 * self.scale**2)

    @property
    def deviation(self) -> float:
        """The standard deviation of the noise."""
        of = tails.laplace_deviation if self.noise == "laplace" else tails.gaussian_deviation
        return of(float(self.scale))

    @property
    def expected_error(self) -> float:
        """The mean absolute noise."""
        of = tails.laplace_error if self.noise == "laplace" else tails.gaussian_error
        return of(float(self.scale))

    def half_width(self, level: Written = "0.95", parts: int = 1) -> int:
        """The least k with P(|noise| <= k) >= `level`: the value lies within k of what is shown.

        Exact to a double's digits; a Gaussian of a scale above 1000 may be told 2 too wide. Of a
        sum of several `parts`, each with its own noise, a k that is wide enough, not the least.

        Raises: `BudgetError` for a level outside (0, 1).
        """
        exact = parse_exact(level)
        if not 0 < exact < 1:
            raise BudgetError("a confidence level lies between 0 and 1")
        scale, failure = float(self.scale), float(1 - exact)
        if parts > 1:
            return tails.summed_width(scale, parts, failure, gaussian=self.noise == "gaussian")
        of = tails.laplace_width if self.noise == "laplace" else tails.gaussian_width
        return of(scale, failure)
