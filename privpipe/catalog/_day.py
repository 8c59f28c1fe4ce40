"""The day that a run's source is read as of."""

from __future__ import annotations

import re
from datetime import date

from privpipe.errors import UsageError

__all__ = ["checked_day"]

_FORM = re.compile(r"\d{4}-\d\d-\d\d")


def checked_day(day: str | None, where: str = "as_of") -> str | None:
    """A day as `2026-11-23`, or None. Raises UsageError."""
    if day is None or (_FORM.fullmatch(day) and _is_date(day)):
        return day
    raise UsageError("not a date", where=where, hint="write it as 2024-11-30")


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
