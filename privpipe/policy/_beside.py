"""The other columns of the row that a protection reads: tweaks, row keys, subjects."""

from __future__ import annotations

from collections.abc import Iterator

from privpipe.documents import Faults, quote
from privpipe.policy._model import Rule, Unlisted
from privpipe.policy._paths import format_path
from privpipe.policy._settings import Encrypt, EncryptDeterministic, Settings, Shift, Tokenize
from privpipe.policy._vocabulary import PROTECTIONS

__all__ = ["BESIDE", "beside", "beside_of", "names_beside"]

BESIDE = frozenset(
    {
        "string", "char", "varchar", "binary", "boolean", "tinyint", "smallint", "int", "bigint",
        "decimal", "date", "timestamp", "timestamp_ntz",
    }
)  # fmt: skip
"""The kinds of columns whose value can stand beside another: those with one form in bytes."""

_NEVER_SAME = {
    "encrypt": "its bytes are other ones each time",
    "fernet": "its bytes are other ones each time",
    "seal": "its bytes are other ones each time",
    "redact": "it is null in every row",
    "drop": "it is not in the protected table",
    "undecided": "it is not decided yet",
}


def names_beside(rule: Rule) -> tuple[str, ...]:
    """The columns, by name, that stand beside the values of a rule."""
    return beside_of(rule.settings)


def beside_of(settings: Settings | None) -> tuple[str, ...]:
    """The columns, by name, that stand beside the values of a rule with these settings."""
    if isinstance(settings, Tokenize):
        return () if settings.tweak is None else (settings.tweak,)
    if isinstance(settings, Shift):
        return (settings.subject,)
    return settings.bind if isinstance(settings, Encrypt | EncryptDeterministic) else ()


def beside(rules: tuple[Rule, ...], unlisted: Unlisted, faults: Faults) -> None:
    """Notes columns that cannot stand beside: a tweak that is not kept in clear, a row key that is
    not the same when the value is read."""
    exact = {str(rule.path[0]): rule for rule in rules if len(rule.path) == 1}
    listed = {name.lower(): rule for name, rule in exact.items()}
    nested = {str(rule.path[0]).lower() for rule in rules if len(rule.path) > 1}
    for rule in rules:
        for key, name in _named(rule):
            place = f"columns.{format_path(rule.path)}.{key}"
            other = exact.get(name) or listed.get(name.lower())
            if name.lower() in nested:
                faults.add(rule.line, place, f"{quote(name)} is not a single value")
            elif other is None:
                if unlisted != "keep":
                    hint = "list it; a source column that is not listed is not there"
                    faults.add(rule.line, place, f"{quote(name)} is not listed", hint)
            elif other is rule:
                faults.add(rule.line, place, f"{quote(name)} is the column itself")
            elif key == "tweak" and other.protect != "keep":
                text = f"{quote(name)} on line {other.line} is {other.protect}, not in clear"
                faults.add(rule.line, place, text, "keep that column, or take another tweak")
            elif key == "bind" and other.protect in _NEVER_SAME:
                why = _NEVER_SAME[other.protect]
                text = f"{quote(name)} on line {other.line} is {other.protect}: {why}"
                faults.add(rule.line, place, text, "bind to a column that every row keeps")
            elif key == "bind" and names_beside(other):
                text = f"{quote(name)} on line {other.line} hangs on other columns itself"
                faults.add(rule.line, place, text, "bind to a column that does not")


def _named(rule: Rule) -> Iterator[tuple[str, str]]:
    keys = PROTECTIONS[rule.protect].own
    key = next((key for key in ("tweak", "subject", "bind") if key in keys), "")
    for name in dict.fromkeys(names_beside(rule)):
        yield key, name
