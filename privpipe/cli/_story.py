"""How the demo tells what it does: chapters, the commands they stand for, and claims it checks."""

from __future__ import annotations

import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any

from privpipe.cli._output import Output, plain, printable
from privpipe.errors import InternalError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Story"]

_WIDTH = 96


class Story:
    """Prints as it goes; under `--json` it keeps the facts and prints them once, at the end."""

    def __init__(self, out: Output, console: Console) -> None:
        self._out = out
        self._chapter = 0
        self._began = time.monotonic()
        self.console = console
        self.facts: dict[str, Any] = {}

    @property
    def told(self) -> bool:
        """Is there someone to tell it to?"""
        return not (self._out.settings.json or self._out.settings.quiet)

    def chapter(self, title: str) -> None:
        """A new step."""
        self._chapter += 1
        if self.told:
            self.console.print(f"\n{self._chapter}  {title}", style="bold")

    def tell(self, text: str) -> None:
        """A paragraph."""
        if self.told:
            for line in textwrap.wrap(text, _WIDTH - 3):
                self.line(line)

    def command(self, text: str) -> None:
        """The command that does the same."""
        self.line(f"$ {text}")

    def line(self, text: str) -> None:
        """One line, as it is."""
        if self.told:
            sys.stdout.write(f"   {printable(text)}\n")
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
