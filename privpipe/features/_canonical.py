"""A spec's meaning as one text, itself a spec, and the hash of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

__all__ = ["as_json", "canonical", "digest"]

_MISREAD = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")


def canonical(parts: Mapping[str, object], protect: Sequence[tuple[str, str]]) -> str:
    """The keys in order, and what protects the written columns, which is YAML already."""
    told = [f"{as_json(key)}:{as_json(part)}" for key, part in sorted(parts.items())]
    columns = ",".join(f"{as_json(name)}: {said}" for name, said in sorted(protect))
    told += [f'"columns":{{{columns}}}'] if columns else []
    return "{" + ",".join(told) + "}"


def digest(text: str) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def as_json(part: object) -> str:
    """What YAML reads as it was: it takes some characters for the end of a line, or for none."""
    text = json.dumps(part, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return _MISREAD.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
