"""The protections: what each takes, does, refuses and still reveals.

A new protection is one entry in `PROTECTIONS`, and its kernel. Everything else (the check of a
policy, its JSON schema, the plan) reads this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from privpipe.policy._plan import Action
from privpipe.policy._settings import (
    Bucket,
    Encrypt,
    EncryptDeterministic,
    Fernet,
    Generalize,
    Mask,
    Pseudonymize,
    Replace,
    Seal,
    Settings,
    Shift,
    Tokenize,
    Vault,
)
from privpipe.policy._types import DATES, NUMBERS, TEXT

__all__ = ["ALLOWANCES", "PROTECTIONS", "Protection"]

ALLOWANCES: Mapping[str, frozenset[str]] = MappingProxyType(
    {"float": frozenset({"float", "double"}), "collation": frozenset({"collation"})}
)
"""What `allow:` may name, and the refusals that it lifts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One word of the vocabulary.

    `fields` are the keys it takes beside `protect` that any protection may have, `settings` the
    model of its own; `primitive` is the Tink primitive of its keyset (`primitives`: another one, by
    what a setting says); `reveals` is what its bytes show of a value, in the plan's words;
    `refuses` gives, for a type's kind (or "collation"), why not, and `takes` the only kinds it is
    for. What is `reversible` comes back by `reveal`; what is `authenticated` says so when it was
    altered.
    """

    name: str
    summary: str
    action: Action = "protect"
    fields: frozenset[str] = frozenset()
    settings: type[Settings] | None = None
    primitive: str | None = None
    primitives: Mapping[tuple[str, str], str] = field(default_factory=dict)
    deterministic: bool = False
    reversible: bool = False
    authenticated: bool = False
    reveals: tuple[str, ...] = ()
    takes: frozenset[str] | None = None
    refuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def own(self) -> tuple[str, ...]:
        """The keys of its own settings."""
        return () if self.settings is None else tuple(f.name for f in fields(self.settings))

    @property
    def keys(self) -> frozenset[str]:
        """Every key that it takes beside `protect`."""
        return self.fields | frozenset(self.own)

    def primitive_for(self, settings: Settings | None) -> str | None:
        """The primitive of its keyset under these settings; None where it needs none."""
        for (name, value), primitive in self.primitives.items():
            if getattr(settings, name, None) == value:
                return primitive
        return self.primitive


_MANY_FORMS = "equal values of it have more than one form in bytes; protect the fields inside it"
_MANY_SHAPES = "equal shapes have more than one form in bytes"
_NEVER_EQUAL = "0.0 equals -0.0 and NaN has many forms, so equal values would not meet"

_UNEQUAL: Mapping[str, str] = MappingProxyType(
    {
        "float": _NEVER_EQUAL,
        "double": _NEVER_EQUAL,
        "collation": "strings that its collation calls equal differ in bytes, and would not meet",
        "struct": _MANY_FORMS,
        "array": _MANY_FORMS,
        "map": _MANY_FORMS,
        "variant": _MANY_FORMS,
        "geometry": _MANY_SHAPES,
        "geography": _MANY_SHAPES,
    }
)
_SHARED = frozenset({"domain", "context", "keyset"})

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
        settings=Encrypt,
        primitive="AES256_GCM",
        primitives=MappingProxyType({("prefix", "raw"): "AES256_GCM_RAW"}),
        reversible=True,
        authenticated=True,
        reveals=("nullness", "length"),
    ),
    Protection(
        name="encrypt_deterministic",
        summary="encrypted with AES-256-SIV, the same bytes for the same value, so it joins",
        fields=_SHARED | {"allow"},
        settings=EncryptDeterministic,
        primitive="AES256_SIV",
        deterministic=True,
        reversible=True,
        authenticated=True,
        reveals=("nullness", "length", "equality"),
        refuses=_UNEQUAL,
    ),
    Protection(
        name="tokenize",
        summary="a stand-in of the same length and alphabet, by FF1; comes back with the key",
        fields=_SHARED,
        settings=Tokenize,
        primitive="HKDF_SHA256_PRF",
        deterministic=True,
        reversible=True,
        reveals=("nullness", "length", "equality"),
        takes=TEXT,
    ),
    Protection(
        name="vault",
        summary="a random stand-in, kept with the encrypted value in a vault table",
        settings=Vault,
        primitive="HKDF_SHA256_PRF",
        deterministic=True,
        reversible=True,
        reveals=("nullness", "equality"),
        refuses=_UNEQUAL,
    ),
    Protection(
        name="pseudonymize",
        summary="a keyed name for the value that joins in its domain, and no way back",
        fields=_SHARED | {"allow"},
        settings=Pseudonymize,
        primitive="AES_CMAC_PRF",
        primitives=MappingProxyType({("algorithm", "hmac"): "HMAC_SHA256_PRF"}),
        deterministic=True,
        reveals=("nullness", "equality"),
        refuses=_UNEQUAL,
    ),
    Protection(
        name="shift",
        summary="moved by some days, the same for all dates of a subject; no way back",
        fields=frozenset({"domain", "keyset"}),
        settings=Shift,
        primitive="AES_CMAC_PRF",
        deterministic=True,
        reveals=("nullness", "roughly when", "intervals within a subject"),
        takes=DATES,
    ),
    Protection(
        name="mask",
        summary="characters hidden, but for those at the ends or of a kind",
        settings=Mask,
        deterministic=True,
        reveals=("nullness", "length", "what it shows"),
        takes=TEXT,
    ),
    Protection(
        name="redact",
        summary="null in place of every value",
        deterministic=True,
    ),
    Protection(
        name="replace",
        summary="one constant for all values, or an entry of a list drawn by a key",
        fields=_SHARED,
        settings=Replace,
        primitive="HKDF_SHA256_PRF",
        deterministic=True,
        reveals=("nullness",),
        refuses=MappingProxyType(
            dict.fromkeys(
                ("struct", "array", "map", "variant", "geometry", "geography"),
                "it stands for single values; replace the fields inside it",
            )
        ),
    ),
    Protection(
        name="generalize",
        summary="a coarser value: a range, a month, a region, a network",
        settings=Generalize,
        deterministic=True,
        reveals=("nullness", "the coarser value"),
    ),
    Protection(
        name="bucket",
        summary="the range that a number falls into",
        settings=Bucket,
        deterministic=True,
        reveals=("nullness", "the range"),
        takes=NUMBERS,
    ),
    Protection(
        name="fernet",
        summary="a Fernet token, as Python's cryptography reads it",
        fields=frozenset({"keyset"}),
        settings=Fernet,
        primitive="HKDF_SHA256_PRF",
        reversible=True,
        authenticated=True,
        reveals=("nullness", "length by 16 bytes", "when it was written"),
    ),
    Protection(
        name="seal",
        summary="encrypted under a public key: who writes it cannot read it",
        fields=frozenset({"context"}),
        settings=Seal,
        reversible=True,
        authenticated=True,
        reveals=("nullness", "length", "which task wrote it"),
    ),
)

PROTECTIONS: Mapping[str, Protection] = MappingProxyType({p.name: p for p in _ALL})
"""Every protection of this version, by the name a policy gives it."""
