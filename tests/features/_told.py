"""Whether noise is as wide as a plan tells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FEWEST = 30
LEAST, MOST = 0.18, 1.8


def is_told(off: npt.NDArray[np.float64], error: float, *, at_most: bool = False) -> bool:
    """Whether thirty independent draws or more are off by about `error`, a root mean square; by no
    more than that, if it is told `at_most`.

    It looks at their mean, which under Laplace noise is 0.71 of that: the mean of thirty
    exponential draws is a quarter of its expectation, or two and a half times that, once in fifty
    million runs (Chernoff's bound), and with Gaussian noise less often. A single draw has no such
    bound: of 68 one is off by eight deviations once in a thousand runs.
    """
    assert len(off) >= FEWEST
    mean = float(np.abs(off).mean())
    return mean < MOST * error and (at_most or mean > LEAST * error)
