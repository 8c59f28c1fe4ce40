"""How every kind of spec says its figures: by name, each of one kind, of a column or bare."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from privpipe.documents import Faults, Node, choice
from privpipe.features._nodes import Keys, entries_of

__all__ = ["figure_at", "figures_of"]

Figure = TypeVar("Figure")


def figures_of(
    keys: Keys,
    read: Callable[[str, int, Node, Faults], Figure | None],
    faults: Faults,
    *,
    example: str,
) -> tuple[Figure, ...]:
    """What `read` makes of each entry of `aggregates:`, in the file's order; None leaves it out."""
    line, node = keys.get("aggregates", (0, None))
    if node is None or node.kind != "mapping" or not node.entries:
        found = "nothing" if node is None else node.describe()
        faults.add(line, "aggregates", f"found {found}; wanted figures by name", example)
        return ()
    figures = [read(name, at, said, faults) for name, at, said in node.entries]
    return tuple(each for each in figures if each is not None)


def figure_at(
    name: str,
    line: int,
    node: Node,
    faults: Faults,
    *,
    kinds: Collection[str],
    bare: Collection[str],
    example: str,
) -> tuple[str, Keys] | None:
    """A figure's kind, and its keys, that kind among them; none where one of `bare` stands alone.

    None where it is neither, which is noted.
    """
    place = f"aggregates.{name}"
    if node.kind == "text":
        if node.text in bare:
            return node.text, {}
        if node.text in kinds:
            faults.add(line, place, f"{node.text} of which column is not said", example)
        else:
            faults.add(line, place, *choice("figure", node.text, kinds))
        return None
    if node.kind != "mapping":
        faults.add(line, place, f"found {node.describe()}; wanted a figure", example)
        return None
    keys = entries_of(node)
    named = [key for key in keys if key in kinds]
    if len(named) != 1:
        found = " and ".join(named) or "none of them"
        faults.add(line, place, f"one figure a name, and found {found}", ", ".join(kinds))
        return None
    return named[0], keys
