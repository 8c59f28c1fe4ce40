"""Where noisy answers let a function cross 0: beside a slow twin, at the ends, and by itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privpipe.dp._crossing import _smoothed, crossing

Doubles = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


def answers_of(random: np.random.Generator, groups: int, steps: int) -> tuple[Int64s, Int64s]:
    places = random.integers(1, 90, (groups, steps))
    answers = (places * 40 - 1600) + random.normal(0, 300, (groups, steps))
    return places, np.rint(answers).astype(np.int64)


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_the_smoother_agrees_with_the_covariances(seed: int, steps: int) -> None:
    """Of a Brownian bridge about a line, all at once: Gaussian conditioning and its evidence."""
    random = np.random.default_rng(seed)
    share, noise = random.uniform(0.1, 0.9), random.uniform(1, 100)
    at = np.sort(np.append(random.integers(1, 20, steps - 1), 7) / 20.0)  # some of them twice
    told = random.normal(0, 30, steps)
    ranges, spread = random.uniform(1, 99, (2, 1)), random.uniform(1, 999, (2, 1))
    bends, likely = _smoothed(at[:, None], told[:, None], ranges, spread, share, noise)
    for row in range(2):
        bridge = spread[row] * (np.minimum(at[:, None], at) - at[:, None] * at)
        whole = bridge + noise * np.eye(steps)
        off = told - ranges[row] * (at - share)
        solved = np.linalg.solve(whole, off)
        assert np.allclose([float(each[row, 0]) for each in bends], bridge @ solved, atol=1e-6)
        evidence = -(np.linalg.slogdet(whole)[1] + off @ solved) / 2
        # that the bridge ends at 0 is one answer more, which is the same for all of one spread
        end = -float(np.log(spread[row, 0])) / 2
        assert float(likely[row, 0]) == pytest.approx(evidence + end, abs=1e-6)


def test_without_noise_it_is_the_line_between_the_nearest_answers() -> None:
    places = np.array([[64, 32, 16, 24, 20]] * 2)
    answers = np.array([[900, 500, -800, 90, -30], [900, 500, -800, 0, -30]])
    found = crossing(places, answers, bins=128, share=0.5, deviation=0.0)
    assert found == pytest.approx([21.0, 24.0], abs=0.01)


def test_where_noise_is_large_all_answers_tell() -> None:
    """The last two alone would say 40 and 60: the others stand on one line, with its 0 at 50."""
    places = np.array([[20, 40, 60, 80]] * 2)
    answers = np.array([[-300, 0, 100, 300], [-300, -100, 0, 300]])
    found = crossing(places, answers, bins=100, share=0.5, deviation=100.0)
    assert (np.abs(found - 50) < 6).all()


def test_nothing_but_noise_is_the_quantile_of_even_rows() -> None:
    places = np.array([[50, 25, 75]])
    for share in (0.1, 0.5, 0.9):
        told = np.zeros((1, 3), dtype=np.int64)
        [found] = crossing(places, told, bins=100, share=share, deviation=1e6)
        assert abs(float(found) - 50) <= 100 * abs(share - 0.5) + 1e-9


def test_a_group_is_the_same_wherever_it_stands() -> None:
    """Bit for bit: the edges that were asked are found again from the answers."""
    random = np.random.default_rng(5)
    places, answers = answers_of(random, 9001, 6)

    def of(order: Int64s) -> Doubles:
        return crossing(places[order], answers[order], bins=90, share=0.5, deviation=300.0)

    whole = of(np.arange(9001))
    for order in (random.permutation(9001), np.arange(9001)[::7], np.arange(3, 4)):
        assert (of(order) == whole[order]).all()


@pytest.mark.parametrize("far", [1, 10**6, 2**63 - 1])
def test_answers_of_any_size_are_told(far: int) -> None:
    places = np.array([[45, 45, 1, 89], [45, 45, 1, 89]])
    answers = np.array([[far, -far, -far, far], [-far, -far, far, far]])
    found = crossing(places, answers, bins=90, share=0.25, deviation=3.0)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 90)).all()
