"""Avro schemas, read from their JSON into what a decoder needs, within bounds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from privpipe.errors import EncodingError

__all__ = ["LONGEST_SCHEMA", "Node", "parse_schema"]

LONGEST_SCHEMA = 1 << 16
_DEEPEST = 32
_MOST_NODES = 1024
"""Of a schema written out: names let a short one stand for a tree of any size"""
_LONGEST_SYMBOL = 255
"""An item of one byte stands for a symbol: so a symbol is bounded"""

_PRIMITIVES: dict[str, tuple[pa.DataType, int]] = {
    "null": (pa.null(), 0),
    "boolean": (pa.bool_(), 1),
    "int": (pa.int32(), 1),
    "long": (pa.int64(), 1),
    "float": (pa.float32(), 4),
    "double": (pa.float64(), 8),
    "bytes": (pa.binary(), 1),
    "string": (pa.string(), 1),
}
_LOGICAL: dict[tuple[str, str], pa.DataType] = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One type of a schema.

    `arrow` is None where no Arrow type of ours is meant: a union of several types. `inner` are the
    types of a record's fields (whose `names` they are), a union's branches, an array's items, a
    map's values; `names` also an enum's symbols; `size` that of fixed; `least` the bytes that a
    value takes at least; `weight` how many nodes it is, written out.
    """

    kind: str
    arrow: pa.DataType | None
    inner: tuple[Node, ...] = ()
    names: tuple[str, ...] = ()
    size: int = 0
    least: int = 0
    weight: int = 1


def parse_schema(text: bytes) -> Node:
    """The schema of a value; EncodingError where it is none, or beyond the bounds."""
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        raise EncodingError("a value's Avro schema is not JSON") from None
    return _Parser().parse(found, "", 0)


class _Parser:
    """The names that a schema has defined so far; None for one whose definition is not complete."""

    def __init__(self) -> None:
        self._known: dict[str, Node | None] = {}

    def parse(self, found: Any, space: str, depth: int) -> Node:
        if depth > _DEEPEST:
            raise EncodingError(f"a value's Avro schema is nested deeper than {_DEEPEST}")
        if isinstance(found, str):
            node = self._named(found, space)
        elif isinstance(found, list):
            node = _union([self.parse(each, space, depth + 1) for each in found])
        elif isinstance(found, dict):
            node = self._object(found, space, depth)
        else:
            raise _malformed()
        if node.weight > _MOST_NODES:
            raise EncodingError(f"a value's Avro schema has more than {_MOST_NODES} types in it")
        return node

    def _named(self, name: str, space: str) -> Node:
        if name in _PRIMITIVES:
            arrow, least = _PRIMITIVES[name]
            return Node(kind=name, arrow=arrow, least=least)
        full = name if "." in name or not space else f"{space}.{name}"
        # A name that is not in the space around it may stand in none.
        node = self._known.get(full) or self._known.get(name)
        if node is None:
            fault = "recursive" if full in self._known or name in self._known else "malformed"
            raise EncodingError(f"a value's Avro schema is {fault}")
        return node

    def _object(self, found: dict[str, Any], space: str, depth: int) -> Node:
        kind = found.get("type")
        if not isinstance(kind, str):
            return self.parse(kind, space, depth + 1)
        if kind == "array":
            item = self.parse(found.get("items"), space, depth + 1)
            arrow = None if item.arrow is None else pa.list_(item.arrow)
            return Node(kind=kind, arrow=arrow, inner=(item,), least=1, weight=1 + item.weight)
        if kind == "map":
            item = self.parse(found.get("values"), space, depth + 1)
            arrow = None if item.arrow is None else pa.map_(pa.string(), item.arrow)
            return Node(kind=kind, arrow=arrow, inner=(item,), least=1, weight=1 + item.weight)
        if kind in ("record", "error", "enum", "fixed"):
            return self._definition(kind, found, space, depth)
        return _logical(self._named(kind, space), found)

    def _definition(self, kind: str, found: dict[str, Any], space: str, depth: int) -> Node:
        name, own = found.get("name"), found.get("namespace", space)
        if not isinstance(name, str) or not isinstance(own, str):
            raise _malformed()
        full = name if "." in name or not own else f"{own}.{name}"
        if full in self._known or name in _PRIMITIVES:
            raise _malformed()
        self._known[full] = None
        inside = full.rpartition(".")[0]
        if kind == "enum":
            node = _enum(found.get("symbols"))
        elif kind == "fixed":
            node = _logical(_fixed(found.get("size")), found)
        else:
            node = self._record(found.get("fields"), inside, depth)
        self._known[full] = node
        return node

    def _record(self, fields: Any, space: str, depth: int) -> Node:
        if not isinstance(fields, list) or not all(isinstance(each, dict) for each in fields):
            raise _malformed()
        names = tuple(each.get("name") for each in fields)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise _malformed()
        inner, weight = [], 1
        for each in fields:
            inner.append(self.parse(each.get("type"), space, depth + 1))
            weight += inner[-1].weight
            if weight > _MOST_NODES:
                break
        kinds = [node.arrow for node in inner]
        arrow = None
        if None not in kinds and len(kinds) == len(names):
            arrow = pa.struct(list(zip(names, kinds, strict=True)))
        least = sum(node.least for node in inner)
        return Node(
            kind="record", arrow=arrow, inner=tuple(inner), names=names, least=least, weight=weight
        )


def _union(branches: list[Node]) -> Node:
    kinds = [node for node in branches if node.kind != "null"]
    if not branches or any(node.kind == "union" for node in branches):
        raise _malformed()
    if len(branches) - len(kinds) > 1:
        raise _malformed()
    arrow = pa.null() if not kinds else kinds[0].arrow if len(kinds) == 1 else None
    return Node(
        kind="union",
        arrow=arrow,
        inner=tuple(branches),
        least=1 + min(node.least for node in branches),
        weight=1 + sum(node.weight for node in branches),
    )


def _enum(symbols: Any) -> Node:
    if not isinstance(symbols, list) or not all(isinstance(each, str) for each in symbols):
        raise _malformed()
    if any(len(each) > _LONGEST_SYMBOL for each in symbols):
        raise _malformed()
    return Node(kind="enum", arrow=pa.string(), names=tuple(symbols), least=1)


def _fixed(size: Any) -> Node:
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 2**31:
        raise _malformed()
    # Not Arrow's fixed-size type, in which a null takes as many bytes as a value.
    return Node(kind="fixed", arrow=pa.binary(), size=size, least=size)


def _logical(node: Node, found: dict[str, Any]) -> Node:
    """The type with its logical type, where that is known and fits; else it is passed over."""
    name = found.get("logicalType")
    if not isinstance(name, str):
        return node
    arrow = _LOGICAL.get((node.kind, name))
    if name == "decimal" and node.kind in ("bytes", "fixed"):
        arrow = _decimal(found.get("precision"), found.get("scale", 0))
    if arrow is None:
        return node
    return Node(kind=node.kind, arrow=arrow, size=node.size, least=node.least)


def _decimal(precision: Any, scale: Any) -> pa.DataType | None:
    if type(precision) is not int or type(scale) is not int:
        return None
    if not (1 <= precision <= 76 and 0 <= scale <= precision):
        return None
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def _malformed() -> EncodingError:
    return EncodingError("a value's Avro schema is malformed")
