"""The files that a policy names beside itself: hierarchies, and lists of entries."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from privpipe.errors import UsageError

__all__ = ["parse_entries", "parse_hierarchy"]

_MARK = "\ufeff"
"""The byte-order mark that some editors put before UTF-8; no part of the first value"""


def parse_hierarchy(text: str, level: int) -> dict[str, str]:
    """What each value of a CSV text becomes at a level.

    A line has a value and then what it becomes at level 1, 2, …; blanks belong to their cell, and
    empty lines are skipped. Raises UsageError, with the line's number, for what is no CSV, for a
    line of too few levels, an empty cell or a value that is listed before, and for a text of no
    lines.

    >>> parse_hierarchy("Bonn,NRW,West\\nJena,Thuringia,East\\n", 2)
    {'Bonn': 'West', 'Jena': 'East'}
    """
    if level < 1:
        raise UsageError(f"level {level} of a hierarchy", hint="levels are counted from 1")
    rows: dict[str, str] = {}
    first: dict[str, int] = {}
    for number, cells in _records(text):
        if len(cells) <= level:
            count = f"{len(cells) - 1} level{'s' * (len(cells) != 2)}"
            raise UsageError(f"{count}, where level {level} is asked for", where=f"line {number}")
        if not all(map(str.strip, cells)):
            raise UsageError("an empty cell", where=f"line {number}")
        _once(cells[0], number, first)
        rows[cells[0]] = cells[level]
    if not rows:
        raise UsageError("a hierarchy of no lines", where="line 1")
    return rows


def parse_entries(text: str) -> tuple[str, ...]:
    """The entries of a text, one a line; blanks round them and empty lines are left out.

    Raises UsageError, with the lines' numbers, for an entry that is listed before, and for a text
    of no entries.

    >>> parse_entries("Alpha\\n\\n  Beta\\n")
    ('Alpha', 'Beta')
    """
    first: dict[str, int] = {}
    for number, line in enumerate(io.StringIO(text.removeprefix(_MARK), newline=None), 1):
        if entry := line.strip():
            _once(entry, number, first)
    if not first:
        raise UsageError("a list of no entries", where="line 1")
    return tuple(first)


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, each with the number of the line on which it begins."""
    reader = csv.reader(io.StringIO(text.removeprefix(_MARK), newline=""), strict=True)
    number = 1
    try:
        for cells in reader:
            if cells:
                yield number, cells
            number = reader.line_num + 1
    except csv.Error:
        raise UsageError("no CSV: quotes that do not match", where=f"line {number}") from None


def _once(value: str, number: int, first: dict[str, int]) -> None:
    """Note on which line a value stands; UsageError where it stood on another."""
    before = first.setdefault(value, number)
    if before != number:
        raise UsageError(f"listed before, on line {before}", where=f"line {number}")
