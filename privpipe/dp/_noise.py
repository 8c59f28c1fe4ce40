"""The draw: one call of OpenDP on an int64 vector; nothing is seeded, and a fork repeats nothing.

OpenDP asks the system for its random bits at each draw, so that two processes that forked from
one parent share no state. It saturates at the ends of 64 bits, which is post-processing: a result
that stands at an end tells that it is at least as large, and costs no more privacy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from privpipe.dp._libraries import opendp
from privpipe.dp._mechanisms import Mechanism
from privpipe.errors import SchemaError, UsageError

__all__ = ["Int64s", "add_noise", "select"]

Int64s = npt.NDArray[np.int64]


def add_noise(values: Int64s, mechanism: Mechanism) -> Int64s:
    """`values` with noise of its own on each.

    Input: a vector of int64, in fixed-point units; it is left as it is and may be read-only.
    Output: another of the same length. Call it once a release and write what it gives: a second
    call is a second release. A threshold is for `select`, and nothing is
    selected here.

    Limits: saturates at -2^63 and 2^63 - 1. 0.01 ms a value.
    Raises: `SchemaError` for anything but a vector of int64, `MissingExtra`.
    """
    if values.dtype != np.int64 or values.ndim != 1:
        raise SchemaError(
            f"noise is added to a vector of int64, and not to {values.ndim} dimensions of "
            f"{values.dtype}"
        )
    drawn = _measurement(mechanism)(np.array(values, dtype=np.int64))  # a copy: it must be writable
    return np.array(drawn, dtype=np.int64)


def select(counts: Int64s, mechanism: Mechanism) -> tuple[npt.NDArray[np.intp], Int64s]:
    """Which keys may be shown, by their places, and their noisy counts.

    Input: the counts of the keys that the data have, as for `add_noise`. A count below 1 is a key
    that the data do not have, and is never shown.

    Raises: as `add_noise`, and `UsageError` for a mechanism without a threshold.

    >>> from privpipe.dp import Budget, Bounds, make_threshold, select
    >>> pick = make_threshold(Bounds(groups=1, rows=1).counts(), Budget.of_epsilon(1, delta="1e-9"))
    >>> places, noisy = select(np.array([100000, 1, 0]), pick)
    >>> places.tolist(), bool(noisy[0] > 99000)
    ([0], True)
    """
    if mechanism.threshold is None:
        raise UsageError("a selection is by a threshold", hint="make_threshold")
    there = np.flatnonzero(counts >= 1)
    noisy = add_noise(counts[there], mechanism)
    shown = noisy > mechanism.threshold
    return there[shown], noisy[shown]


def _measurement(mechanism: Mechanism) -> Any:  # OpenDP's own types stay inside
    dp = opendp()
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    scale = float(mechanism.scale)
    if mechanism.noise == "laplace":
        return dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale)
    return dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale)
