"""Fresh keys for a keyset, and which tables then still have values under the ones before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from privpipe.catalog import Catalog, ColumnRecord, current_run
from privpipe.errors import UsageError
from privpipe.keys import Keyring
from privpipe.policy import PROTECTIONS, Plan
from privpipe.spark._workspace import Workspace

__all__ = ["Rotated", "Stale", "rotate", "told_stale"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """A column whose equal values would not meet those written from now on."""

    table: str
    target: str
    column: str
    key_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """A keyset's fresh key, and the columns to be rekeyed."""

    scope: str
    primitive: str
    key_id: int
    stale: tuple[Stale, ...]


def rotate(work: Workspace, scope: str, primitive: str) -> Rotated:
    """Gives a keyset a fresh primary key. Values of before still open.

    A column in which equal values are to meet takes no append until it is rekeyed. Raises
    UsageError for a vault's keyset, whose fingerprints are under one key for its life.
    """
    if scope.startswith("vault:"):
        raise UsageError(
            "a vault finds its values again by one key, for as long as it lives",
            where=f"keyset {scope}",
            hint="start another vault, and protect the sources again with it",
        )
    ref = work.keys.rotate(scope, primitive)
    stale = _stale(work.catalog, work.keys, {(scope, primitive)})
    return Rotated(scope=scope, primitive=primitive, key_id=ref.key_id, stale=tuple(stale))


def told_stale(catalog: Catalog, keys: Keyring, plan: Plan) -> tuple[str, ...]:
    """What `plan` is to say of the tables that share its keysets and are under earlier keys."""
    scopes = {leaf.keyset for leaf in plan.leaves if leaf.keyset is not None and leaf.deterministic}
    return tuple(
        f"{each.column} of {each.table} ({each.target}) is under key {each.key_id}, which is not "
        "active any more: equal values will not meet until it is rekeyed"
        for each in _stale(catalog, keys, scopes)
    )


def _stale(catalog: Catalog, keys: Keyring, scopes: Iterable[tuple[str, str]]) -> Iterator[Stale]:
    active = {scope: ref.key_id for scope in scopes if (ref := keys.find(*scope)) is not None}
    for fact in _current(catalog) if active else ():
        key_id = active.get((fact.scope, fact.primitive), fact.key_id)
        if key_id != fact.key_id and PROTECTIONS[fact.protection].deterministic:
            yield Stale(table=fact.table, target=fact.target, column=fact.path, key_id=fact.key_id)


def _current(catalog: Catalog) -> Iterator[ColumnRecord]:
    """What is in force of every table."""
    runs = catalog.runs()
    makers = (current_run(runs, target) for target in sorted({run.target for run in runs}))
    current = {maker.run_uid for maker in makers if maker is not None}
    facts = (fact for fact in catalog.columns() if fact.run_uid in current)
    yield from sorted(facts, key=lambda fact: (fact.target, fact.path))
