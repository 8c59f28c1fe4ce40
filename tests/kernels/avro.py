"""Avro schemas and values with their schemas before them, for the tests of `read_avro`."""

from __future__ import annotations

import json
import struct
from typing import Any

from privpipe.kernels import _reference_foreign

write = _reference_foreign.avro_write


def framed(schema: Any, binary: bytes) -> bytes:
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    return struct.pack(">I", len(text)) + text + binary


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def mapped(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


def record(name: str = "r", **fields: Any) -> dict[str, Any]:
    listed = [{"name": field, "type": kind} for field, kind in fields.items()]
    return {"type": "record", "name": name, "fields": listed}


ENUM = {"type": "enum", "name": "e", "symbols": ["red", "green"]}
FIXED = {"type": "fixed", "name": "f", "size": 3}
