"""A policy that has been checked: frozen models, and the hash of what they mean."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, StringConstraints
from pydantic.dataclasses import dataclass

from privpipe.arrow import Step
from privpipe.policy._files import File
from privpipe.policy._paths import format_path
from privpipe.policy._settings import Fernet, Settings, Vault, settings_json

__all__ = ["Policy", "Rule", "Unlisted"]

_STRICT = ConfigDict(extra="forbid", strict=True)

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^\S(.*\S)?$", max_length=255)]
Unlisted: TypeAlias = Literal["refuse", "keep", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Rule:
    """What becomes of one place in the table. `line` is where the policy says so (0: nowhere).

    `domain` shares key and context with the domain's other columns; `context` replaces the
    associated data; `keyset` names a keyset in place of the table's or domain's own; `allow` lifts
    refusals. `settings` is what else its protection was told, `file` the file that it names.
    """

    path: tuple[str | Step, ...]
    protect: str
    domain: Name | None = None
    context: str | None = None
    keyset: Name | None = None
    allow: tuple[Literal["float", "collation"], ...] = ()
    settings: Settings | None = None
    file: File | None = None
    line: int = 0

    def scope(self, table: str) -> str:
        """Whose key it uses: `table:clinic.patients`, `domain:email`, or the one it names."""
        if self.keyset is not None:
            return self.keyset
        if isinstance(self.settings, Vault):
            return f"vault:{self.settings.vault}"
        if isinstance(self.settings, Fernet) and self.settings.key is not None:
            return self.settings.key
        return f"table:{table}" if self.domain is None else f"domain:{self.domain}"


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Policy:
    """What becomes of one table. Made by `load_policy` and `parse_policy`.

    `table` is the identity bound into every value, dotted; `rules` are in the file's order;
    `source_types` is the `schema:` of a source that has none of its own, `name` the file.
    """

    version: Literal[1] = 1
    table: str
    unlisted: Unlisted = "refuse"
    source_types: str | tuple[tuple[str, str], ...] | None = None
    rules: tuple[Rule, ...]
    name: str = "<policy>"
    line: int = 0

    @property
    def schema(self) -> dict[str, str] | str | None:
        """Spark type by column, or one DDL text, or None where the policy gives no `schema:`."""
        types = self.source_types
        return dict(types) if isinstance(types, tuple) else types

    @property
    def columns(self) -> dict[str, Rule]:
        """The rules by the text of their path, `visits[].note`, in the file's order."""
        return {format_path(rule.path): rule for rule in self.rules}

    @property
    def canonical_json(self) -> str:
        """The policy's meaning as JSON, itself a policy: no comments, no spelling, no order."""
        meaning: dict[str, object] = {
            "version": self.version,
            "table": self.table,
            "unlisted": self.unlisted,
            "columns": {text: _meaning(rule) for text, rule in self.columns.items()},
        }
        if self.source_types is not None:
            meaning["schema"] = self.schema
        text = json.dumps(meaning, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        # YAML takes no control characters, and reads no surrogate pairs.
        return "".join(
            c if c.isprintable() or ord(c) > 0xFFFF else f"\\u{ord(c):04x}" for c in text
        )

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical_json` and of the files that it names, in hex."""
        # With its name each, or two lists that change places would leave the hash as it is.
        files = {(rule.file.name, rule.file.digest) for rule in self.rules if rule.file is not None}
        meaning = "\n".join([self.canonical_json, *(f"{d} {name}" for name, d in sorted(files))])
        return hashlib.sha256(meaning.encode()).hexdigest()


def _meaning(rule: Rule) -> dict[str, object]:
    given = {"domain": rule.domain, "context": rule.context, "keyset": rule.keyset}
    out: dict[str, object] = {"protect": rule.protect}
    out.update((key, value) for key, value in given.items() if value is not None)
    if rule.allow:
        out["allow"] = sorted(set(rule.allow))
    if rule.settings is not None:
        out.update(settings_json(rule.settings))
    return out
