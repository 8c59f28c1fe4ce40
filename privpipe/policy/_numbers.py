"""The numbers of a policy, exactly as they are written: 0.1 is a tenth."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["MOST_DECIMALS", "decimals", "exact"]

MOST_DECIMALS = 6
"""The most decimals that a width, a start or a bound has: a `decimal(38, 6)` still adds exactly."""


def exact(number: float) -> Fraction:
    """`number` as its shortest decimal says it, which is how it stood in the file."""
    return Fraction(str(number))


def decimals(*numbers: float) -> int | None:
    """How many decimals write all of `numbers` exactly; None where six are too few."""
    values = [exact(number) for number in numbers]
    for count in range(MOST_DECIMALS + 1):
        if all((value * 10**count).denominator == 1 for value in values):
            return count
    return None
