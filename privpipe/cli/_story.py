"""How the demo tells what it does: chapters, the commands they stand for, and claims it checks."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from privpipe.cli._output import Output, console_on, plain, printable
from privpipe.errors import InternalError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Story"]

_INDENT = "   "
_WIDTH = 96 - len(_INDENT)


class Story:
    """Prints as it goes; under `--json` it keeps the facts and prints them once, at the end."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._chapter = 0
        self._began = time.monotonic()
        self._console = console_on(sys.stdout)
        if self._console.is_terminal:
            self._console.width -= len(_INDENT)
        self.facts: dict[str, Any] = {}

    @property
    def told(self) -> bool:
        """Is there someone to tell it to?"""
        return not (self._out.settings.json or self._out.settings.quiet)

    def chapter(self, title: str) -> None:
        """A new step."""
        self._chapter += 1
        if self.told:
            self._console.print(f"\n{self._chapter}  {title}", style="bold")

    def tell(self, text: str) -> None:
        """A paragraph."""
        if self.told:
            for line in textwrap.wrap(text, _WIDTH):
                self.line(line)

    def command(self, text: str) -> None:
        """The command that does the same."""
        self.line(f"$ {text}")

    def draw(self, render: Callable[[Console], None]) -> None:
        """What a command would print, set in."""
        if not self.told:
            return
        with self._console.capture() as drawing:
            render(self._console)
        for line in drawing.get().splitlines():
            sys.stdout.write(f"{_INDENT}{line}\n")

    def line(self, text: str) -> None:
        """One line, as it is."""
        if self.told:
            sys.stdout.write(f"{_INDENT}{printable(text)}\n")
            sys.stdout.flush()

    def claim(self, text: str, *, holds: bool, **facts: Any) -> None:
        """Says `text` if it is so. A demo that told what is not so would be worse than none."""
        if not holds:
            raise InternalError(
                f"the demo found this not to hold: {text}",
                hint="report it with the version of privpipe, pyspark and delta-spark",
            )
        self.facts.update(facts)
        self.line(f"-> {text}")

    def end(self) -> None:
        """The facts, under `--json`."""
        self.facts["seconds"] = round(time.monotonic() - self._began, 1)
        if self._out.settings.json:
            self._out.result(plain(self.facts), lambda _: None)
