"""The protections: what each takes, does, refuses and still reveals.

A new protection is one entry in `PROTECTIONS`, and its kernel. Everything else (the check of a
policy, its JSON schema, the plan) reads this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from privpipe.policy._plan import Action

__all__ = ["ALLOWANCES", "LATER", "PROTECTIONS", "Protection"]

ALLOWANCES: Mapping[str, frozenset[str]] = MappingProxyType(
    {"float": frozenset({"float", "double"}), "collation": frozenset({"collation"})}
)
"""What `allow:` may name, and the refusals that it lifts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One word of the vocabulary.

    `fields` are the keys it takes beside `protect`; `primitive` is the Tink primitive of its
    keyset; `scheme` goes into the column's metadata; `reveals` is what its bytes show of a value,
    in the plan's words; `refuses` gives, for a type's kind (or "collation"), why not.
    """

    name: str
    summary: str
    action: Action = "protect"
    fields: frozenset[str] = frozenset()
    primitive: str | None = None
    scheme: str | None = None
    deterministic: bool = False
    reveals: tuple[str, ...] = ()
    refuses: Mapping[str, str] = field(default_factory=dict)


_MANY_FORMS = "equal values of it have more than one form in bytes; protect the fields inside it"
_MANY_SHAPES = "equal shapes have more than one form in bytes"
_NEVER_EQUAL = "0.0 equals -0.0 and NaN has many forms, so equal values would not meet"

_ALL = (
    Protection(name="keep", summary="left as it is, in clear", action="keep"),
    Protection(name="drop", summary="left out of the protected table", action="drop"),
    Protection(
        name="undecided",
        summary="not decided yet: fine to check, refused by protect",
        action="undecided",
    ),
    Protection(
        name="encrypt",
        summary="encrypted with AES-256-GCM, other bytes each time",
        fields=frozenset({"context", "keyset"}),
        primitive="AES256_GCM",
        scheme="tink:AES256_GCM",
        reveals=("nullness", "length"),
    ),
    Protection(
        name="encrypt_deterministic",
        summary="encrypted with AES-256-SIV, the same bytes for the same value, so it joins",
        fields=frozenset({"domain", "context", "keyset", "allow"}),
        primitive="AES256_SIV",
        scheme="tink:AES256_SIV",
        deterministic=True,
        reveals=("nullness", "length", "equality"),
        refuses=MappingProxyType(
            {
                "float": _NEVER_EQUAL,
                "double": _NEVER_EQUAL,
                "collation": "strings that its collation calls equal differ in bytes, and would "
                "not meet",
                "struct": _MANY_FORMS,
                "array": _MANY_FORMS,
                "map": _MANY_FORMS,
                "variant": _MANY_FORMS,
                "geometry": _MANY_SHAPES,
                "geography": _MANY_SHAPES,
            }
        ),
    ),
)

PROTECTIONS: Mapping[str, Protection] = MappingProxyType({p.name: p for p in _ALL})
"""Every protection of this version, by the name a policy gives it."""

# Named in the documentation as coming: a policy that uses one is early, not misspelt.
_PROMISED = frozenset(
    {
        "tokenize",
        "vault",
        "pseudonymize",
        "shift",
        "mask",
        "redact",
        "replace",
        "generalize",
        "bucket",
        "fernet",
        "seal",
    }
)
LATER = _PROMISED - PROTECTIONS.keys()
"""Names of protections that this version knows of and does not have."""
