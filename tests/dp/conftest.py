"""Draws that several tests look at, made once, and what they are compared with."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import Bounds, Mechanism, add_noise

Int64s = npt.NDArray[np.int64]
SCALE = Fraction(41, 2)
LAPLACE = Mechanism(noise="laplace", sensitivity=Bounds(groups=1, rows=20).counts(), scale=SCALE)
GAUSSIAN = Mechanism(noise="gaussian", sensitivity=Bounds(groups=1, rows=20).counts(), scale=SCALE)


@pytest.fixture(scope="session", params=[LAPLACE, GAUSSIAN], ids=lambda each: str(each.noise))
def drawn(request: pytest.FixtureRequest) -> tuple[Mechanism, Int64s]:
    """A mechanism and 250,000 draws of its noise, by nobody's seed."""
    mechanism: Mechanism = request.param
    return mechanism, add_noise(np.zeros(250_000, dtype=np.int64), mechanism)


@pytest.fixture
def twin() -> Callable[[str, float, int | tuple[int, ...]], Int64s]:
    """Seeded noise by numpy, for tests of what is made of noise, and for planted bugs.

    The difference of two geometric draws is discrete Laplace; a rounded normal draw is discrete
    Gaussian to one part in a thousand at the scales here.
    """
    generator = np.random.default_rng(20260901)

    def draw(noise: str, scale: float, shape: int | tuple[int, ...]) -> Int64s:
        if noise == "gaussian":
            return np.rint(generator.normal(0, scale, shape)).astype(np.int64)
        chance = -np.expm1(-1 / scale)
        return np.asarray(generator.geometric(chance, shape) - generator.geometric(chance, shape))

    return draw
