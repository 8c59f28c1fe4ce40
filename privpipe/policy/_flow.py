"""A rule as one line of a policy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["flow", "rule_line", "yaml_key"]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def rule_line(place: str, protection: str, settings: Mapping[str, Any]) -> str:
    """`surname: encrypt`, or `zip: {protect: generalize, prefix: 3}`; `place` is a policy path."""
    rule = protection if not settings else flow({"protect": protection, **settings})
    return f"{yaml_key(place)}: {rule}"


def flow(value: Any) -> str:
    """`value` in YAML's flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str):
        return yaml_key(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(value)


def yaml_key(text: str) -> str:
    """`text` as YAML reads it back: plain where it can be, else in double quotes."""
    if _PLAIN_KEY.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
