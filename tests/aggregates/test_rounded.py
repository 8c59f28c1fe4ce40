"""Exact sums become the nearest doubles: Python's own division of integers is the judge."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from privpipe.aggregates._digits import DIGITS, as_integers
from privpipe.aggregates._made import nearest
from privpipe.aggregates._rounded import as_doubles, as_int64s


def sums(numbers: list[int]) -> pa.StructArray:
    """As `summed` writes them."""
    rows = []
    for number in numbers:
        digits, size, first = [], abs(number), 0
        while size and size % 2**32 == 0:
            size, first = size >> 32, first + 1
        while size:
            digits.append((size % 2**32) * (-1 if number < 0 else 1))
            size >>= 32
        rows.append({"first": first if digits else 0, "digits": digits})
    return pa.array(rows, DIGITS)


def hard(random: np.random.Generator, scale: int) -> list[int]:
    """Ties, what is just beside a tie, carries into the next power of two, ends of the range."""
    found = [0, 1, -1, 2**32 - 1, 2**32, 2**64 - 1, -(2**64), 3 << (32 * 9), 2**62, -(2**63)]
    for power in (54, 63, 64, 65, 96, 97, 128, 160, 1000, 2000):
        for _ in range(20):
            mantissa = int(random.integers(2**52, 2**53))
            tie = ((mantissa << 1) + 1) << (power - 54)
            found += [tie, tie + 1, -tie + 1, (2**54 - 1) << (power - 54), tie + (1 << power // 2)]
    found += [(2**53 - 1) << (971 + scale), (2**54 - 1) << (970 + scale), -(1 << (1024 + scale))]
    return found + [int(each) for each in random.integers(-(2**62), 2**62, 200)]


@pytest.mark.parametrize("scale", [0, 1074])
def test_doubles_are_the_nearest(scale: int) -> None:
    numbers = hard(np.random.default_rng(5), scale)
    found = as_doubles(sums(numbers), scale).tolist()
    assert list(map(repr, found)) == [repr(nearest(each, 1 << scale)) for each in numbers]
    sliced = as_doubles(sums(numbers).slice(7, 50), scale).tolist()
    assert sliced == found[7:57]


def test_integers() -> None:
    numbers = [0, 1, -1, 2**32, -(2**32) - 5, 2**62 - 1, -(2**62) + 1]
    found = as_int64s(sums(numbers).slice(1))
    assert found is not None
    assert found.tolist() == numbers[1:]
    for long in (2**62, -(2**63), 2**64, 2**96):
        assert as_int64s(sums([5, long])) is None
    assert as_integers(sums(numbers)) == [
        (number >> (32 * place), place)
        for number, place in zip(numbers, [0, 0, 0, 1, 0, 0, 0], strict=True)
    ]
    assert as_doubles(sums([]), 0).tolist() == []
