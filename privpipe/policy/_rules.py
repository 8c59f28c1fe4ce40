"""The `columns:` of a policy: one rule a place, each checked against the vocabulary."""

from __future__ import annotations

from pathlib import Path as Folder
from typing import Any

from pydantic import ValidationError

from privpipe.arrow import Path, Step
from privpipe.documents import Faults, Node, choice, quote
from privpipe.errors import PolicyError
from privpipe.policy._context import OWN_CONTEXT
from privpipe.policy._model import Rule
from privpipe.policy._paths import format_path, parse_path
from privpipe.policy._settings import Pseudonymize
from privpipe.policy._told import build_settings, name_files, plain
from privpipe.policy._vocabulary import ALLOWANCES, PROTECTIONS, Protection

__all__ = ["read_rules"]

_FIELDS = frozenset().union(*(p.keys for p in PROTECTIONS.values()))
_WANTED = {
    "domain": "a name, as text",
    "keyset": "a name, as text",
    "context": "text",
    "allow": f"a list, of: {', '.join(ALLOWANCES)}",
}


def read_rules(columns: Node, faults: Faults, base: Folder) -> tuple[Rule, ...]:
    """The rules of `columns:`; those at fault are noted and left out. `base` is the folder that the
    files they name are in."""
    found = (_rule(key, line, node, faults, base) for key, line, node in columns.entries)
    rules = tuple(rule for rule in found if rule is not None)
    _overlaps(rules, faults)
    return rules


def _rule(key: str, line: int, node: Node, faults: Faults, base: Folder) -> Rule | None:
    place = f"columns.{key}"
    before = len(faults.found)
    path = _path(key, line, faults)
    protection, fields = (
        _short(line, node, place, faults) if node.kind != "mapping" else _long(node, place, faults)
    )
    if path is None or protection is None:
        return None
    if protection.action == "drop" and isinstance(path[-1], Step):
        faults.add(
            line,
            place,
            "an array's elements and a map's values cannot be dropped by themselves",
            f"drop {quote(format_path(path[:-1]))}",
        )
    rule = _build(path, line, protection, fields, faults, base)
    return rule if len(faults.found) == before else None


def _path(key: str, line: int, faults: Faults) -> Path | None:
    try:
        return parse_path(key)
    except PolicyError as error:
        faults.add(line, f"columns.{key}", error.message, error.hint)
        return None


Fields = dict[str, tuple[int, Node]]


def _short(line: int, node: Node, place: str, faults: Faults) -> tuple[Protection | None, Fields]:
    if node.kind in {"nothing", "list"}:
        faults.add(
            line,
            place,
            f"found {node.describe()}; wanted a protection, or a mapping with the key protect",
            f"allowed: {', '.join(PROTECTIONS)}",
        )
        return None, {}
    return _protection(node, f"{place}.protect", faults), {}


def _long(node: Node, place: str, faults: Faults) -> tuple[Protection | None, Fields]:
    entries = {key: (line, value) for key, line, value in node.entries}
    if "protect" not in entries:
        faults.add(node.line, place, "no key protect", "for example `{protect: encrypt}`")
        _unknown(entries, None, place, faults)
        return None, {}
    _, named = entries.pop("protect")
    protection = _protection(named, f"{place}.protect", faults)
    _unknown(entries, protection, place, faults)
    return protection, {key: entries[key] for key in entries if key in _FIELDS}


def _protection(node: Node, place: str, faults: Faults) -> Protection | None:
    if node.text in PROTECTIONS:
        return PROTECTIONS[node.text]
    if node.kind in {"nothing", "list", "mapping"}:
        allowed = f"allowed: {', '.join(PROTECTIONS)}"
        faults.add(node.line, place, f"found {node.describe()}; wanted a protection", allowed)
    else:
        faults.add(node.line, place, *choice("protection", node.text, PROTECTIONS))
    return None


def _unknown(entries: Fields, protection: Protection | None, place: str, faults: Faults) -> None:
    """Notes the keys that no protection has, and those that this one has no use for."""
    takes = _FIELDS if protection is None else protection.keys
    for key, (line, _) in entries.items():
        if key not in _FIELDS:
            text, _ = choice("key", key, ("protect", *sorted(_FIELDS)))
            hint = f"allowed here: {', '.join(('protect', *sorted(takes)))}"
            faults.add(line, f"{place}.{key}", text, hint)
        elif protection is not None and key not in takes:
            users = ", ".join(p.name for p in PROTECTIONS.values() if key in p.keys)
            faults.add(
                line,
                f"{place}.{key}",
                f"{protection.name} takes no {key}",
                f"{key} is for: {users}",
            )


def _build(
    path: Path, line: int, protection: Protection, fields: Fields, faults: Faults, base: Folder
) -> Rule | None:
    place = f"columns.{format_path(path)}"
    shared = {key: fields[key] for key in fields if key in protection.fields}
    _context(shared, place, faults)
    _keyset(fields, place, faults)
    own = {key: fields[key] for key in fields if key in protection.own}
    settings = build_settings(protection, own, line, place, faults)
    if isinstance(settings, Pseudonymize):
        _bare(settings, shared, place, faults)
    file = None if settings is None else name_files(settings, own, base, place, faults)
    try:
        given: dict[str, Any] = {
            key: plain(node, text_only=True) for key, (_, node) in shared.items()
        }
        return Rule(
            path=path, line=line, protect=protection.name, settings=settings, file=file, **given
        )
    except ValidationError as error:
        for key in dict.fromkeys(str(fault["loc"][0]) for fault in error.errors()):
            at, node = fields[key]
            faults.add(at, f"{place}.{key}", *_mistyped(key, node))
        return None


def _context(fields: Fields, place: str, faults: Faults) -> None:
    if "domain" in fields and "context" in fields:
        faults.add(
            fields["context"][0],
            f"{place}.context",
            "a column of a domain has the domain's context",
            "take out either domain or context",
        )
    if "context" in fields and fields["context"][1].text.startswith(OWN_CONTEXT):
        faults.add(
            fields["context"][0],
            f"{place}.context",
            f"a context that begins with {OWN_CONTEXT} is privpipe's own",
            "leave it out, and the value is bound to its column; or give another text",
        )


def _bare(settings: Pseudonymize, fields: Fields, place: str, faults: Faults) -> None:
    """A PRF without a context gives whoever chooses a source value the pseudonym of any context's:
    under a key that nothing else uses, there is none to be had."""
    if "context" not in fields or fields["context"][1].text:
        return
    line = fields["context"][0]
    if settings.algorithm != "hmac":
        faults.add(
            line,
            f"{place}.context",
            "the bare PRF is for matching other systems, and there it is HMAC",
            "add `algorithm: hmac` and a `keyset:`, or leave the context out",
        )
    elif "keyset" not in fields:
        faults.add(
            line,
            f"{place}.context",
            "a bare HMAC needs a key that no other column uses",
            "give it a `keyset:` of its own",
        )


def _keyset(fields: Fields, place: str, faults: Faults) -> None:
    """A keyset of privpipe's own is not an imported key, whatever it is called."""
    if "keyset" not in fields:
        return
    line, node = fields["keyset"]
    if node.text.startswith("imported:"):
        text = "an imported key is no keyset"
        faults.add(line, f"{place}.keyset", text, "a fernet column names it by `key:`")
    elif "key" in fields:
        text = "given beside key, which is another one"
        faults.add(line, f"{place}.keyset", text, "give one of the two")


def _mistyped(key: str, node: Node) -> tuple[str, str | None]:
    if key == "allow" and node.kind == "list":
        for item in node.items:
            if item.kind == "text" and item.text not in ALLOWANCES:
                return choice("allowance", item.text, ALLOWANCES)
    hint = "put it in quotes" if node.kind in {"number", "truth value", "date"} else None
    return f"found {node.describe()}; wanted {_WANTED[key]}", hint


def _overlaps(rules: tuple[Rule, ...], faults: Faults) -> None:
    """Notes places listed twice, and places inside one that is listed as a whole."""
    seen: dict[Path, Rule] = {}
    for rule in rules:
        place = f"columns.{format_path(rule.path)}"
        if rule.path in seen:
            faults.add(rule.line, place, f"listed twice; first on line {seen[rule.path].line}")
        seen.setdefault(rule.path, rule)
    for rule in rules:
        place = f"columns.{format_path(rule.path)}"
        for size in range(1, len(rule.path)):
            parent = seen.get(rule.path[:size])
            if parent is not None:
                faults.add(
                    rule.line,
                    place,
                    f"{quote(format_path(parent.path))} on line {parent.line} covers it already",
                    f"list {quote(format_path(parent.path))} as a whole, or its parts one by one",
                )
