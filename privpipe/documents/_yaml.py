"""YAML as a tree of nodes that know their lines.

Keys are taken as their text, so that a column named `on`, `no` or `1` is what it says. Only plain
YAML is read: a tag of one's own is a fault, and what aliases unfold to is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from privpipe.documents._faults import Faults, quote

__all__ = ["Node", "read_file", "read_mapping"]

_MAX_CHARACTERS = 4 << 20
_MAX_NODES = 200_000
_MAX_DEPTH = 20
_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "str": "text",
    "int": "number",
    "float": "number",
    "bool": "truth value",
    "null": "nothing",
    "timestamp": "date",
    # `=` alone is a tag of its own in YAML 1.1
    "value": "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value of a YAML file: `kind` is text, number, truth value, date, nothing, list or mapping.

    `text` is a scalar's own spelling, `items` a list's nodes, `entries` a mapping's as
    (key, the key's line, value).
    """

    kind: str
    line: int
    text: str = ""
    items: tuple[Node, ...] = ()
    entries: tuple[tuple[str, int, Node], ...] = ()

    def describe(self) -> str:
        """What it is, for a message: `the number "2"`, `a list`, `nothing`."""
        if self.kind in {"list", "mapping"}:
            return f"a {self.kind}"
        return self.kind if self.kind == "nothing" else f"the {self.kind} {quote(self.text)}"


def read_file(path: Path, faults: Faults) -> str | None:
    """The text of the file at `path`; what hinders that is noted in `faults`."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        faults.add(0, "", "no such file", _neighbours(path))
    except IsADirectoryError:
        faults.add(0, "", "a folder, not a file", _neighbours(path / "x"))
    except UnicodeDecodeError:
        faults.add(0, "", "not a text file: its bytes are not UTF-8")
    except OSError as error:
        faults.add(0, "", f"cannot be read: {(error.strerror or 'unknown reason').lower()}")
    return None


def _neighbours(path: Path) -> str | None:
    try:
        files = sorted(p.name for p in path.parent.iterdir() if p.suffix in {".yaml", ".yml"})
    except OSError:
        return None
    return f"in that folder: {', '.join(files[:10])}" if files else None


def read_mapping(text: str, faults: Faults) -> Node | None:
    """The mapping that `text` holds; what hinders that is noted in `faults`."""
    if len(text) > _MAX_CHARACTERS:
        faults.add(0, "", f"longer than {_MAX_CHARACTERS:,} characters")
        return None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        faults.add(*_unreadable(error))
        return None
    if root is None:
        faults.add(0, "", "the file is empty")
        return None
    node = _Reader(faults=faults).read(root, place="", depth=0)
    if node is not None and node.kind != "mapping":
        faults.add(node.line, "", f"found {node.describe()} at the top; wanted a mapping of keys")
        return None
    return node


def _unreadable(error: Exception) -> tuple[int, str, str, str | None]:
    if isinstance(error, RecursionError):
        return 0, "", "nested too deep", None
    if not isinstance(error, yaml.MarkedYAMLError):
        return 0, "", "not a text file: it holds control characters", None
    line = error.problem_mark.line + 1 if error.problem_mark else 0
    text = error.problem or error.context or "it does not parse"
    quoting = "a name that begins with a backtick stands in quotes: '`a.b`.c': encrypt"
    return line, "", f"not YAML: {text}", quoting if "'`'" in text else None


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Turns PyYAML's nodes into ours, counting: an alias may repeat a node a billion times."""

    faults: Faults
    seen: int = 0

    def read(self, raw: yaml.Node, *, place: str, depth: int) -> Node | None:
        line = raw.start_mark.line + 1
        self.seen += 1
        if depth > _MAX_DEPTH or self.seen > _MAX_NODES:
            # Said once, whatever aliases lead here.
            if self.seen < 2 * _MAX_NODES:
                self.faults.add(0, "", "nested too deep, or aliases that unfold without end")
            self.seen = 2 * _MAX_NODES
            return None
        tag = raw.tag.removeprefix(_TAG)
        if isinstance(raw, yaml.MappingNode) and tag == "map":
            return self._mapping(raw, line, place, depth)
        if isinstance(raw, yaml.SequenceNode) and tag == "seq":
            items = (self.read(item, place=place, depth=depth + 1) for item in raw.value)
            return Node(kind="list", line=line, items=tuple(i for i in items if i is not None))
        if isinstance(raw, yaml.ScalarNode) and tag in _SCALARS:
            text = self._text(raw, line, place)
            return None if text is None else Node(kind=_SCALARS[tag], line=line, text=text)
        self.faults.add(line, place, f"the YAML tag {quote(raw.tag)} is not read here")
        return None

    def _mapping(self, raw: yaml.MappingNode, line: int, place: str, depth: int) -> Node:
        entries: dict[str, tuple[int, Node]] = {}
        for raw_key, raw_value in raw.value:
            at = raw_key.start_mark.line + 1
            if not isinstance(raw_key, yaml.ScalarNode) or raw_key.tag == f"{_TAG}merge":
                self.faults.add(at, place, "a key is a name here: no merge (<<), list or mapping")
                continue
            key = self._text(raw_key, at, place)
            if key is None:
                continue
            inside = f"{place}.{key}" if place else key
            if key in entries:
                first = entries[key][0]
                self.faults.add(at, inside, f"given twice; first on line {first}")
                continue
            value = self.read(raw_value, place=inside, depth=depth + 1)
            if value is not None:
                entries[key] = (at, value)
        return Node(
            kind="mapping",
            line=line,
            entries=tuple((key, at, value) for key, (at, value) in entries.items()),
        )

    def _text(self, raw: yaml.ScalarNode, line: int, place: str) -> str | None:
        text = str(raw.value)
        if any("\ud800" <= c <= "\udfff" for c in text):
            self.faults.add(line, place, "holds half of a surrogate pair, which is no character")
            return None
        return text
