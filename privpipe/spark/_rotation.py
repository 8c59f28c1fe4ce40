"""Fresh keys for a keyset, and which tables then still have values under the ones before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from privpipe.catalog import Catalog, ColumnRecord, current_run
from privpipe.errors import UsageError
from privpipe.keys import Keyring
from privpipe.policy import PROTECTIONS, Plan
from privpipe.spark._facts import held_keys
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

    A column in which equal values are to meet takes no append until it is rekeyed, unless the key
    ids of its tokens stand beside them. Raises
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
    for fact, key_ids in _current(catalog) if active else ():
        key_id = active.get((fact.scope, fact.primitive))
        if key_id is not None and PROTECTIONS[fact.protection].deterministic:
            for other in sorted(key_ids - {key_id}):
                yield Stale(table=fact.table, target=fact.target, column=fact.path, key_id=other)


def _current(catalog: Catalog) -> Iterator[tuple[ColumnRecord, set[int]]]:
    """What is in force of every table, each column with the keys of which it holds values."""
    runs, recorded = catalog.runs(), catalog.columns()
    for target in sorted({run.target for run in runs}):
        maker = current_run(runs, target)
        if maker is None:
            continue
        own = [fact for fact in recorded if fact.target == target]
        held = held_keys(runs, own, target)
        current = (fact for fact in own if fact.run_uid == maker.run_uid)
        for fact in sorted(current, key=lambda fact: fact.path):
            yield fact, {fact.key_id} | held[fact.path]
