"""Where a spec says what: the file, the line and the key that an error names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from privpipe.errors import PrivpipeError
from privpipe.features._group_windows import own_name
from privpipe.features._nodes import Keys

__all__ = ["Placed", "column_place", "figure_place", "lines_of", "on_line", "place_of"]


class Placed(Protocol):
    """A spec, of whatever kind: `lines` has the line of each key, and of those inside it."""

    @property
    def file(self) -> str: ...
    @property
    def lines(self) -> Mapping[str, int]: ...
    @property
    def aggregates(self) -> Any: ...


def lines_of(keys: Keys) -> Mapping[str, int]:
    """The lines of all keys, and of those inside them: `privacy`, and `privacy.delta`."""
    found = {}
    for key, (line, node) in keys.items():
        found[key] = line
        found.update({f"{key}.{inner}": at for inner, at, _ in node.entries})
    return found


def place_of(spec: Placed, key: str, line: int = 0) -> str:
    """`x.yaml:9 privacy.delta`; of a key that is not written, the line of the one round it."""
    at = line or spec.lines.get(key, 0) or spec.lines.get(key.partition(".")[0], 0)
    return f"{spec.file}:{at} {key}" if at else f"{spec.file} {key}"


def figure_place(spec: Placed, name: str) -> str:
    """Where the figure of that name stands."""
    each = next((each for each in spec.aggregates if each.name == name), None)
    if each is None:
        return place_of(spec, f"aggregates.{name}")
    return place_of(spec, f"aggregates.{own_name(each)}", each.line)


def column_place(spec: Placed, column: str) -> str:
    """Where a spec first names that column of its source."""
    for key in ("unit", "entity", "event_time"):
        if column in (getattr(spec, key, None), getattr(getattr(spec, "over", None), key, None)):
            return place_of(spec, key)
    for group in getattr(spec, "groups", ()):
        if group.column == column:
            return place_of(spec, f"groups.{column}", group.line)
    for each in spec.aggregates:
        if each.column == column:
            return figure_place(spec, each.name)
    return place_of(spec, f"privacy.l_diversity.{column}")


@contextmanager
def on_line(where: str, kind: type[PrivpipeError] = PrivpipeError) -> Iterator[None]:
    """Gives errors of that kind the place in the spec that they come from."""
    try:
        yield
    except kind as error:
        raise type(error)(error.message, where=where, hint=error.hint) from None
