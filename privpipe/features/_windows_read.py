"""The `windows:` of a spec, of entities or of groups: so many hours, days or calendar months."""

from __future__ import annotations

import re

from privpipe.documents import Faults, Node, quote
from privpipe.features._entity_model import Window
from privpipe.features._nodes import Keys

__all__ = ["read_windows"]

_WINDOW = re.compile(r"([1-9][0-9]{0,5})(h|d|months?)")
_MOST_HOURS, _MOST_MONTHS = 24 * 36_525, 1_200


def read_windows(keys: Keys, faults: Faults) -> tuple[Window, ...]:
    """The windows, in the file's order; what is wrong with one is noted."""
    line, node = keys.get("windows", (0, None))
    hint = "for example `windows: [12h, 7d, 1month]`"
    if node is None or node.kind != "list" or not node.items:
        found = "nothing" if node is None else node.describe()
        faults.add(line, "windows", f"found {found}; wanted a list of windows", hint)
        return ()
    found_windows: dict[tuple[int, int], Window] = {}
    for item in node.items:
        window = _window(item, faults, hint)
        if window is None:
            continue
        length = window.hours, window.months
        if length in found_windows:
            text = f"{quote(item.text)} is given twice"
            if found_windows[length].text != item.text:
                text += f": it is {found_windows[length].text}"
            faults.add(item.line, "windows", text)
        found_windows.setdefault(length, window)
    return tuple(found_windows.values())


def _window(item: Node, faults: Faults, hint: str) -> Window | None:
    match = _WINDOW.fullmatch(item.text) if item.kind == "text" else None
    if match is None:
        text = f"found {item.describe()}; wanted hours, days or calendar months"
        faults.add(item.line, "windows", text, hint)
        return None
    number, unit = int(match[1]), match[2]
    if unit.startswith("month"):
        window = Window(text=item.text, months=number)
    else:
        window = Window(text=item.text, hours=number * (24 if unit == "d" else 1))
    if window.hours > _MOST_HOURS or window.months > _MOST_MONTHS:
        faults.add(item.line, "windows", f"{quote(item.text)} is more than a hundred years")
        return None
    return window
