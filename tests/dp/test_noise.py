"""The draw: its distribution, its privacy on neighbours, its ends, and its forks.

Each look at real draws has a false alarm below one in a million, and a planted bug that it finds.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from privpipe.dp import (
    Bounds,
    Budget,
    Mechanism,
    add_noise,
    epsilon_at,
    interval,
    make_threshold,
    select,
)
from privpipe.errors import SchemaError, UsageError

Int64s = npt.NDArray[np.int64]
Drawn = tuple[Mechanism, Int64s]
Twin = Callable[[str, float, int | tuple[int, ...]], Int64s]
SURE = 5.5  # deviations: beyond on either side with a chance of 4e-8


def fits(noise: Int64s, mechanism: Mechanism) -> bool:
    """Chi-square over about 24 cells of even chance, at 1e-7 (Wilson and Hilferty 1931)."""
    scale = float(mechanism.scale)
    reach = math.ceil(40 * scale)
    at = np.arange(-reach, reach + 1)
    laplace = mechanism.noise == "laplace"
    weights = np.exp(-np.abs(at) / scale if laplace else -((at / scale) ** 2) / 2)
    below = np.cumsum(weights / weights.sum())
    ends = np.unique(np.searchsorted(below, np.arange(1, 24) / 24))
    chance = np.diff(below[ends], prepend=0.0, append=1.0)
    seen = np.bincount(np.searchsorted(at[ends], noise), minlength=len(chance))
    wanted = chance * len(noise)
    free = len(chance) - 1
    limit = free * (1 - 2 / (9 * free) + 5.2 * math.sqrt(2 / (9 * free))) ** 3
    return bool(((seen - wanted) ** 2 / wanted).sum() <= limit)


def test_the_distribution(drawn: Drawn) -> None:
    mechanism, noise = drawn
    assert fits(noise, mechanism)


def test_a_scale_that_is_3_percent_off_is_found(drawn: Drawn, twin: Twin) -> None:
    mechanism, _ = drawn
    scale = float(mechanism.scale)
    assert fits(twin(mechanism.noise, scale, 250_000), mechanism)
    for off in (0.97, 1.03):
        assert not fits(twin(mechanism.noise, off * scale, 250_000), mechanism)
    assert not fits(twin(mechanism.noise, scale, 250_000) + 1, mechanism)


def as_wide(noise: Int64s, mechanism: Mechanism) -> bool:
    return abs(float(noise.std()) / mechanism.deviation - 1) < 0.03


def test_the_declared_deviation(drawn: Drawn, twin: Twin) -> None:
    mechanism, noise = drawn
    assert as_wide(noise, mechanism)  # 3 % is 13 deviations of what is measured
    assert not as_wide(twin(mechanism.noise, 1.05 * float(mechanism.scale), 250_000), mechanism)
    error = float(np.abs(noise).mean())
    assert abs(error / mechanism.expected_error - 1) < 0.015


def covers(noise: Int64s, mechanism: Mechanism) -> bool:
    """95 % of the intervals hold the exact value, which is 0, to a hundredth."""
    ends = interval(noise, mechanism)
    return abs(float(((ends.low <= 0) & (ends.high >= 0)).mean()) - 0.95) < 0.01


def test_intervals_cover(drawn: Drawn, twin: Twin) -> None:
    mechanism, noise = drawn
    assert covers(noise, mechanism)  # a hundredth is 23 deviations
    for off in (0.9, 1.1):
        assert not covers(twin(mechanism.noise, off * float(mechanism.scale), 250_000), mechanism)


def worst_gap(one: Int64s, other: Int64s, epsilon: float) -> float:
    """The largest P(result <= t) - e^epsilon Q(result <= t), less what the sample may add."""
    found = []
    for end in range(-40, 31, 5):
        more, less = float((one <= end).mean()), float((other <= end).mean())
        spare = SURE * math.sqrt((more + math.exp(2 * epsilon) * less) / len(one))
        found.append(more - math.exp(epsilon) * less - spare)
    return max(found)


@pytest.mark.parametrize("delta", ["0", "0.05"])
def test_neighbours_are_as_hard_to_tell_apart_as_charged(
    drawn: Drawn, twin: Twin, delta: str
) -> None:
    mechanism, noise = drawn
    if mechanism.noise == "gaussian":
        delta = "0.05"  # it meets no pure epsilon
    epsilon = float(epsilon_at([mechanism], delta))
    moved = mechanism.sensitivity.linf
    half = len(noise) // 2
    assert worst_gap(noise[:half], noise[half:] + moved, epsilon) <= float(delta)
    weak = twin(mechanism.noise, 0.8 * float(mechanism.scale), (2, half))
    assert worst_gap(weak[0], weak[1] + moved, epsilon) > float(delta)


def test_noise_is_drawn_for_each_coordinate(drawn: Drawn) -> None:
    mechanism, noise = drawn
    n = len(noise) - 1
    shared = float(np.corrcoef(noise[:-1], noise[1:])[0, 1])
    assert abs(shared) < SURE / math.sqrt(n)
    again = add_noise(np.zeros(1000, dtype=np.int64), mechanism)
    assert (again != noise[:1000]).any()


PICK = make_threshold(Bounds(groups=3, rows=2).counts(), Budget.of_epsilon(1, delta="0.02"))
UNITS = 20_000


def shown_units(noisy: Int64s, threshold: int) -> float:
    """The share of units of which a key shows, each with three keys of two rows."""
    return float((noisy.reshape(UNITS, 3) > threshold).any(axis=1).mean())


def test_a_key_of_one_unit_shows_with_at_most_delta(twin: Twin) -> None:
    assert PICK.threshold is not None
    alone = np.full(3 * UNITS, 2, dtype=np.int64)
    places, noisy = select(alone, PICK)
    assert (noisy > PICK.threshold).all()
    seen = np.zeros(3 * UNITS, dtype=np.int64)
    seen[places] = noisy
    spare = SURE * math.sqrt(0.02 / UNITS)
    assert shown_units(seen, PICK.threshold) <= 0.02 + spare
    lower = PICK.threshold - math.ceil(PICK.scale / 2)
    planted = twin("laplace", float(PICK.scale), 3 * UNITS) + 2
    assert shown_units(planted, PICK.threshold) <= 0.02 + spare
    assert shown_units(planted, lower) > 0.02 + spare


def test_keys_that_are_there_show_and_others_never() -> None:
    places, noisy = select(np.array([0, 10_000, -5, 20_000], dtype=np.int64), PICK)
    assert places.tolist() == [1, 3]
    assert np.abs(noisy - [10_000, 20_000]).max() < 1000
    none, empty = select(np.zeros(0, dtype=np.int64), PICK)
    assert len(none) == len(empty) == 0
    # with noise that is sure to pass the threshold, a key that no row has still does not show
    wide = Mechanism(
        noise="laplace",
        sensitivity=PICK.sensitivity,
        scale=Fraction(1 << 50),
        threshold=2,
        delta=Fraction(99, 100),
    )
    assert set(select(np.tile(np.array([0, 5]), 500), wide)[0] % 2) == {1}


def test_a_count_at_the_threshold_stays_hidden() -> None:
    """The charge is for counts strictly above; OpenDP 0.16's own selection shows one more."""
    still = Mechanism(
        noise="laplace",
        sensitivity=Bounds(groups=1, rows=1).counts(),
        scale=Fraction(1, 64),  # any noise at all has a chance of 4e-28
        threshold=5,
        delta=Fraction(1, 100),
    )
    places, noisy = select(np.array([4, 5, 6], dtype=np.int64), still)
    assert (places.tolist(), noisy.tolist()) == ([2], [6])


def test_a_selection_needs_a_threshold(drawn: Drawn) -> None:
    with pytest.raises(UsageError, match="by a threshold"):
        select(np.zeros(1, dtype=np.int64), drawn[0])


def test_the_ends_of_64_bits_saturate(drawn: Drawn) -> None:
    """Nothing wraps: a large count never becomes a small one."""
    mechanism, _ = drawn
    most, least = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    high = add_noise(np.full(2000, most), mechanism)
    low = add_noise(np.full(2000, least), mechanism)
    assert high.min() > most - 2000
    assert low.max() < least + 2000
    assert (high == most).mean() > 0.4
    ends = interval(high, mechanism)
    assert (ends.high == most)[high == most].all()
    assert (ends.low <= high).all()
    assert (ends.low > 0).all()


def test_the_input_stays_as_it_is(drawn: Drawn) -> None:
    mechanism, _ = drawn
    values = np.arange(100, dtype=np.int64)
    values.flags.writeable = False
    for given in (values, values[::-3]):
        kept = given.copy()
        noisy = add_noise(given, mechanism)
        assert (given == kept).all()
        assert noisy.dtype == np.int64
        assert len(noisy) == len(given)


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((2, 2), np.int64), np.zeros(3, np.int32)])
def test_only_vectors_of_int64(drawn: Drawn, values: Int64s) -> None:
    with pytest.raises(SchemaError, match="vector of int64"):
        add_noise(values, drawn[0])


WIDE = {
    noise: Mechanism(
        noise=noise, sensitivity=Bounds(groups=1, rows=1).counts(), scale=Fraction(1 << 50)
    )
    for noise in ("laplace", "gaussian")
}
SHARED = np.random.default_rng(1)


def _draw(what: str) -> list[int]:
    """In a worker; the planted generator was made before the fork, as Tumult's and PyDP's are."""
    if what == "planted":
        return [int(each) for each in SHARED.integers(0, 1 << 50, 64)]
    return [int(each) for each in add_noise(np.zeros(64, dtype=np.int64), WIDE[what])]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("what", ["laplace", "gaussian", "planted"])
def test_forked_workers_repeat_nothing(what: str) -> None:
    if what != "planted":
        _draw(what)  # so that whatever the library keeps was made before the fork
    each: list[int] = []
    for _ in range(4):
        with multiprocessing.get_context("fork").Pool(1) as pool:
            each += pool.apply(_draw, (what,))
    # of 256 draws over 2^50, two are equal with a chance below 1e-10
    assert (len(set(each)) == len(each)) == (what != "planted")
