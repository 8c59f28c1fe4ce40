"""The keys of a spec of entities to a checked `EntitySpec`."""

from __future__ import annotations

from typing import Literal, cast

from privpipe.documents import Faults, Node, choice, quote
from privpipe.features._entity_model import (
    WINDOW_KINDS,
    EntitySpec,
    Labels,
    WindowAggregate,
    WindowKind,
)
from privpipe.features._figure_nodes import figure_at, figures_of
from privpipe.features._nodes import (
    Keys,
    columns_of,
    entries_of,
    text_at,
    unknown_keys,
    word_at,
)
from privpipe.features._places import lines_of
from privpipe.features._windows_read import read_windows

__all__ = ["read_entities"]

_TOP = (
    "version", "features", "source", "entity", "event_time", "labels", "windows", "grain", "nulls",
    "aggregates", "privacy", "columns",
)  # fmt: skip
_GRAINS = ("day", "week", "month")
_EXAMPLE = "for example `visits: count`, or `spend: {sum: cost}`"


def read_entities(keys: Keys, faults: Faults) -> EntitySpec | None:
    """The spec; None where a fault was noted."""
    unknown_keys(keys, _TOP, "", faults)
    name = text_at(keys, "features", "", faults, "the name of the table that is written")
    source = text_at(keys, "source", "", faults, "a path, or a name in Spark's catalog")
    entity = text_at(keys, "entity", "", faults, "the column of who an event is of")
    time = text_at(keys, "event_time", "", faults, "the column of when an event was")
    labels, grain = _labels(keys, faults), None
    if "grain" in keys:
        grain = word_at(keys, "grain", _GRAINS, "day", faults)
        if "labels" in keys:
            text = "the rows of labels say as of when, and a grain says so too"
            faults.add(keys["grain"][0], "grain", text, "leave one of the two out")
    elif "labels" not in keys:
        text = "neither labels nor a grain: for which moments is not said"
        faults.add(0, "grain", text, "`grain: day`, or a table of labels")
    nulls = word_at(keys, "nulls", ("drop", "refuse"), "drop", faults)
    windows = read_windows(keys, faults)
    aggregates = _aggregates(keys, entity, faults)
    protect = columns_of(keys, faults)
    _privacy(keys, faults)
    if faults.found:
        return None
    spec = EntitySpec(
        name=name,
        source=source,
        entity=entity,
        event_time=time,
        windows=windows,
        aggregates=aggregates,
        labels=labels,
        grain=cast(Literal["day", "week", "month"] | None, grain),
        nulls=cast(Literal["drop", "refuse"], nulls),
        protect=protect,
        file=faults.name,
        windows_line=keys["windows"][0],
        lines=lines_of(keys),
    )
    _names(spec, keys, faults)
    return None if faults.found else spec


def _labels(keys: Keys, faults: Faults) -> Labels | None:
    line, node = keys.get("labels", (0, None))
    if node is None:
        return None
    if node.kind != "mapping":
        hint = "for example `labels: {table: outcomes, entity: patient, time: decided}`"
        faults.add(line, "labels", f"found {node.describe()}; wanted a table", hint)
        return None
    inner = entries_of(node)
    unknown_keys(inner, ("table", "entity", "time"), "labels", faults)
    return Labels(
        table=text_at(inner, "table", "labels", faults, "a path, or a name in Spark's catalog"),
        entity=text_at(inner, "entity", "labels", faults, "the column of who a label is of"),
        time=text_at(inner, "time", "labels", faults, "the column of as of when it is"),
        line=line,
    )


def _aggregates(keys: Keys, entity: str, faults: Faults) -> tuple[WindowAggregate, ...]:
    def read(name: str, line: int, node: Node, faults: Faults) -> WindowAggregate | None:
        return _aggregate(name, line, node, entity, faults)

    return figures_of(keys, read, faults, example=_EXAMPLE)


def _aggregate(
    name: str, line: int, node: Node, entity: str, faults: Faults
) -> WindowAggregate | None:
    place = f"aggregates.{name}"
    unknown_keys(entries_of(node), tuple(WINDOW_KINDS), place, faults)
    read = figure_at(
        name, line, node, faults, kinds=WINDOW_KINDS, bare=("count",), example=_EXAMPLE
    )
    if read is None:
        return None
    kind, keys = cast(WindowKind, read[0]), read[1]
    if not keys:
        return WindowAggregate(name=name, kind=kind, line=line)
    column = text_at(keys, kind, place, faults, "a column's name")
    if column and column.lower() == entity.lower():
        faults.add(line, place, "of an entity itself there is nothing to tell", _EXAMPLE)
    return WindowAggregate(name=name, kind=kind, column=column, line=line)


def _privacy(keys: Keys, faults: Faults) -> None:
    line, node = keys.get("privacy", (0, None))
    if node is None or (node.kind, node.text) != ("text", "none"):
        found = "nothing" if node is None else node.describe()
        faults.add(
            line,
            "privacy",
            f"found {found}; features of entities are of one person each, and nothing hides them",
            "write `privacy: none`, and protect what is written under `columns:`",
        )


def _names(spec: EntitySpec, keys: Keys, faults: Faults) -> None:
    """Every column is written once, and what `columns:` names is written."""
    taken: set[str] = set()
    places = [(key, 0, "entity" if at == 0 else "event_time") for at, key in enumerate(spec.keys)]
    places += [(name, each.line, f"aggregates.{each.name}") for name, each, _ in spec.figures]
    for name, line, place in places:
        if name.lower() in taken:
            text = f"{quote(name)} would be written twice"
            faults.add(line, place, text, "give it another name")
        taken.add(name.lower())
    written = list(spec.protections)
    _, node = keys.get("columns", (0, None))
    for column, line, _ in () if node is None else node.entries:
        begin = column[:-1] if column.endswith("*") else None
        if column not in written and not (begin and any(n.startswith(begin) for n in written)):
            faults.add(line, f"columns.{column}", *choice("column", column, written))
