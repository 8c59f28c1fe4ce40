"""The figures of re-identification, from how many classes there are of each size. No Spark."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from privpipe.spark.risk._report import AttackRisk, SizeBand

__all__ = ["journalist", "prosecutor", "size_bands"]

_BANDS: tuple[tuple[int, int | None], ...] = (
    *((size, size) for size in (1, 2, 3, 4)),
    (5, 10),
    (11, None),
)


def size_bands(sizes: Mapping[int, int]) -> tuple[SizeBand, ...]:
    """`sizes` (classes by their size) in six bands, empty ones too.

    >>> [(band.least, band.rows) for band in size_bands({1: 3, 6: 2, 40: 1}) if band.classes]
    [(1, 3), (5, 12), (11, 40)]
    """
    return tuple(
        SizeBand(
            least=least,
            most=most,
            classes=sum(n for size, n in sizes.items() if _within(size, least, most)),
            rows=sum(n * size for size, n in sizes.items() if _within(size, least, most)),
        )
        for least, most in _BANDS
    )


def prosecutor(sizes: Mapping[int, int], threshold: float) -> AttackRisk:
    """Who knows that the person is in the table: each row's risk is one to the size of its class.

    Source: El Emam and Dankar, JAMIA 15(5) 2008; El Emam, Guide to the De-Identification of
    Personal Health Information (2013), chapter 16; ARX shows the same.

    >>> prosecutor({1: 1, 4: 1}, 0.2)
    AttackRisk(highest=1.0, average=0.4, rows_above=5, share_above=1.0)
    """
    return journalist({size: (n, n * size) for size, n in sizes.items()}, threshold)


def journalist(found: Mapping[int, tuple[int, int]], threshold: float) -> AttackRisk:
    """Who knows that the table was drawn from a population: one to the size of the class there.

    `found` has, by that size, how many classes of the table and how many rows of it. Source: as
    `prosecutor`. The average is over the table's rows: the expected share of right names.
    """
    rows = sum(own for _, own in found.values())
    above = sum(own for size, (_, own) in found.items() if _is_above(size, threshold))
    expected = math.fsum(own / size for size, (_, own) in found.items())
    return AttackRisk(
        highest=1 / min(found),
        average=expected / rows,
        rows_above=above,
        share_above=above / rows,
    )


def _is_above(size: int, threshold: float) -> bool:
    # As decimals are read: a class of five is not above 0.2, whose double is a little more.
    return Fraction(1, size) > Fraction(str(threshold))


def _within(size: int, least: int, most: int | None) -> bool:
    return size >= least and (most is None or size <= most)
