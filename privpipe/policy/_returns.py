"""What the lossy protections take, and the type of what they give."""

from __future__ import annotations

from privpipe.errors import InternalError
from privpipe.policy._settings import Bucket, Generalize, Mask, Replace, Settings
from privpipe.policy._types import DATES, FRACTIONS, KINDS, NUMBERS, TEXT, Type

__all__ = ["returns", "takes"]


def returns(protection: str, kind: Type, settings: Settings | None) -> str:
    """Spark's `simpleString` of what `protection` makes of a value of type `kind`."""
    if protection in {"redact", "replace"}:
        return kind.text
    if isinstance(settings, Generalize):
        if settings.to == "age" and settings.width is None:
            return "int"
        if (settings.to is not None and settings.to != "age") or settings.round is not None:
            return kind.text
    return "string"


def takes(protection: str, settings: Settings | None) -> frozenset[str]:
    """The kinds of type that `protection` accepts under these settings."""
    if protection == "redact":
        return KINDS - {"object", "udt", "void"}
    if isinstance(settings, Mask):
        return TEXT
    if isinstance(settings, Bucket):
        return NUMBERS
    if isinstance(settings, Replace):
        return TEXT if settings.value is None else _holders(settings.value)
    if isinstance(settings, Generalize):
        return _generalized(settings)
    raise InternalError(f"{protection} is no lossy protection")


def _holders(value: str | float) -> frozenset[str]:
    """The kinds that may hold a constant; whether this one fits is `constant`'s to say."""
    if isinstance(value, bool):
        return frozenset({"boolean"})
    if isinstance(value, str):
        return TEXT | DATES | {"decimal"}
    return NUMBERS if isinstance(value, int) else FRACTIONS


def _generalized(settings: Generalize) -> frozenset[str]:
    if settings.to is not None:
        return DATES
    if settings.round is not None:
        return FRACTIONS
    if settings.width is not None or settings.bounds:
        return NUMBERS
    return TEXT
