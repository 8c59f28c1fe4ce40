"""A spec's meaning as one text, itself a spec, and the hash of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

__all__ = ["canonical", "digest"]


def canonical(parts: Mapping[str, object], protect: Sequence[tuple[str, str]]) -> str:
    """The keys in order, and what protects the written columns, which is YAML already."""
    told = [f"{_json(key)}:{_json(part)}" for key, part in sorted(parts.items())]
    columns = ",".join(f"{_json(name)}: {said}" for name, said in sorted(protect))
    told += [f'"columns":{{{columns}}}'] if columns else []
    return "{" + ",".join(told) + "}"


def digest(text: str) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _json(part: object) -> str:
    return json.dumps(part, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
