"""A vault has tokens of one format, whichever of a policy's columns they stand in."""

from __future__ import annotations

from collections.abc import Iterable

from privpipe.documents import Faults, quote
from privpipe.policy._model import Rule
from privpipe.policy._paths import format_path
from privpipe.policy._settings import Vault

__all__ = ["refuse_two_formats"]


def refuse_two_formats(rules: Iterable[Rule], faults: Faults) -> None:
    """Notes columns that ask a vault for another format than the first one that names it."""
    first: dict[str, tuple[Rule, str]] = {}
    for rule in rules:
        if not isinstance(rule.settings, Vault):
            continue
        vault, wanted = rule.settings.vault, rule.settings.format
        other, there = first.setdefault(vault, (rule, wanted))
        if wanted != there:
            faults.add(
                rule.line,
                f"columns.{format_path(rule.path)}.format",
                f"the vault {quote(vault)} has {quote(there)} on line {other.line}",
                "give both the same format, or this one a vault of its own",
            )
