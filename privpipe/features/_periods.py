"""Calendar periods as keys of groups: whole days, weeks, months, quarters or years, each by its
first day.

Periods are numbered, so that how many lie between two days is known without a list of them. No date
is made but of a period that is wanted: the first and the last that there are have no neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

__all__ = ["BY", "By", "Period", "first_day", "number_of"]

By: TypeAlias = Literal["day", "week", "month", "quarter", "year"]
BY: tuple[By, ...] = ("day", "week", "month", "quarter", "year")

_MONTHS: Mapping[By, int] = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What the times of a column are grouped by.

    `ends` are the first days of the first and of the last period, where all between are public;
    None where they are listed, or selected.
    """

    by: By
    ends: tuple[date, date] | None = None

    @property
    def count(self) -> int:
        """How many periods lie between the ends, with them."""
        if self.ends is None:
            return 0
        first, last = (number_of(self.by, day) for day in self.ends)
        return last - first + 1

    def every(self) -> tuple[str, ...]:
        """The first day of each, as text."""
        if self.ends is None:
            return ()
        first = number_of(self.by, self.ends[0])
        numbers = range(first, first + self.count)
        return tuple(first_day(self.by, number).isoformat() for number in numbers)

    def said(self, values: object) -> dict[str, object]:
        """As a spec says it; `values` are what it lists where it has no ends."""
        if self.ends is None:
            return {"by": self.by, "values": values}
        first, last = self.ends
        return {"by": self.by, "from": first.isoformat(), "to": last.isoformat()}

    def describe(self, values: tuple[str, ...] | None) -> str:
        """The periods of these values in words."""
        if values is None:
            return f"by {self.by}: those that enough units have"
        some = f"by {self.by}: {len(values):,}"
        if self.ends is None:
            return f"{some} that are listed"
        first, last = self.ends
        return f"{some}, from that of {first.isoformat()} to that of {last.isoformat()}"


def number_of(by: By, day: date) -> int:
    """The number of the period that a day lies in; the next period has the next one."""
    if by == "day":
        return day.toordinal()
    if by == "week":
        # The first day of all, 0001-01-01, is a Monday.
        return (day.toordinal() - 1) // 7
    return (day.year * 12 + day.month - 1) // _MONTHS[by]


def first_day(by: By, number: int) -> date:
    """The day with which a period begins."""
    if by == "day":
        return date.fromordinal(number)
    if by == "week":
        return date.fromordinal(number * 7 + 1)
    year, month = divmod(number * _MONTHS[by], 12)
    return date(year, month + 1, 1)
