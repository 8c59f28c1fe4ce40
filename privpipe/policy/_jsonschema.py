"""The policy's JSON schema, for editors: made from the model and the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from pydantic import TypeAdapter

from privpipe.policy._check import TOP_KEYS
from privpipe.policy._context import OWN_CONTEXT
from privpipe.policy._model import Rule, Unlisted
from privpipe.policy._vocabulary import PROTECTIONS, Protection

__all__ = ["policy_schema"]

_ABOUT = {
    "version": "The version of this format.",
    "table": "The identity bound into every value, wherever the files lie: `clinic.patients`.",
    "unlisted": "What becomes of a source column that is not listed. Default: refuse.",
    "schema": "Types of a CSV or JSON source, by column or as one DDL text; else all strings.",
    "columns": "One entry a column: `card.number` is a struct's field, `visits[].note` an "
    "array's element, `attrs{}` a map's values; a name with dots stands in backticks.",
    "domain": "Equal values meet across the tables of a domain.",
    "context": "Replaces the associated data, for foreign readers.",
    "keyset": "Names a keyset in place of the table's or the domain's own.",
    "allow": "Lifts refusals.",
}


# How `parse_path` reads a name, and what may follow one.
_NAME = r"(?:`(?:[^`]|``)+`|[^`.\[\]{}]+)"
_STEPS = r"(?:\[\]|\{\})*"
_TABLE = rf"^(?=.*\S){_NAME}(?:\.{_NAME})*$"
_PATH = rf"^{_NAME}{_STEPS}(?:\.{_NAME}{_STEPS})*$"


_MORE: Mapping[str, dict[str, Any]] = MappingProxyType(
    {"context": {"pattern": f"^(?!{OWN_CONTEXT})"}}
)

_AGE = {"properties": {"to": {"const": "age"}}, "required": ["to"]}
_WAYS = ("bounds", "to", "prefix", "network", "round", "hierarchy")
# Which keys go together, where the model of one key cannot say it; `_sense.py` says the same.
_TOGETHER: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "replace": {"oneOf": [{"required": ["value"]}, {"required": ["dictionary"]}]},
        "bucket": {"oneOf": [{"required": ["width"]}, {"required": ["bounds"]}]},
        "generalize": {
            "oneOf": [
                {"required": ["width"], "not": _AGE},
                *({"required": [way]} for way in _WAYS),
            ],
            "if": _AGE,
            "then": {"required": ["on"]},
            "else": {"not": {"anyOf": [{"required": ["on"]}, {"required": ["top"]}]}},
        },
    }
)


def policy_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a policy, as `conf/policy.schema.json` ships it."""
    text = {"type": "string", "pattern": r"\S"}
    properties: dict[str, dict[str, Any]] = {
        "version": {"const": 1},
        "table": {"type": "string", "pattern": _TABLE},
        "unlisted": {"enum": list(get_args(Unlisted))},
        "schema": {
            "oneOf": [
                text,
                {"type": "object", "additionalProperties": text, "minProperties": 1},
            ]
        },
        "columns": {
            "type": "object",
            "propertyNames": {"pattern": _PATH},
            "additionalProperties": {"$ref": "#/$defs/rule"},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "privpipe policy",
        "description": "What becomes of each column of one table.",
        "type": "object",
        "required": ["version", "table", "columns"],
        "additionalProperties": False,
        "properties": {key: _about(key, properties[key]) for key in TOP_KEYS},
        "$defs": {"rule": _rule()},
    }


def _rule() -> dict[str, Any]:
    short = {
        "oneOf": [
            {"const": p.name, "description": p.summary}
            for p in PROTECTIONS.values()
            if not _own(p).get("required") and p.name not in _TOGETHER
        ]
    }
    return {"oneOf": [short, *(_long(p) for p in PROTECTIONS.values())]}


def _long(protection: Protection) -> dict[str, Any]:
    fields = TypeAdapter(Rule).json_schema()["properties"]
    both = {"domain", "context"}
    apart = {"not": {"required": sorted(both)}} if both <= protection.fields else {}
    own = _own(protection)
    return {
        **apart,
        **_TOGETHER.get(protection.name, {}),
        "type": "object",
        "description": protection.summary,
        "required": ["protect", *own.get("required", ())],
        "additionalProperties": False,
        "properties": {
            "protect": {"const": protection.name},
            **{
                key: _about(key, _given(fields[key]) | _MORE.get(key, {}))
                for key in sorted(protection.fields)
            },
            **own.get("properties", {}),
        },
    }


def _own(protection: Protection) -> dict[str, Any]:
    """The schema of a protection's own settings, with the models inside it spelt out."""
    if protection.settings is None:
        return {}
    adapter: TypeAdapter[Any] = TypeAdapter(protection.settings)
    schema = adapter.json_schema()
    found: dict[str, Any] = _spelt_out(schema, schema.get("$defs", {}))
    return found


def _spelt_out(part: Any, models: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_spelt_out(item, models) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _spelt_out(models[part["$ref"].rpartition("/")[2]], models)
    kept = {key: value for key, value in part.items() if key not in {"$defs", "title", "default"}}
    ways = [way for way in kept.pop("anyOf", ()) if way.get("type") != "null"]
    if len(ways) == 1:
        return _spelt_out({**kept, **ways[0]}, models)
    if ways:
        kept["anyOf"] = ways
    return {key: _spelt_out(value, models) for key, value in kept.items()}


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field where it is written: without the null and default of its absence."""
    (given, *_) = (s for s in schema.get("anyOf", [schema]) if s.get("type") != "null")
    return {key: value for key, value in given.items() if key not in {"title", "default"}}


def _about(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": _ABOUT[key], **schema} if key in _ABOUT else schema
