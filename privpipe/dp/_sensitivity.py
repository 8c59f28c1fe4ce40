"""Sensitivity: how far one unit can move a vector of group results, from the bounds alone.

Neighbours differ by one unit, added or removed, with all its rows (row-level privacy: one group,
one row). Everything is an integer in fixed-point units, so that nothing rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from privpipe.errors import BudgetError, FixedOverflow

__all__ = ["INT64_MAX", "Bounds", "Sensitivity"]

INT64_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """By how much one unit can change a vector, in fixed-point units.

    `l0` coordinates at most, each by at most `linf`, all together by at most `l1`, and their
    squares by at most `l2_squared` (an integer, where the norm itself would round).

    Raises: `BudgetError` for norms that contradict one another, `FixedOverflow` above 64 bits.
    """

    l0: int
    l1: int
    l2_squared: int
    linf: int

    def __post_init__(self) -> None:
        if min(self.l0, self.l1, self.l2_squared, self.linf) < 1:
            raise BudgetError(
                "a sensitivity below 1: the result would not depend on anyone",
                hint="bounds that leave room for a value other than 0",
            )
        fits = self.linf <= self.l1 <= self.l0 * self.linf
        if not (fits and self.linf**2 <= self.l2_squared <= self.l0 * self.linf**2):
            raise BudgetError("norms of a sensitivity that contradict one another")
        if self.l1 > INT64_MAX:
            raise FixedOverflow("a unit could add more than 64 bits hold", hint="a coarser step")

    @property
    def even(self) -> bool:
        """Whether the worst unit moves `l0` coordinates by `linf` each."""
        return self.l1 == self.l0 * self.linf and self.l2_squared == self.l0 * self.linf**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What of a unit is kept: at most `groups` groups, and at most `rows` rows in each.

    Raises: `BudgetError` for a bound below 1.

    >>> Bounds(groups=3, rows=2).sums(low=-5, high=4)
    Sensitivity(l0=3, l1=30, l2_squared=300, linf=10)
    """

    groups: int
    rows: int

    def __post_init__(self) -> None:
        if self.groups < 1 or self.rows < 1:
            raise BudgetError("bounds of groups and of rows are at least 1")

    def counts(self) -> Sensitivity:
        """Of rows in each group; of distinct bounded keys likewise."""
        return self._even(self.rows)

    def units(self) -> Sensitivity:
        """Of units in each group: a unit counts once, whatever its rows."""
        return self._even(1)

    def sums(self, *, low: int, high: int) -> Sensitivity:
        """Of values clamped to `low..high`, in fixed-point units."""
        if low > high:
            raise BudgetError("the lower clamp lies above the upper one")
        return self._even(self.rows * max(abs(low), abs(high)))

    def histogram(self, *, bins: int) -> Sensitivity:
        """Of rows in each bin of each group: a row lies in one bin.

        All rows of a unit in one bin move the squares most, and rows in bins of their own the
        number of coordinates.
        """
        if bins < 1:
            raise BudgetError("a histogram has at least one bin")
        return Sensitivity(
            l0=self.groups * min(self.rows, bins),
            l1=self.groups * self.rows,
            l2_squared=self.groups * self.rows**2,
            linf=self.rows,
        )

    def _even(self, linf: int) -> Sensitivity:
        return Sensitivity(
            l0=self.groups, l1=self.groups * linf, l2_squared=self.groups * linf**2, linf=linf
        )
