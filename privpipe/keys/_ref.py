"""`KeyRef`: what travels in place of a key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRef:
    """A wrapped keyset, what it is bound to, and the KEK that opens it. Holds no key.

    `wrapped` is Tink's encrypted-keyset JSON, `key_id` its primary key. `family` is what the
    values of a domain are, for the catalog and its backup: it opens nothing, so it is no part of
    what makes two refs one.
    """

    scope: str
    primitive: str
    wrapped: str = field(repr=False)
    kek_uri: str
    key_id: int
    family: str | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256: two refs are one if and only if theirs are equal."""
        parts = [self.scope, self.primitive, self.wrapped, self.kek_uri, self.key_id]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
