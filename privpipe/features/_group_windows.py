"""Figures of groups over windows before one moment: each of them, over each window, is a figure of
its own, with its own columns, its own bounds and its own part of the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

from privpipe.features._entity_model import Window

__all__ = ["InWindow", "Over", "over_windows", "own_name", "protection_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InWindow:
    """What a figure is over: the window at `place` of the spec's; `figure` is its own name, which
    the window's text ends."""

    figure: str
    place: int
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The windows of a spec of groups: they end before `as_of`, a date (its beginning) or a date
    and a time, as ISO 8601 has it, in no zone but the session's."""

    event_time: str
    as_of: str
    windows: tuple[Window, ...]

    def describe(self) -> str:
        """Where windows end, in words."""
        return f"windows end before {self.as_of}, by {self.event_time}"

    @property
    def has_hours(self) -> bool:
        """Whether the moment is another than the beginning of a day."""
        return "T" in self.as_of

    def renamed(self, name: Callable[[str], str]) -> Self:
        """The same, its column by the name that `name` gives it."""
        return replace(self, event_time=name(self.event_time))

    def meaning(
        self, aggregates: Iterable[Any], told: Callable[[Any], Mapping[str, object]]
    ) -> Mapping[str, object]:
        """The parts of a canonical text that differ: each figure once, by its own name."""
        return {
            "aggregates": {own_name(each): told(each) for each in aggregates},
            "as_of": self.as_of,
            "event_time": self.event_time,
            "windows": [window.text for window in self.windows],
        }


class _Figure(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def window(self) -> InWindow | None: ...


Figure = TypeVar("Figure", bound=Any)


def over_windows(aggregates: Iterable[Figure], over: Over | None) -> tuple[Figure, ...]:
    """Each figure over each window, by the name of both; as they are, where there are none."""
    if over is None:
        return tuple(aggregates)
    return tuple(
        replace(
            each,
            name=f"{each.name}_{window.text}",
            window=InWindow(figure=each.name, place=place, window=window),
        )
        for each in aggregates
        for place, window in enumerate(over.windows)
    )


def own_name(figure: _Figure) -> str:
    """The name that a spec gives a figure, whatever window this one is over."""
    window = getattr(figure, "window", None)
    return figure.name if window is None else str(window.figure)


def protection_of(told: Mapping[str, str], over: Over | None, *names: str) -> str:
    """What `columns:` says of a written column: of the first of `names`, which begin with the
    column's own and end with the figure's, that it has. With windows, a name that ends in `*` is
    of all columns that begin with what is before it; of such names, and that of the figure, the
    longest counts. Else it is `keep`."""
    for name in names[:-1]:
        if name in told:
            return told[name]
    begins = [each for each in told if each.endswith("*") and names[0].startswith(each[:-1])]
    found = [each for each in names[-1:] if each in told] + (begins if over is not None else [])
    return told[max(found, key=lambda each: len(each.rstrip("*")))] if found else "keep"
