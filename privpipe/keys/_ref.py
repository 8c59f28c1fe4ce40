"""`KeyRef`: what travels in place of a key."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRef:
    """A wrapped keyset, what it is bound to, and the KEK that opens it. Holds no key.

    `wrapped` is Tink's encrypted-keyset JSON, `key_id` its primary key.
    """

    scope: str
    primitive: str
    wrapped: str = field(repr=False)
    kek_uri: str
    key_id: int

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over all of it: two refs are one if and only if this is equal."""
        parts = [self.scope, self.primitive, self.wrapped, self.kek_uri, self.key_id]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
