"""What can be protected, which values of different types meet, and what their bytes still show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from privpipe.arrow import Path, Step
from privpipe.errors import SchemaError
from privpipe.policy._becomes import takes
from privpipe.policy._constant import constant
from privpipe.policy._settings import Replace, Settings, Shift, Tokenize
from privpipe.policy._types import CONTAINERS, KINDS, Type
from privpipe.policy._unchanged import unchanged
from privpipe.policy._vocabulary import ALLOWANCES, Protection

__all__ = ["family", "is_family", "refusal", "reveals"]

_FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("string", "char", "varchar"), "text"),
        "binary": "bytes",
        **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "integer"),
        **{
            kind: kind
            for kind in (
                "boolean",
                "date",
                "timestamp",
                "timestamp_ntz",
                "time",
                "interval_dt",
                "interval_ym",
                "float",
                "double",
            )
        },
    }
)

_NEVER: Mapping[str, str] = MappingProxyType(
    {
        "interval": "a calendar interval cannot leave Spark's own memory; keep its months, days "
        "and microseconds as columns of their own",
        "void": "it holds nothing but nulls",
        "udt": "a user-defined type is not handled; protect the type beneath it",
        "object": "a JVM object is not handled",
    }
)

_VARIABLE = CONTAINERS | {"string", "char", "varchar", "binary", "geometry", "geography"}


def family(kind: Type) -> str:
    """The family whose values meet in a domain: `text`, `integer`, `decimal.2`, ….

    Types of one family have equal bytes for equal values. A type that cannot be protected
    deterministically has its kind for a family, which no domain has.
    """
    if kind.kind == "decimal":
        scale = kind.text.partition(",")[2].strip(" )") or "0"
        return f"decimal.{scale}"
    return _FAMILIES.get(kind.kind, kind.kind)


def is_family(name: str) -> bool:
    """Whether a domain may hold values of this family."""
    scale = name.removeprefix("decimal.")
    decimal = scale != name and scale.isdecimal() and int(scale) <= 38
    return decimal or name in _FAMILIES.values()


def refusal(
    protection: Protection, kind: Type, allow: Collection[str], settings: Settings | None = None
) -> tuple[str, str] | None:
    """Why `protection` cannot take a value of this type, and what to do; None where it can."""
    if protection.name == "redact":
        return None
    for part in kind.walk():
        inside = "" if part is kind else f" ({part.text} is inside it)"
        if part.kind not in KINDS:
            return f"{kind.text} cannot be protected{inside}: it is not known here", "keep or drop"
        if part.kind in _NEVER:
            return f"{kind.text} cannot be protected{inside}: {_NEVER[part.kind]}", "keep or drop"
    unfit = _unfit(protection, kind, settings)
    if unfit is not None:
        return unfit
    lifted: set[str] = set().union(*(ALLOWANCES[word] for word in allow))
    for trait in (kind.kind, "collation" if kind.collated else kind.kind):
        reason = protection.refuses.get(trait)
        if reason is not None and trait not in lifted:
            words = [word for word, traits in ALLOWANCES.items() if trait in traits]
            way_out = f", or add `allow: [{words[0]}]` if that is fine" if words else ""
            return f"{protection.name} refuses {kind.text}: {reason}", f"use encrypt{way_out}"
    return None


def _unfit(protection: Protection, kind: Type, settings: Settings | None) -> tuple[str, str] | None:
    """Why its settings are not for this type."""
    only = takes(protection, settings)
    if only is not None and kind.kind not in only:
        return (
            f"{protection.name} is for {', '.join(sorted(only))}, not for {kind.text}",
            "cast it in the source, or use encrypt",
        )
    if isinstance(settings, Replace) and settings.value is not None:
        try:
            constant(settings.value, kind)
        except SchemaError as error:
            return error.message, error.hint or "redact it"
    return unchanged(kind, settings)


def reveals(
    protection: Protection,
    kind: Type,
    below: Path,
    domain: str | None,
    settings: Settings | None = None,
) -> str:
    """What an onlooker without the key still learns of a leaf: `nullness, length, equality`.

    `below` is the leaf's path under its column.
    """
    words = [word for word in protection.reveals if word != "length" or kind.kind in _VARIABLE]
    words += _told(settings, kind)
    if domain is not None and "equality" in words:
        words[words.index("equality")] = f"equality across domain {domain}"
    if isinstance(settings, Tokenize) and settings.key_column:
        words = [f"{word} within one key" if "equality" in word else word for word in words]
    if any(isinstance(step, str) for step in below):
        words.append("nullness of what holds it")
    if Step.ELEMENT in below:
        words.append("array lengths")
    if Step.VALUES in below:
        words.append("map keys")
    return ", ".join(words)


def _told(settings: Settings | None, kind: Type) -> list[str]:
    """What it shows because it was told to."""
    if isinstance(settings, Replace):
        return [] if settings.dictionary is None else ["equality"]
    if isinstance(settings, Shift) and kind.kind in {"timestamp", "timestamp_ntz"}:
        return ["the time of day"]
    if not isinstance(settings, Tokenize):
        return []
    ends = settings.preserve
    shown = [
        f"the {where} {count} character{'s' * (count > 1)}"
        for where, count in (("first", ends.first), ("last", ends.last))
        if count
    ]
    return [*shown, *(["where the characters that it keeps stand"] if settings.keep else [])]
