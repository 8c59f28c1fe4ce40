"""The exact figures of the census, and how the private ones compare: in plain Python, apart from
all that makes the private ones."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from privpipe.cli._demo_data import PeopleTable

__all__ = ["Compared", "compare", "rms", "strip", "within"]

_WIDTH = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One group: its exact figures and the private ones, with their intervals."""

    group: tuple[str, ...]
    people: int
    weeks: float
    told: Mapping[str, Any]

    def off(self, figure: str) -> float:
        """How far a private figure is from the exact one."""
        return float(self.told[figure]) - float(getattr(self, figure))

    def holds(self, figure: str) -> bool:
        """Whether the exact figure lies within the interval."""
        low, high = self.told[f"{figure}_low"], self.told[f"{figure}_high"]
        return bool(low <= getattr(self, figure) <= high)

    def reach(self, figure: str) -> float:
        """How far the further end of the interval is from what is exact."""
        exact = float(getattr(self, figure))
        ends = (self.told[f"{figure}_low"], self.told[f"{figure}_high"])
        return max(abs(float(end) - exact) for end in ends)


def compare(census: PeopleTable, released: Iterable[Mapping[str, Any]]) -> list[Compared]:
    """Every group that was released, beside what is exact of it; the largest first."""
    weeks = defaultdict(list)
    for row in census.rows:
        weeks[row["education"], row["sex"]].append(int(row["weeks_worked"] or 0))
    found = []
    for told in released:
        exact = weeks[told["education"], told["sex"]]
        found.append(
            Compared(
                group=(told["education"], told["sex"]),
                people=len(exact),
                weeks=sum(exact) / len(exact),
                told=told,
            )
        )
    return sorted(found, key=lambda each: -each.people)


def rms(errors: Sequence[float]) -> float:
    """The root of their mean square."""
    return math.sqrt(sum(each * each for each in errors) / len(errors))


def within(groups: Sequence[Compared], figure: str) -> int:
    """How many intervals hold what is exact."""
    return sum(each.holds(figure) for each in groups)


def strip(each: Compared, figure: str, reach: float) -> str:
    """The interval drawn: `[` and `]` its ends, `o` the private figure, `|` the exact one, which
    stands in the middle; `X` where both meet. What lies beyond `reach` stands at the edge."""
    middle = _WIDTH // 2
    exact = float(getattr(each, figure))

    def place(value: float) -> int:
        off = round((float(value) - exact) / reach * middle)
        return middle + max(-middle, min(middle, off))

    low, high = place(each.told[f"{figure}_low"]), place(each.told[f"{figure}_high"])
    drawn = ["-" if low <= at <= high else " " for at in range(_WIDTH)]
    drawn[low], drawn[high] = "[", "]"
    at = place(each.told[figure])
    drawn[at] = "o"
    drawn[middle] = "X" if at == middle else "|"
    return "".join(drawn)
