"""How a policy spells a place in a table: `card.number`, `visits[].note`, `attrs{}`.

A dot enters a struct, `[]` an array's elements, `{}` a map's values. A name that holds one of
``. [ ] { } ` `` stands in backticks, a backtick in it doubled, as in Spark's SQL.
"""

from __future__ import annotations

import re

from privpipe.arrow import Path, Step
from privpipe.errors import PolicyError

__all__ = ["format_path", "parse_names", "parse_path"]

_NAME = re.compile(r"`((?:[^`]|``)+)`|([^`.\[\]{}]+)")
_STEPS = {step.value: step for step in Step}
_PLAIN = re.compile(r"[^`.\[\]{}\s](?:[^`.\[\]{}]*[^`.\[\]{}\s])?")


def parse_path(text: str) -> Path:
    """The steps that `text` names, the top-level column first.

    Raises:
        PolicyError: `text` is empty, or a bracket, dot or backtick in it stands wrong.
    """
    steps: list[str | Step] = []
    at = 0
    while True:
        found = _NAME.match(text, at)
        if found is None:
            raise _misspelt(text, at)
        quoted, plain = found.groups()
        steps.append(plain if quoted is None else quoted.replace("``", "`"))
        at = found.end()
        while text[at : at + 2] in _STEPS:
            steps.append(_STEPS[text[at : at + 2]])
            at += 2
        if at == len(text):
            return tuple(steps)
        if text[at] != ".":
            raise _misspelt(text, at)
        at += 1


def parse_names(text: str) -> tuple[str, ...]:
    """The segments of a table's name, `clinic.patients`; no `[]` and no `{}` in it."""
    path = parse_path(text)
    names = tuple(step for step in path if isinstance(step, str))
    if len(names) != len(path):
        raise PolicyError(
            f'"{text}" is no table name: it holds "[]" or "{{}}"',
            hint="write a name that holds brackets in backticks",
        )
    return names


def format_path(path: Path) -> str:
    """The text that `parse_path` reads back as `path`, with backticks only where needed."""
    out = ""
    for step in path:
        if isinstance(step, Step):
            out += step.value
        else:
            name = step if _PLAIN.fullmatch(step) else "`" + step.replace("`", "``") + "`"
            out += f".{name}" if out else name
    return out


def _misspelt(text: str, at: int) -> PolicyError:
    if not text:
        what = "an empty name"
    elif at >= len(text):
        what = f'"{text}" ends where a name was expected'
    else:
        what = f'"{text}" has an unexpected "{text[at]}" at character {at + 1}'
    return PolicyError(
        what,
        hint="names are parted by dots; `[]` is an array's element, `{}` a map's value; a name "
        "with any of . [ ] { } ` in it stands in backticks, and a backtick in it is doubled",
    )
