"""What a policy makes of one table: facts, ready to run and to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from privpipe.arrow import Path
from privpipe.policy._files import File
from privpipe.policy._key_column import key_column_of
from privpipe.policy._settings import Settings
from privpipe.policy._show import html
from privpipe.policy._types import Type

if TYPE_CHECKING:
    from privpipe.keys import Keyring

__all__ = ["Action", "ColumnPlan", "LeafPlan", "Plan"]

Action: TypeAlias = Literal["keep", "drop", "protect", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafPlan:
    """One value in a column and what becomes of it.

    `path` is spelt as the source spells it, from the top-level column on, so that it fits the data;
    `context` is spelt as the policy spells it. `scope` and `primitive` name the keyset. `type` is
    Spark's `simpleString` of the plaintext. `family` is given where there is a `domain`. `line` is
    the policy's. `reveals` says what an onlooker without the key still learns. `becomes` is the
    type of the protected value (`""`: the same type); `beside` are the columns of the row that are
    read with the value; `scope` and `primitive` are None where there is no key.
    """

    path: Path
    protection: str
    primitive: str | None
    scope: str | None
    context: str
    type: str
    family: str | None
    domain: str | None
    deterministic: bool
    line: int
    reveals: str
    becomes: str = "binary"
    settings: Settings | None = None
    file: File | None = None
    beside: tuple[str, ...] = ()

    @property
    def key_column(self) -> str | None:
        """The column of key ids that comes behind it, `bigint`; None where there is none."""
        return key_column_of(self.path, self.settings)

    @property
    def keyset(self) -> tuple[str, str] | None:
        """Scope and primitive of its keyset."""
        if self.scope is None or self.primitive is None:
            return None
        return self.scope, self.primitive


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlan:
    """One top-level column of the source, under the source's own name.

    `leaves` are there only where something in it is protected; `drops` are the struct fields that
    are left out, as paths from the top-level column on; what neither reaches is kept.
    `undecided` stands for a column in which at least one rule is.
    """

    name: str
    action: Action
    type: Type
    nullable: bool
    leaves: tuple[LeafPlan, ...]
    line: int
    drops: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A policy applied to a table's columns. Nothing in it is secret.

    `undecided` lists the paths that a policy has yet to decide on: a plan with any is to be shown,
    not to be run. `schema_json` is the source's schema in Spark's JSON, where Spark read it. `keys`
    is where to take keysets from, where that is at hand.
    """

    table: str
    policy_hash: str
    policy_json: str
    policy_name: str
    columns: tuple[ColumnPlan, ...]
    undecided: tuple[str, ...]
    warnings: tuple[str, ...]
    schema_json: str = field(default="", repr=False)
    keys: Keyring | None = field(default=None, repr=False, compare=False)

    @property
    def leaves(self) -> tuple[LeafPlan, ...]:
        """Every protected leaf, in the order of the source's columns."""
        return tuple(leaf for column in self.columns for leaf in column.leaves)

    @property
    def scopes(self) -> tuple[tuple[str, str, str | None], ...]:
        """The keysets it needs, each once: `(scope, primitive, family)`.

        The family is given for a domain's own scope, which is the one that a family fixes.
        """
        found = (
            (*leaf.keyset, leaf.family if leaf.keyset[0].startswith("domain:") else None)
            for leaf in self.leaves
            if leaf.keyset is not None
        )
        return tuple(dict.fromkeys(found))

    def _repr_html_(self) -> str:
        return html(self)
