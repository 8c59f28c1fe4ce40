"""Neutral types from Spark's `simpleString`, for tests that have no Spark."""

from __future__ import annotations

from privpipe.policy import Field, TableSchema, Type


def table(**columns: str) -> TableSchema:
    """A table with these columns: `table(a="int", b="array<string>")`."""
    return TableSchema(fields=tuple(field(name, text) for name, text in columns.items()))


def field(name: str, text: str) -> Field:
    return Field(name=name, type=kind(text))


def kind(text: str) -> Type:
    word, _, rest = text.partition("<")
    inside = _split(rest[:-1])
    if word == "struct":
        parts = (part.split(":", 1) for part in inside)
        return Type(text=text, kind=word, fields=tuple(field(n, t) for n, t in parts))
    if word == "array":
        return Type(text=text, kind=word, element=kind(inside[0]))
    if word == "map":
        return Type(text=text, kind=word, key=kind(inside[0]), value=kind(inside[1]))
    plain = {"interval day to second": "interval_dt", "interval year to month": "interval_ym"}
    return Type(text=text, kind=plain.get(text, text.partition("(")[0].partition(" ")[0]))


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
