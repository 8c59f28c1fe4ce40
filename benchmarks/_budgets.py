"""One budget in the units of all."""

from __future__ import annotations

import numpy as np


def rho_within(epsilon: float, delta: float) -> float:
    """The largest rho whose zCDP meets (epsilon, delta): what a peer that takes rho may spend.

    By Canonne, Kamath and Steinke 2020, corollary 13: of all conversions known the tightest.
    """
    less = np.logspace(-6, 6, 20_001)  # the order of Rényi divergence, less one
    order = 1 + less
    tail = -np.log(delta) - order * np.log1p(1 / less) - np.log(less)
    return float(np.max((epsilon - tail / less) / order))
