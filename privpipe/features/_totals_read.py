"""The `totals:` of a spec: by which of its group columns sums of groups are shown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from privpipe.documents import Faults, Node, choice, quote
from privpipe.features._grouped import SELECT, Group
from privpipe.features._model import Aggregate
from privpipe.features._nodes import Keys
from privpipe.features._totals import ADDED

__all__ = ["read_totals"]

_EXAMPLE = "`totals: [region]`, `totals: []` for the whole, or `totals: [[], [region]]` for both"


def read_totals(
    keys: Keys, groups: Sequence[Group], aggregates: Sequence[Aggregate], faults: Faults
) -> tuple[tuple[str, ...], ...]:
    """The sets of columns from the coarsest down; what is wrong is noted."""
    line, node = keys.get("totals", (0, None))
    if node is None:
        return ()
    if node.kind != "list":
        faults.add(line, "totals", f"found {node.describe()}; wanted group columns", _EXAMPLE)
        return ()
    lists = [item for item in node.items if item.kind == "list"]
    if lists and len(lists) < len(node.items):
        faults.add(line, "totals", "wanted columns, or lists of columns, and not both", _EXAMPLE)
        return ()
    before = len(faults.found)
    names = [group.column for group in groups]
    found = [_level(level, names, faults) for level in lists or [node]]
    selected = [group.column for group in groups if group.values is None]
    if selected:
        text = f"groups of {', '.join(selected)} by `{SELECT}` are not all shown, nor their totals"
        faults.add(line, "totals", text, "give each group column a list of public values")
    if not any(each.kind in ADDED for each in aggregates):
        faults.add(line, "totals", "no figure adds up", f"of these: {', '.join(sorted(ADDED))}")
    found.sort(key=len)
    for coarse, fine in pairwise(found):
        if not set(coarse) < set(fine):
            text = f"totals by {_named(coarse)} are no sums of those by {_named(fine)}"
            faults.add(line, "totals", text, "each within the next, as [[], [a], [a, b]]")
    return () if len(faults.found) > before else tuple(found)


def _level(node: Node, names: Sequence[str], faults: Faults) -> tuple[str, ...]:
    """One set of columns, in the order of the groups."""
    wanted = []
    for item in node.items:
        if item.text not in names:
            faults.add(item.line, "totals", *choice("group column", item.text, names))
        elif item.text in wanted:
            faults.add(item.line, "totals", f"{quote(item.text)} is given twice")
        wanted.append(item.text)
    if len(wanted) >= len(names):
        faults.add(node.line, "totals", "by all group columns: those are the groups", _EXAMPLE)
    return tuple(name for name in names if name in wanted)


def _named(columns: Sequence[str]) -> str:
    return " and ".join(columns) or "nothing"
