"""A policy's text to a checked `Policy`, or to one error with every fault in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast, get_args

from privpipe.documents import Faults, Node, choice, read_file, read_mapping
from privpipe.errors import PolicyError
from privpipe.policy._beside import beside
from privpipe.policy._key_column import refuse_key_columns
from privpipe.policy._model import Policy, Rule, Unlisted
from privpipe.policy._paths import format_path, parse_names
from privpipe.policy._rules import read_rules
from privpipe.policy._vault_formats import refuse_two_formats

__all__ = ["TOP_KEYS", "load_policy", "parse_policy"]

TOP_KEYS = ("version", "table", "unlisted", "schema", "columns")
_UNLISTED = get_args(Unlisted)


def load_policy(path: str | os.PathLike[str]) -> Policy:
    """The policy in the YAML file at `path`. Reads that file and nothing else.

    Raises:
        PolicyError: every fault of the file, each with its line, what was found, what is allowed
            and the nearest name.
    """
    name = str(path)
    faults = Faults(name=name, advice=f"mend the policy, then run `privpipe check {name}`")
    text = read_file(Path(path), faults)
    faults.settle()
    return _read(text or "", faults, Path(path).parent)


def parse_policy(
    text: str, *, name: str = "<policy>", base: str | os.PathLike[str] = "."
) -> Policy:
    """The policy that the YAML `text` holds; `name` stands for the file in errors, and files that
    the policy names are looked for in the folder `base`.

    Raises PolicyError as `load_policy` does.
    """
    return _read(text, Faults(name=name), Path(base))


def _read(text: str, faults: Faults, base: Path) -> Policy:
    root = read_mapping(text, faults)
    if root is None:
        faults.settle()
        raise PolicyError("cannot be read", where=faults.name, hint=faults.advice)
    entries = {key: (line, node) for key, line, node in root.entries}
    for key, (line, _) in entries.items():
        if key not in TOP_KEYS:
            faults.add(line, key, *choice("key", key, TOP_KEYS))
    _version(entries, faults)
    table = _table(entries, faults)
    unlisted, unlisted_line = _unlisted(entries, faults)
    types = _schema(entries, faults)
    rules = _columns(entries, faults, base)
    beside(rules, unlisted, faults)
    refuse_key_columns(rules, faults)
    refuse_two_formats(rules, faults)
    faults.settle()
    return Policy(
        table=table,
        unlisted=unlisted,
        source_types=types,
        rules=rules,
        name=faults.name,
        line=unlisted_line,
    )


Entries = dict[str, tuple[int, Node]]


def _version(entries: Entries, faults: Faults) -> None:
    line, node = entries.get("version", (0, None))
    if node is None:
        faults.add(0, "version", "no key version", "write `version: 1` at the top")
    elif (node.kind, node.text) != ("number", "1"):
        found = node.text if node.kind == "number" else node.describe()
        faults.add(
            line,
            "version",
            f"version {found} is not known; this privpipe reads version 1",
            "write `version: 1`, or upgrade privpipe if the policy is newer",
        )


def _table(entries: Entries, faults: Faults) -> str:
    line, node = entries.get("table", (0, None))
    example = "for example `table: clinic.patients`"
    if node is None:
        faults.add(0, "table", "no key table: the identity bound into every value", example)
        return ""
    if node.kind != "text":
        faults.add(line, "table", f"found {node.describe()}; wanted a name, as text", example)
        return ""
    try:
        names = parse_names(node.text)
        if not all(name.strip() for name in names):
            faults.add(line, "table", "a name of blanks alone", example)
            return ""
        return format_path(names)
    except PolicyError as error:
        faults.add(line, "table", error.message, error.hint)
        return ""


def _unlisted(entries: Entries, faults: Faults) -> tuple[Unlisted, int]:
    line, node = entries.get("unlisted", (0, None))
    if node is None:
        return "refuse", entries.get("columns", (0, None))[0]
    if node.text in _UNLISTED:
        return cast(Unlisted, node.text), line
    if node.kind in {"list", "mapping", "nothing"}:
        faults.add(line, "unlisted", f"found {node.describe()}", f"allowed: {', '.join(_UNLISTED)}")
    else:
        faults.add(line, "unlisted", *choice("word", node.text, _UNLISTED))
    return "refuse", line


def _schema(entries: Entries, faults: Faults) -> str | tuple[tuple[str, str], ...] | None:
    line, node = entries.get("schema", (0, None))
    wanted = "wanted Spark types by column, or one DDL text"
    hint = "for example `schema: {visited: date}` or `schema: rec_id string, visited date`"
    if node is None:
        return None
    if node.kind == "text" and node.text.strip():
        return node.text
    if node.kind != "mapping" or not node.entries:
        faults.add(line, "schema", f"found {node.describe()}; {wanted}", hint)
        return None
    for column, at, kind in node.entries:
        if kind.kind != "text" or not kind.text.strip():
            faults.add(
                at, f"schema.{column}", f"found {kind.describe()}; wanted a Spark type", hint
            )
    return tuple((column, kind.text) for column, _, kind in node.entries)


def _columns(entries: Entries, faults: Faults, base: Path) -> tuple[Rule, ...]:
    line, node = entries.get("columns", (0, None))
    example = "one line a column, for example `surname: encrypt`"
    if node is None:
        faults.add(0, "columns", "no key columns", example)
    elif node.kind != "mapping":
        faults.add(line, "columns", f"found {node.describe()}; wanted a mapping", example)
    else:
        return read_rules(node, faults, base)
    return ()
