"""What a spec's reader takes from a mapping: text, whole numbers, exact numbers."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TypeAlias

from privpipe.documents import Faults, Node, choice
from privpipe.dp import parse_exact
from privpipe.errors import BudgetError
from privpipe.features._canonical import as_json

__all__ = [
    "ADVICE",
    "Keys",
    "check_version",
    "columns_of",
    "entries_of",
    "exact_at",
    "exact_of",
    "text_at",
    "unknown_keys",
    "whole_at",
    "word_at",
]

ADVICE = "mend the spec and run `privpipe features plan` on it"
Keys: TypeAlias = Mapping[str, tuple[int, Node]]
"""The keys of a mapping, each with its line and what it says."""


def entries_of(node: Node) -> Keys:
    """A mapping's keys."""
    return {key: (line, value) for key, line, value in node.entries}


def unknown_keys(keys: Keys, allowed: tuple[str, ...], place: str, faults: Faults) -> None:
    """Notes the keys that nobody reads."""
    for key, (line, _) in keys.items():
        if key not in allowed:
            faults.add(line, _inside(place, key), *choice("key", key, allowed))


def check_version(keys: Keys, faults: Faults) -> None:
    """Notes a version that is none of ours."""
    line, node = keys.get("version", (0, None))
    if node is None:
        faults.add(0, "version", "no key version", "write `version: 1` at the top")
    elif (node.kind, node.text) != ("number", "1"):
        faults.add(line, "version", f"found {node.describe()}; this privpipe reads version 1")


def word_at(keys: Keys, key: str, allowed: tuple[str, ...], default: str, faults: Faults) -> str:
    """The word at `key`; one that is not allowed is noted."""
    line, node = keys.get(key, (0, None))
    if node is None:
        return default
    if node.text not in allowed:
        faults.add(line, key, *choice("word", node.text, allowed))
    return node.text


def text_at(keys: Keys, key: str, place: str, faults: Faults, what: str) -> str:
    """The text at `key`; what is wrong is noted, and gives an empty one."""
    line, node = keys.get(key, (0, None))
    if node is None:
        faults.add(_round(keys, place), _inside(place, key), f"no key {key}: {what}")
    elif node.kind != "text" or not node.text.strip():
        faults.add(line, _inside(place, key), f"found {node.describe()}; wanted {what}, as text")
    else:
        return node.text
    return ""


def whole_at(
    keys: Keys, key: str, place: str, faults: Faults, least: int, default: int | None = None
) -> int | None:
    """The whole number at `key`, from `least` to 2^31."""
    line, node = keys.get(key, (0, None))
    if node is None:
        if default is None:
            text = f"no key {key}: a whole number from {least} on"
            faults.add(_round(keys, place), _inside(place, key), text)
        return default
    value = exact_of(node, _inside(place, key), faults)
    if value is None:
        return None
    if value.denominator != 1 or not least <= value <= 1 << 31:
        text = f"found {node.describe()}; wanted a whole number from {least} to {1 << 31:,}"
        faults.add(line, _inside(place, key), text)
        return None
    return int(value)


def exact_at(
    keys: Keys, key: str, place: str, faults: Faults, default: Fraction | None = None
) -> Fraction | None:
    """The number at `key`, exactly as it is written."""
    _, node = keys.get(key, (0, None))
    if node is None:
        if default is None:
            faults.add(_round(keys, place), _inside(place, key), f"no key {key}: a number")
        return default
    return exact_of(node, _inside(place, key), faults)


def exact_of(node: Node, place: str, faults: Faults) -> Fraction | None:
    """The number that a node holds; what is no number is noted."""
    if node.kind in {"number", "text"}:
        try:
            return parse_exact(node.text.replace("_", ""))
        except BudgetError:
            pass
    faults.add(node.line, place, f"found {node.describe()}; wanted a number")
    return None


def columns_of(keys: Keys, faults: Faults) -> tuple[tuple[str, str], ...]:
    """The protections of `columns:` as text: the policy that is made of them is checked by the
    policy's own reader."""
    line, node = keys.get("columns", (0, None))
    if node is None:
        return ()
    if node.kind != "mapping":
        faults.add(line, "columns", f"found {node.describe()}; wanted a protection by column")
        return ()
    return tuple((column, _flow(value)) for column, _, value in node.entries)


def _flow(node: Node) -> str:
    """A node in YAML's flow style."""
    if node.kind == "mapping":
        return "{" + ", ".join(f"{as_json(k)}: {_flow(v)}" for k, _, v in node.entries) + "}"
    if node.kind == "list":
        return "[" + ", ".join(map(_flow, node.items)) + "]"
    return as_json(node.text) if node.kind == "text" else node.text


def _round(keys: Keys, place: str) -> int:
    """The line of what lacks a key; none of the whole file's."""
    return min((line for line, _ in keys.values()), default=0) if place else 0


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
