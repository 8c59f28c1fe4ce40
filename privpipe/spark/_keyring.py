"""The keyring of a project: keysets looked up in its catalog, and made there when missing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from privpipe.catalog import Catalog, KeysetRecord
from privpipe.errors import (
    DomainConflict,
    KeyAccessError,
    KeysetError,
    KeysetNotFound,
    TryAgain,
    UnwrapError,
)
from privpipe.keys import (
    IMPORTED,
    ForeignKey,
    KeyRef,
    OpenerRef,
    generate_wrapped,
    import_scope,
    prove_ref,
    rotate_wrapped,
)
from privpipe.spark._imported import no_such_key

__all__ = ["CatalogKeyring", "Scope"]

Scope = tuple[str, str, str | None]


class CatalogKeyring:
    """Gets or makes keysets, one for each scope and primitive, whoever else makes them meanwhile.

    The project's own `kek` opens them, wherever the project folder lies now. A keyset found once
    is kept for this object's life; `forget()` looks anew.
    """

    def __init__(self, catalog: Catalog, kek_uri: str, opener: OpenerRef | None = None) -> None:
        self._catalog = catalog
        self._kek_uri = kek_uri
        self._known: dict[tuple[str, str], KeysetRecord] = {}
        self.opener = opener

    def with_opener(self, opener: OpenerRef | None) -> CatalogKeyring:
        """The same keyring with a private key at hand."""
        return CatalogKeyring(self._catalog, self._kek_uri, opener)

    def __repr__(self) -> str:
        return f"CatalogKeyring({self._catalog.location!r})"

    def forget(self) -> None:
        """Drops what was read, so that the next look-up sees the catalog as it is now."""
        self._known.clear()

    def find(self, scope: str, primitive: str) -> KeyRef | None:
        """The active version's key, or None. Makes nothing."""
        if (scope, primitive) not in self._known:
            self._read()
        record = self._known.get((scope, primitive))
        return None if record is None else self._key_ref(record)

    def ref(self, scope: str, primitive: str, *, family: str | None = None) -> KeyRef:
        """The active version's key, made now where there is none.

        Raises DomainConflict where the keyset serves another family of values.
        """
        self.make([(scope, primitive, family)])
        return self._key_ref(self._known[scope, primitive])

    def make(self, scopes: Iterable[Scope]) -> None:
        """Makes all missing keysets in one commit, and proves that every one of them opens."""
        wanted = list(scopes)
        if any((scope, primitive) not in self._known for scope, primitive, _ in wanted):
            self._read()
        missing = [want for want in wanted if want[:2] not in self._known]
        for scope, primitive, family in wanted:
            self._check_family(scope, primitive, family)
        self._refuse_unmade(missing)
        if missing:
            self._prove_kek()
            for record in self._catalog.add_keysets([self._generate(*want) for want in missing]):
                self._known[record.scope, record.primitive] = record
            for want in missing:
                self._check_family(*want)
        for scope, primitive, _ in wanted:
            # Here, on the driver, a wrong KEK or a swapped keyset stops the job before it starts.
            prove_ref(self._key_ref(self._known[scope, primitive]))

    def check(self, scopes: Iterable[Scope]) -> None:
        """What `make` would refuse, refused now, with nothing made."""
        self._read()
        wanted = list(scopes)
        for scope, primitive, family in wanted:
            self._check_family(scope, primitive, family)
            ref = self.find(scope, primitive)
            if ref is not None:
                prove_ref(ref)
        self._refuse_unmade(want for want in wanted if want[:2] not in self._known)
        if any((scope, primitive) not in self._known for scope, primitive, _ in wanted):
            self._prove_kek()

    def refuse_families(self, scopes: Iterable[Scope]) -> None:
        """Raises DomainConflict where a keyset serves another family of values."""
        self._read()
        for want in scopes:
            self._check_family(*want)

    def imported(self) -> tuple[KeyRef, ...]:
        """The keys of others that the catalog keeps."""
        self._read()
        return tuple(
            self._key_ref(record) for record in self._known.values() if record.primitive in IMPORTED
        )

    def add_imported(self, key: ForeignKey, name: str) -> tuple[KeyRef, bool]:
        """Wraps a key and keeps it as `imported:<name>`: its ref, and whether it is new there.

        KeysetError where another key has that name.
        """
        scope = import_scope(name)
        namesakes = [ref for ref in self.imported() if ref.scope == scope]
        if not namesakes:
            self._prove_kek()
            record = self._record(key.wrapped(name, self._kek_uri), None)
            (kept,) = self._catalog.add_keysets([record])
            self._known[kept.scope, kept.primitive] = kept
            namesakes = [self._key_ref(kept)]
            if kept.wrapped == record.wrapped:
                return namesakes[0], True
        for ref in namesakes:
            if not key.is_in(ref):
                raise KeysetError(
                    "another key has this name already, and a key is never overwritten",
                    where=f"{ref.scope} {ref.primitive}, key {ref.key_id}",
                    hint="choose another name",
                )
        return namesakes[0], False

    def _refuse_unmade(self, missing: Iterable[Scope]) -> None:
        """Refuses to make what others made."""
        for scope, primitive, _ in missing:
            if primitive in IMPORTED:
                raise no_such_key(self, scope, primitive)

    def rotate(self, scope: str, primitive: str) -> KeyRef:
        """Gives a keyset a fresh primary key, under which all is written from now on; returns it.

        What its earlier keys made still opens. Raises KeysetNotFound where there is no such
        keyset, TryAgain where another job rotated it at the same time.
        """
        self._read()
        record = self._known.get((scope, primitive))
        if record is None:
            raise KeysetNotFound(
                "the catalog has no such keyset",
                where=f"keyset {scope} {primitive}",
                hint=self._others_of(scope),
            )
        ref = rotate_wrapped(self._key_ref(record))
        wanted = replace(
            record,
            version=record.version + 1,
            wrapped=ref.wrapped,
            kek_uri=self._kek_uri,
            key_id=ref.key_id,
            created_at=datetime.now(UTC),
        )
        (there,) = self._catalog.add_keysets([wanted])
        self._known[scope, primitive] = there
        if there.key_id != wanted.key_id:
            raise TryAgain(
                "another job rotated this keyset a moment ago",
                where=f"keyset {scope} {primitive}",
                hint="`privpipe keys list` shows its keys; rotate again only if that was not meant",
            )
        prove_ref(self._key_ref(there))
        return self._key_ref(there)

    def _prove_kek(self) -> None:
        """Refuses a KEK that opens none of the keysets that are there: one made under it would be
        lost when the right one is back. One that opens is enough, since others may be damaged."""
        for record in self._known.values():
            with suppress(KeyAccessError):
                # Not from the cache: the KEK may have been exchanged since.
                prove_ref(self._key_ref(record), anew=True)
                return
        if self._known:
            raise UnwrapError(
                f"none of the catalog's {len(self._known)} keyset(s) opens under this KEK",
                where=self._kek_uri,
                hint="put back the KEK that they were made under; a new keyset is made under no "
                "other",
            )

    def _read(self) -> None:
        # Versions ascend, so the newest of a scope is the one that stays.
        for record in sorted(self._catalog.keysets(), key=lambda record: record.version):
            self._known[record.scope, record.primitive] = record

    def _others_of(self, scope: str) -> str:
        there = [primitive for known, primitive in sorted(self._known) if known == scope]
        if not there:
            return "`privpipe keys list` shows those it has"
        return f"of this scope it has: {', '.join(there)}; say which by --primitive"

    def _check_family(self, scope: str, primitive: str, family: str | None) -> None:
        record = self._known.get((scope, primitive))
        if record is not None and record.family != family:
            raise DomainConflict(
                f"holds values of family {record.family or 'any'}, not {family or 'any'}",
                where=f"keyset {scope}",
                hint="equal values meet only within one family: cast the column, "
                "or name another domain",
            )

    def _generate(self, scope: str, primitive: str, family: str | None) -> KeysetRecord:
        return self._record(generate_wrapped(scope, primitive, self._kek_uri), family)

    def _record(self, ref: KeyRef, family: str | None) -> KeysetRecord:
        return KeysetRecord(
            scope=ref.scope,
            primitive=ref.primitive,
            version=1,
            family=family,
            wrapped=ref.wrapped,
            kek_uri=self._kek_uri,
            key_id=ref.key_id,
            created_at=datetime.now(UTC),
        )

    def _key_ref(self, record: KeysetRecord) -> KeyRef:
        return KeyRef(
            scope=record.scope,
            primitive=record.primitive,
            wrapped=record.wrapped,
            kek_uri=self._kek_uri,
            key_id=record.key_id,
        )
