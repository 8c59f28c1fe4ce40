"""The column of key ids beside a column of tokens, which say nothing of their key themselves."""

from __future__ import annotations

from collections.abc import Iterable

from privpipe.arrow import Path
from privpipe.documents import Faults, quote
from privpipe.policy._model import Rule
from privpipe.policy._paths import format_path
from privpipe.policy._settings import Settings, Tokenize

__all__ = ["REVEALED_BY_KEY_IDS", "key_column_of", "refuse_key_columns", "refuse_taken_names"]

_SUFFIX = "__key"
REVEALED_BY_KEY_IDS = "which key made the token, and so roughly when"
"""What a key column tells an onlooker, in the words of a plan."""

_RENAME = "drop that column, rename it in the source, or leave key_column out"


def key_column_of(path: Path, settings: Settings | None) -> str | None:
    """The name of the column that holds the key ids of the tokens at `path`; None where there is
    none."""
    if isinstance(settings, Tokenize) and settings.key_column:
        return f"{path[0]}{_SUFFIX}"
    return None


def refuse_key_columns(rules: Iterable[Rule], faults: Faults) -> None:
    """Notes key columns of parts of a column, and those whose name the policy has otherwise."""
    rules = tuple(rules)
    listed = {str(rule.path[0]).lower(): rule for rule in reversed(rules)}
    for rule in rules:
        name = key_column_of(rule.path, rule.settings)
        if name is None:
            continue
        place = f"columns.{format_path(rule.path)}.key_column"
        other = listed.get(name.lower())
        if len(rule.path) > 1:
            text = "a key column stands beside a whole column, and this is a part of one"
            hint = "lift the field out in the source, or leave key_column out"
            faults.add(rule.line, place, text, hint)
        elif other is not None and not (other.protect == "drop" and len(other.path) == 1):
            text = f"the key column {quote(name)} would stand where line {other.line} has a column"
            faults.add(rule.line, place, text, _RENAME)


def refuse_taken_names(rules: Iterable[Rule], names: Iterable[str], faults: Faults) -> None:
    """Notes key columns whose name is one of `names`, which the table has of the source."""
    there = {name.lower() for name in names}
    for rule in rules:
        name = key_column_of(rule.path, rule.settings)
        if name is not None and name.lower() in there:
            place = f"columns.{format_path(rule.path)}.key_column"
            text = f"the source has a column {quote(name)}, where the key column would stand"
            faults.add(rule.line, place, text, _RENAME)
