"""What every spec of groups says alike: its groups, and the names of what is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from privpipe.documents import Faults, Node, choice, quote
from privpipe.features._grouped import ROW, SELECT, Group
from privpipe.features._nodes import Keys, unknown_keys
from privpipe.features._periods_read import read_period

__all__ = ["MOST_GROUPS", "check_keys", "check_names", "read_groups"]

MOST_GROUPS = 1_000_000
_OF_ENTITIES = ("labels", "grain", "nulls")


def check_keys(keys: Keys, allowed: tuple[str, ...], faults: Faults) -> None:
    """Notes the top keys that nobody reads, and those that are of another kind of spec."""
    for key in (each for each in _OF_ENTITIES if each in keys):
        text = f"{key} is of specs with `entity:`, and this one has `unit:`"
        hint = f"leave {key} out, or write `entity:` for features of each entity"
        faults.add(keys[key][0], key, text, hint)
    unknown_keys(keys, (*allowed, *_OF_ENTITIES), "", faults)


def read_groups(keys: Keys, faults: Faults) -> tuple[Group, ...]:
    """The columns to group by; what is wrong with one is noted."""
    line, node = keys.get("groups", (0, None))
    if node is None:
        return ()
    if node.kind != "mapping":
        hint = f"for example `groups: {{sex: [f, m], region: {SELECT}}}`"
        faults.add(line, "groups", f"found {node.describe()}; wanted columns", hint)
        return ()
    found, product = [], 1
    for column, at, said in node.entries:
        group, count = _group(column, at, said, faults)
        product *= count
        _refuse_unit(column, at, keys, faults)
        found.append(group)
    if product > MOST_GROUPS:
        text = f"the public values make {product:,} groups; at most {MOST_GROUPS:,}"
        faults.add(line, "groups", text, "fewer values, or columns; of times, longer periods")
    return tuple(found)


def _group(column: str, line: int, node: Node, faults: Faults) -> tuple[Group, int]:
    """The group, and how many public values it has; 1 where they are selected."""
    if node.kind == "mapping":
        return read_period(column, line, node, faults, most=MOST_GROUPS)
    values = _values(column, line, node, faults)
    found = Group(column=column, values=values, line=line)
    return found, 1 if values is None else max(len(values), 1)


def _refuse_unit(column: str, line: int, keys: Keys, faults: Faults) -> None:
    unit = keys["unit"][1].text if "unit" in keys else ROW
    if unit != ROW and column.lower() == unit.lower():
        text = "groups by the unit itself: each group is of one unit, and none can be shown"
        hint = "group by another column; a spec with `entity:` tells of each one, inside"
        faults.add(line, f"groups.{column}", text, hint)


def _values(column: str, line: int, node: Node, faults: Faults) -> tuple[str, ...] | None:
    place = f"groups.{column}"
    if node.kind == "text" and node.text == SELECT:
        return None
    if node.kind != "list" or not node.items:
        hint = f"a list of public values; or `{SELECT}`, for those that enough units have"
        text = "neither a list of public values nor `select`: which groups exist would tell of data"
        faults.add(line, place, text, hint)
        return ()
    values = []
    for item in node.items:
        if item.kind in {"list", "mapping", "nothing"}:
            faults.add(item.line, place, f"found {item.describe()}; wanted a value")
        elif item.text in values:
            faults.add(item.line, place, f"{quote(item.text)} is given twice")
        else:
            values.append(item.text)
    return tuple(values)


def check_names(
    groups: Sequence[Group],
    figures: Iterable[tuple[str, int, Sequence[str]]],
    keys: Keys,
    faults: Faults,
    *,
    windows: bool = False,
) -> None:
    """Notes what would be written twice, and what `columns:` names that nobody writes; a figure is
    its name, its line and its columns. With `windows`, that is not among these, and stands for
    them."""
    written: list[str] = []
    taken: set[str] = set()
    for group in groups:
        if group.column.lower() in taken:
            faults.add(group.line, f"groups.{group.column}", "given twice, but for its case")
        taken.add(group.column.lower())
        written.append(group.column)
    lines: dict[str, int] = {}
    for name, line, columns in figures:
        lines[name] = line
        for each in columns:
            if each.lower() in taken:
                text = f"{quote(each)} would be written twice"
                faults.add(line, f"aggregates.{name}", text, "give it another name")
            taken.add(each.lower())
            written.append(each)
    for name, line in lines.items() if windows else ():
        if name.lower() in taken:
            text = f"{quote(name)} is the name of a written column too"
            faults.add(line, f"aggregates.{name}", text, "give it another name")
    _, node = keys.get("columns", (0, None))
    for column, line, _ in () if node is None else node.entries:
        begin = column[:-1] if windows and column.endswith("*") else None
        if begin and any(name.startswith(begin) for name in written):
            continue
        if column not in written and column not in lines:
            faults.add(line, f"columns.{column}", *choice("column", column, written))
