"""A plan as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from privpipe.policy._key_column import REVEALED_BY_KEY_IDS
from privpipe.policy._paths import format_path

if TYPE_CHECKING:
    from privpipe.policy._plan import LeafPlan, Plan

__all__ = ["html"]

_HEAD = ("column", "type", "protection", "keyset", "key id", "an onlooker still learns")
_PLAIN = {
    "keep": "everything",
    "drop": "nothing: it is not written",
    "undecided": "not decided yet: protect refuses it",
}


def html(plan: Plan) -> str:
    """A table with one row for each protected leaf and each column that is left as it is."""
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEAD)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in _rows(plan)
    )
    notes = "".join(f"<li>{escape(warning)}</li>" for warning in plan.warnings)
    return (
        f"<p><b>{escape(plan.table)}</b>, by {escape(plan.policy_name)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        + (f"<ul>{notes}</ul>" if notes else "")
    )


def _rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    for column in plan.columns:
        for leaf in column.leaves:
            yield _leaf(plan, leaf)
            if leaf.key_column is not None:
                name = format_path((leaf.key_column,))
                yield name, "", "key ids", "", "", REVEALED_BY_KEY_IDS
        if not column.leaves:
            name, kind = format_path((column.name,)), column.type.text
            yield name, kind, column.action, "", "", _PLAIN.get(column.action, "")
        for path in column.drops:
            yield format_path(path), "", "drop", "", "", _PLAIN["drop"]


def _leaf(plan: Plan, leaf: LeafPlan) -> tuple[str, ...]:
    if plan.keys is None or leaf.keyset is None:
        key_id = ""
    else:
        key = plan.keys.find(*leaf.keyset)
        key_id = "new" if key is None else str(key.key_id)
    path = format_path(leaf.path)
    return path, leaf.type, leaf.protection, leaf.scope or "", key_id, leaf.reveals
