"""What specs of groups share, noisy or exact: whom a row is of, and what it is grouped by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from privpipe.features._periods import Period

__all__ = ["OURS", "ROW", "SELECT", "Group", "Grouped", "columns_read", "meaning", "with_names"]

OURS = "__privpipe_"
"""What a column of ours begins with, and none of a spec"""
ROW = "row"
"""In the place of a unit's column: each row is a unit of its own."""
SELECT = "select"
"""In the place of a group's values: shown are those that enough units have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A column to group by. `values` are public ones, as text; None: they are selected. With a
    `period`, a group is one of the periods that the column's times lie in, by its first day."""

    column: str
    values: tuple[str, ...] | None
    period: Period | None = None
    line: int = 0

    @property
    def key(self) -> str:
        """The column that rows are grouped by: with a period one of ours, beside the times."""
        return self.column if self.period is None else f"{OURS}period_{self.column}"

    @property
    def said(self) -> object:
        """Which groups there are, as a spec says it."""
        values = SELECT if self.values is None else self.values
        return values if self.period is None else self.period.said(values)


class Grouped(Protocol):
    """A spec of figures of groups. Each of `aggregates` has a `name` and a `column` or None."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def null_units(self) -> str: ...
    @property
    def groups(self) -> tuple[Group, ...]: ...
    @property
    def aggregates(self) -> Sequence[Any]: ...
    @property
    def protect(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def protections(self) -> Mapping[str, str]: ...


def columns_read(spec: Grouped, more: Iterable[str] = ()) -> tuple[str, ...]:
    """The columns of the source that a spec reads, each once."""
    wanted = [] if spec.unit == ROW else [spec.unit]
    wanted += [group.column for group in spec.groups]
    wanted += [each.column for each in spec.aggregates if each.column is not None]
    return tuple(dict.fromkeys([*wanted, *more]))


def with_names(spec: Grouped, name: Callable[[str], str]) -> Mapping[str, Any]:
    """The parts of a spec that name columns of the source, by the names that `name` gives them.

    A written group goes with its own: its protection is not lost for the case of a letter, nor what
    a name that ends in `*` says of it.
    """
    written = {each.column: name(each.column) for each in spec.groups}
    told = spec.protections
    protect = {written.get(column, column): said for column, said in spec.protect}
    protect.update({new: told[old] for old, new in written.items() if new != old})
    return {
        "unit": ROW if spec.unit == ROW else name(spec.unit),
        "groups": tuple(replace(each, column=name(each.column)) for each in spec.groups),
        "aggregates": tuple(
            each if each.column is None else replace(each, column=name(each.column))
            for each in spec.aggregates
        ),
        "protect": tuple(protect.items()),
    }


def meaning(
    spec: Grouped, told: Callable[[Any], Mapping[str, object]], privacy: Mapping[str, object]
) -> dict[str, object]:
    """The parts of a spec as its canonical text says them; `told` tells those of a figure."""
    return {
        "version": 1,
        "features": spec.name,
        "source": spec.source,
        "unit": spec.unit,
        "null_units": spec.null_units,
        "groups": {group.column: group.said for group in spec.groups},
        "aggregates": {each.name: told(each) for each in spec.aggregates},
        "privacy": privacy,
    }
