"""Names that differ in case alone, in the table to be written: Delta holds one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from privpipe.arrow import Path, Step
from privpipe.documents import Faults, quote
from privpipe.policy._paths import format_path
from privpipe.policy._plan import ColumnPlan
from privpipe.policy._types import Type

__all__ = ["refuse_alike"]


def refuse_alike(columns: Sequence[ColumnPlan], faults: Faults) -> None:
    """Notes columns, and fields that are written as such, whose names differ in case alone."""
    names = _Names(faults=faults, known=frozenset(fault.place for fault in faults.found))
    written = [column for column in columns if column.action != "drop"]
    names.compare([((column.name,), column.line) for column in written])
    for column in written:
        names.look_into(column, column.type, (column.name,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """`known` are the places with a fault: where case does not count, the match has told most."""

    faults: Faults
    known: frozenset[str]

    def look_into(self, column: ColumnPlan, kind: Type, path: Path) -> None:
        """Compares what is written of a value of type `kind` at `path`."""
        if any(leaf.path == path and leaf.becomes for leaf in column.leaves):
            return  # it is written as a value of another type
        fields = {(*path, part.name): part.type for part in kind.fields}
        fields = {below: inner for below, inner in fields.items() if below not in column.drops}
        self.compare([(below, column.line) for below in fields])
        # A map's key has no path in a policy; Spark calls it so.
        steps = ((Step.ELEMENT, kind.element), ("key", kind.key), (Step.VALUES, kind.value))
        fields |= {(*path, step): inner for step, inner in steps if inner is not None}
        for below, inner in fields.items():
            self.look_into(column, inner, below)

    def compare(self, siblings: Sequence[tuple[Path, int]]) -> None:
        """Notes those, each with its line, whose name another one before it has but for case."""
        first: dict[str, Path] = {}
        for path, line in siblings:
            other, place = first.setdefault(str(path[-1]).lower(), path), format_path(path)
            if other is path or f"columns.{place}" in self.known:
                continue
            text = f"the table would have it also as {quote(format_path(other))}: only case differs"
            hint = "Delta holds one of them: drop the other, or rename it in the source"
            self.faults.add(line, f"columns.{place}", text, hint)
