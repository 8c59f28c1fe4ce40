"""What a spec of groups says of windows: `event_time`, `as_of` and `windows`, all or none."""

from __future__ import annotations

import re
from datetime import datetime

from privpipe.documents import Faults
from privpipe.features._group_windows import Over
from privpipe.features._nodes import Keys, text_at
from privpipe.features._windows_read import read_windows

__all__ = ["WINDOW_KEYS", "read_over"]

WINDOW_KEYS = ("event_time", "as_of", "windows")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?")
_MOST = 60  # of which a row carries a bit each
_WANTED = {
    "event_time": "when an event was",
    "as_of": "before which moment windows end",
    "windows": "how long before that they begin",
}
_EXAMPLE = "all three or none, as `event_time: visited`, `as_of: 2024-07-01`, `windows: [7d, 30d]`"


def read_over(keys: Keys, faults: Faults) -> Over | None:
    """The windows of a spec of groups; None where it has none, or a fault was noted."""
    said = [key for key in WINDOW_KEYS if key in keys]
    if not said:
        return None
    before = len(faults.found)
    # What is missing is told where windows are, or where they were meant.
    first = said[-1]
    missing = [key for key in WINDOW_KEYS if key not in keys]
    if missing:
        what = "; ".join(f"{key} says {_WANTED[key]}" for key in missing)
        text = f"{first} without {' and '.join(missing)}: {what}"
        faults.add(keys[first][0], first, text, _EXAMPLE)
    time = text_at(keys, "event_time", "", faults, "a column") if "event_time" in keys else ""
    as_of = _moment(keys, faults) if "as_of" in keys else ""
    windows = read_windows(keys, faults) if "windows" in keys else ()
    if len(windows) > _MOST:
        text = f"{len(windows)} windows; at most {_MOST}"
        faults.add(keys["windows"][0], "windows", text)
    if len(faults.found) > before:
        return None
    return Over(event_time=time, as_of=as_of, windows=windows)


def _moment(keys: Keys, faults: Faults) -> str:
    line, node = keys["as_of"]
    spelt = node.kind in ("text", "date") and _MOMENT.fullmatch(node.text)
    try:
        moment = datetime.fromisoformat(node.text if spelt else "")
    except ValueError:
        text = f"found {node.describe()}; wanted a date, or a date and a time without a zone"
        hint = "`as_of: 2024-07-01`, or `as_of: 2024-07-01T12:00`, in the session's time zone"
        faults.add(line, "as_of", text, hint)
        return ""
    midnight = moment == datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 (no zone)
    return moment.date().isoformat() if midnight else moment.isoformat()
