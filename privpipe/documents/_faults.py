"""Faults: collected with their lines, and raised all at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from privpipe.errors import PolicyError, PrivpipeError

__all__ = ["Fault", "Faults", "choice", "nearest", "quote"]

# A file may hold by mistake what is no business of a log, so little of it is ever repeated.
_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong: on which line (0: the file as a whole), at which key, and what to do."""

    line: int
    place: str
    text: str
    hint: str | None = None

    def where(self, name: str) -> str:
        """`conf/policies/x.yaml:14 columns.ssn.protect`."""
        spot = f"{name}:{self.line}" if self.line else name
        # A name may hold a line break, and must not begin a line of its own in a log.
        place = "".join(c if c.isprintable() else repr(c)[1:-1] for c in self.place)
        return f"{spot} {place}" if place else spot


@dataclass(slots=True, kw_only=True)
class Faults:
    """The faults found in one file. `advice` is the hint where a fault has none of its own."""

    name: str
    kind: type[PrivpipeError] = PolicyError
    advice: str = "mend the policy and run `privpipe check` on it"
    found: list[Fault] = field(default_factory=list)

    def add(self, line: int, place: str, text: str, hint: str | None = None) -> None:
        """Take note of a fault and go on."""
        self.found.append(Fault(line=line, place=place, text=text, hint=hint))

    def settle(self) -> None:
        """Raise one error of `kind` that lists every fault by line, if there are any."""
        faults = sorted(dict.fromkeys(self.found), key=lambda fault: fault.line)
        if not faults:
            return
        if len(faults) == 1:
            (only,) = faults
            raise self.kind(only.text, where=only.where(self.name), hint=only.hint or self.advice)
        lines = (
            f"\n  {fault.where(self.name)}: {fault.text}" + (f"; {fault.hint}" * bool(fault.hint))
            for fault in faults
        )
        raise self.kind(f"{len(faults)} faults" + "".join(lines), where=self.name, hint=self.advice)


def quote(text: str) -> str:
    """`text` in double quotes, on one line, shortened where it is long."""
    return json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "…", ensure_ascii=False)


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` was probably meant to be, if one is near, whatever its case."""
    known = {option.lower(): option for option in options}
    close = difflib.get_close_matches(word.lower(), known, 1)
    return known[close[0]] if close else None


def choice(what: str, found: str, allowed: Iterable[str]) -> tuple[str, str]:
    """Message and hint for a word that is none of `allowed`."""
    allowed = tuple(allowed)
    near = nearest(found, allowed)
    text = f"unknown {what} {quote(found)}" + (f"; nearest: {quote(near)}" if near else "")
    return text, f"allowed: {', '.join(allowed)}"
