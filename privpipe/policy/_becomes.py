"""What a protected value is: the types it may come from, and the type it gets."""

from __future__ import annotations

from privpipe.policy._returns import returns
from privpipe.policy._returns import takes as lossy_takes
from privpipe.policy._settings import Generalize, Mask, Pseudonymize, Replace, Settings
from privpipe.policy._types import Type
from privpipe.policy._vocabulary import Protection

__all__ = ["SEALED", "becomes", "is_looked_up", "takes"]

SEALED = "struct<key:binary,ct:binary>"
_BY_LOOKUP = frozenset({"network", "hierarchy"})


def becomes(protection: str, kind: Type, settings: Settings | None) -> str:
    """Spark's `simpleString` of the protected value; empty where it is the source's own type."""
    if protection in {"encrypt", "encrypt_deterministic"}:
        return "binary"
    if protection == "seal":
        return SEALED
    if isinstance(settings, Pseudonymize):
        return "bigint" if settings.output == "int64" else "string"
    if protection in {"tokenize", "vault", "fernet"} or is_looked_up(settings):
        return "string"
    if protection in {"shift", "redact"}:
        return ""
    found = returns(protection, kind, settings)
    return "" if found == kind.text else found


def takes(protection: Protection, settings: Settings | None) -> frozenset[str] | None:
    """The only kinds of types that a protection is for; None where it takes all but some."""
    if isinstance(settings, Generalize | Replace):
        return lossy_takes(protection.name, settings)
    return protection.takes


def is_looked_up(settings: Settings | None) -> bool:
    """Whether a worker looks the value up: in a list, by its address, by its characters."""
    if isinstance(settings, Mask):
        return settings.keep != ""
    if isinstance(settings, Generalize):
        return any(getattr(settings, way) is not None for way in _BY_LOOKUP)
    return isinstance(settings, Replace) and settings.dictionary is not None
