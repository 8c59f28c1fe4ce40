"""A group column's `{by: month, from: 2024-01, to: 2024-06}` to a checked `Group`."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date
from typing import TypeAlias

from privpipe.documents import Faults, Node, choice, quote
from privpipe.features._grouped import SELECT, Group
from privpipe.features._nodes import Keys, entries_of, unknown_keys
from privpipe.features._periods import BY, By, Period, first_day, number_of

__all__ = ["read_period"]

_Span: TypeAlias = tuple[date, date]
"""The first and the last day of a year, a month, or a day. Python's calendar ends with year 9999,
and Spark's texts of dates do so too."""

_WRITTEN = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_EXAMPLE = "for example `{by: month, from: 2024-01, to: 2024-06}`"
_DATES = "a year, a month or a day, as 2024, 2024-01 or 2024-01-31"


def read_period(
    column: str, line: int, node: Node, faults: Faults, *, most: int
) -> tuple[Group, int]:
    """The group, and how many public values it has, of which no more than `most` are made; 1 where
    they are selected. What is wrong is noted."""
    place, keys = f"groups.{column}", entries_of(node)
    unknown_keys(keys, ("by", "from", "to", "values"), place, faults)
    by = _by(keys, line, place, faults)
    nothing = Group(column=column, values=(), line=line)
    if by is None:
        return nothing, 1
    if "values" not in keys:
        period = _range(by, keys, line, place, faults)
        if period is None:
            return nothing, 1
        values = period.every() if period.count <= most else ()
        return Group(column=column, values=values, period=period, line=line), period.count
    if "from" in keys or "to" in keys:
        text = "from and to say which periods there are, and values say so too"
        faults.add(keys["values"][0], f"{place}.values", text, "leave one of the two out")
    listed = _listed(by, *keys["values"], f"{place}.values", faults)
    found = Group(column=column, values=listed, period=Period(by=by), line=line)
    return found, 1 if listed is None else max(len(listed), 1)


def _by(keys: Keys, line: int, place: str, faults: Faults) -> By | None:
    at, node = keys.get("by", (0, None))
    if node is None:
        faults.add(line, f"{place}.by", f"no key by: {', '.join(BY[:-1])} or {BY[-1]}", _EXAMPLE)
    elif node.text not in BY:
        faults.add(at, f"{place}.by", *choice("period", node.text or node.kind, BY))
    else:
        return node.text
    return None


def _range(by: By, keys: Keys, line: int, place: str, faults: Faults) -> Period | None:
    """All periods from that of the first day of `from` to that of the last day of `to`."""
    if "from" not in keys and "to" not in keys:
        text = "which periods there are is not said: which exist would tell of data"
        hint = f"from and to; a list of values; or `values: {SELECT}`, those that enough units have"
        faults.add(line, place, text, hint)
        return None
    ends = []
    for key, side in (("from", 0), ("to", 1)):
        at, node = keys.get(key, (line, None))
        if node is None:
            faults.add(at, f"{place}.{key}", f"no key {key}: {_DATES}", _EXAMPLE)
            continue
        span = _span(node, f"{place}.{key}", faults)
        if span is not None:
            ends.append(first_day(by, number_of(by, span[side])))
    if len(ends) < 2:
        return None
    if ends[0] > ends[1]:
        begin, end = (quote(keys[key][1].text) for key in ("from", "to"))
        text = f"it ends with {end}, before it begins with {begin}"
        faults.add(keys["to"][0], f"{place}.to", text, "from the earlier to the later one")
        return None
    return Period(by=by, ends=(ends[0], ends[1]))


def _listed(by: By, line: int, node: Node, place: str, faults: Faults) -> tuple[str, ...] | None:
    if node.kind == "text" and node.text == SELECT:
        return None
    if node.kind != "list" or not node.items:
        hint = f"a list of first days; or `{SELECT}`, for those that enough units have"
        text = f"found {node.describe()}; wanted {by}s: which exist would tell of data"
        faults.add(line, place, text, hint)
        return ()
    found: dict[str, None] = {}
    for item in node.items:
        day = _first(by, item, place, faults)
        if day is not None and day.isoformat() in found:
            faults.add(item.line, place, f"{quote(item.text)} is given twice")
        elif day is not None:
            found[day.isoformat()] = None
    return tuple(found)


def _first(by: By, node: Node, place: str, faults: Faults) -> date | None:
    """The period that a listed value stands for by its beginning, and is not longer than."""
    span = _span(node, place, faults)
    if span is None:
        return None
    first, last = (number_of(by, day) for day in span)
    begins = first_day(by, first)
    if first != last:
        text = f"{quote(node.text)} is longer than a {by}"
        hint = f"the first day of each {by}, as {begins}; or from and to, for all of them"
    elif begins != span[0]:
        text = f"no {by} begins with {quote(node.text)}"
        hint = f"the one that it lies in begins with {begins}"
    else:
        return begins
    faults.add(node.line, place, text, hint)
    return None


def _span(node: Node, place: str, faults: Faults) -> _Span | None:
    """The first and the last day of what is written; what is no day of the calendar is noted."""
    match = _WRITTEN.fullmatch(node.text) if node.kind in ("text", "number", "date") else None
    if match is not None:
        year, month, day = match[1], match[2], match[3]
        until = month or "12"
        try:
            first = date(int(year), int(month or 1), int(day or 1))
            last = int(day or monthrange(first.year, int(until))[1])
        except ValueError:
            pass
        else:
            return first, date(first.year, int(until), last)
    text = f"found {node.describe()}; wanted {_DATES}"
    faults.add(node.line, place, text, "days of the calendar, from 0001-01-01 to 9999-12-31")
    return None
