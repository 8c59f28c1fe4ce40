"""An attack on a release: how much privacy loss its outputs show, at least.

Whoever draws often enough with and without one unit sees how well the two are told apart, and
(epsilon, delta) bounds that: P(event with) <= e^epsilon P(event without) + delta, for every event.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from privpipe.errors import UsageError

__all__ = ["epsilon_bound"]

Doubles = npt.NDArray[np.float64]

_EVENTS = 200  # thresholds that are tried
_FEWEST = 200


def epsilon_bound(
    present: Doubles, absent: Doubles, *, delta: float = 0.0, confidence: float = 1 - 1e-6
) -> float:
    """An epsilon that the release has at least, with a chance of `confidence`; 0 tells nothing.

    Input: a score of each of many draws, of those with the unit and of those without; the higher,
    the more a draw looks as if the unit were there. The event, a threshold to either side, is
    chosen on one half of the draws and counted on the other, so that the choice biases nothing;
    each of both chances by Clopper and Pearson (1934).
    Source: Jagielski, Ullman and Oprea 2020, section 3.

    Raises: `UsageError` for fewer than 200 draws of either, or a confidence outside (0, 1).
    """
    if min(len(present), len(absent)) < _FEWEST or not 0 < confidence < 1:
        raise UsageError(f"an audit takes at least {_FEWEST} draws of each kind")
    sides = (present, absent), (-absent, -present)
    tried = [(_best(one[::2], other[::2], delta, confidence), one, other) for one, other in sides]
    (_, threshold), one, other = max(tried, key=lambda each: each[0][0])
    return max(0.0, _bound(one[1::2], other[1::2], threshold, delta, confidence))


def _best(one: Doubles, other: Doubles, delta: float, confidence: float) -> tuple[float, float]:
    """The best bound on these draws, and its threshold."""
    cuts = np.unique(np.quantile(np.concatenate([one, other]), np.linspace(0, 1, _EVENTS)))
    found = [(_bound(one, other, float(cut), delta, confidence), float(cut)) for cut in cuts]
    return max(found)


def _bound(
    one: Doubles, other: Doubles, threshold: float, delta: float, confidence: float
) -> float:
    failure = (1 - confidence) / 2
    often = _least(int(np.count_nonzero(one > threshold)), len(one), failure)
    seldom = 1 - _least(int(np.count_nonzero(other <= threshold)), len(other), failure)
    return math.log((often - delta) / seldom) if often > delta else -math.inf


def _least(seen: int, draws: int, failure: float) -> float:
    """The least chance by which `seen` of `draws` or more come with a chance of `failure`."""
    if not seen:
        return 0.0
    counts = np.arange(seen, draws + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, draws + 1)))])
    ways = logs[draws] - logs[counts] - logs[draws - counts]
    low, high = 0.0, seen / draws
    for _ in range(60):
        middle = (low + high) / 2
        if not 0 < middle < 1:
            break
        terms = ways + counts * math.log(middle) + (draws - counts) * math.log1p(-middle)
        top = float(terms.max())
        tail = top + math.log(float(np.exp(terms - top).sum()))
        low, high = (middle, high) if tail < math.log(failure) else (low, middle)
    return low
