"""A spec of features of entities that has been checked: what is told of each, over which windows.

Nothing of it is noisy: such features stay inside, under the protections of their columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from privpipe.features._canonical import canonical, digest

__all__ = ["WINDOW_KINDS", "EntitySpec", "Labels", "Window", "WindowAggregate", "WindowKind"]

WindowKind = Literal["count", "sum", "mean", "min", "max", "distinct"]
WINDOW_KINDS: Mapping[WindowKind, str] = {
    "count": "events, or values of a column that are not null",
    "sum": "sum of a column",
    "mean": "mean of a column",
    "min": "least value of a column",
    "max": "greatest value of a column",
    "distinct": "different values of a column",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time before a moment: so many `hours`, or whole calendar `months`. `text` is as the spec
    has it, and ends the names of columns."""

    text: str
    hours: int = 0
    months: int = 0

    def describe(self) -> str:
        """The window in words."""
        if self.months:
            return f"{self.months} calendar month(s) before"
        days, hours = divmod(self.hours, 24)
        return f"{self.hours} hour(s) before" if hours else f"{days} day(s) before"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAggregate:
    """One figure over each window; `column` is None where events are counted."""

    name: str
    kind: WindowKind
    column: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The table whose rows say for whom, and as of when, features are told."""

    table: str
    entity: str
    time: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySpec:
    """Features of entities over windows. Made by `load_features` and `parse_features`.

    A row is told as of a moment: the time of a row of `labels`, or the beginning of each `grain` in
    which an entity has events. A window holds what happened before that moment alone.
    """

    name: str
    source: str
    entity: str
    event_time: str
    windows: tuple[Window, ...]
    aggregates: tuple[WindowAggregate, ...]
    labels: Labels | None = None
    grain: Literal["day", "week", "month"] | None = None
    nulls: Literal["drop", "refuse"] = "drop"
    protect: tuple[tuple[str, str], ...] = ()
    file: str = "<features>"
    windows_line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def keys(self) -> tuple[str, str]:
        """The written columns of who, and as of when."""
        if self.labels is None:
            return self.entity, self.event_time
        return self.labels.entity, self.labels.time

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the source that are read, each once."""
        named = (each.column for each in self.aggregates if each.column is not None)
        return tuple(dict.fromkeys((self.entity, self.event_time, *named)))

    @property
    def figures(self) -> tuple[tuple[str, WindowAggregate, Window], ...]:
        """The written columns of figures: `<aggregate>_<window>`, of what, and over what."""
        return tuple(
            (f"{each.name}_{window.text}", each, window)
            for each in self.aggregates
            for window in self.windows
        )

    @property
    def protections(self) -> Mapping[str, str]:
        """What becomes of every written column, as a policy says it: `keep` where nothing is said.

        A name that ends in `*` is of all columns that begin with what is before it; where several
        are, the longest counts, and before all a column's own.
        """
        told = dict(self.protect)
        begins = sorted((name[:-1] for name in told if name.endswith("*")), key=len, reverse=True)
        found = {}
        for name in (*self.keys, *(name for name, _, _ in self.figures)):
            best = next((f"{each}*" for each in begins if name.startswith(each)), name)
            found[name] = told.get(name, told.get(best, "keep"))
        return found

    @property
    def clear(self) -> tuple[str, ...]:
        """The written columns that stand in clear."""
        kept = ("keep", '"keep"', '{"protect": "keep"}')
        return tuple(name for name, said in self.protections.items() if said in kept)

    @property
    def canonical_text(self) -> str:
        """What the spec means, itself a spec: no comments, no spelling, no order of keys."""
        parts: dict[str, object] = {
            "version": 1,
            "features": self.name,
            "source": self.source,
            "entity": self.entity,
            "event_time": self.event_time,
            "nulls": self.nulls,
            "windows": [window.text for window in self.windows],
            "aggregates": {
                each.name: each.kind if each.column is None else {each.kind: each.column}
                for each in self.aggregates
            },
            "privacy": "none",
        }
        if self.labels is not None:
            labels = self.labels
            parts["labels"] = {
                "table": labels.table, "entity": labels.entity, "time": labels.time
            }  # fmt: skip
        if self.grain is not None:
            parts["grain"] = self.grain
        return canonical(parts, self.protect)

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical_text`, in hex."""
        return digest(self.canonical_text)
