"""What a command prints, and where: documents and results on stdout, all else on stderr."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Output", "Settings", "console_on", "plain", "printable", "table"]

_UNBOUNDED = 100_000  # columns: a pipe has no width, and a cut cell is a wrong one
_SHORT = 16


@dataclasses.dataclass(slots=True, kw_only=True)
class Settings:
    """The options that every command takes, before or after its name."""

    config: str | None = None
    json: bool = False
    quiet: bool = False
    debug: bool = False


class Output:
    """Prints for one run of one command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def result(self, document: Mapping[str, Any], render: Callable[[Console], None]) -> None:
        """What was asked for: `document` under `--json`, else what `render` draws."""
        if self.settings.json:
            sys.stdout.write(json.dumps(plain(document), ensure_ascii=False, indent=2) + "\n")
        else:
            render(console_on(sys.stdout))

    def summary(self, document: Mapping[str, Any], lines: Iterable[str]) -> None:
        """How it went: `document` under `--json`, else lines, which `--quiet` leaves out."""
        if self.settings.json:
            self.result(document, lambda _: None)
        elif not self.settings.quiet:
            for line in lines:
                sys.stdout.write(printable(line) + "\n")

    def warn(self, text: str) -> None:
        """One warning on stderr."""
        if not self.settings.quiet:
            sys.stdout.flush()  # so that a terminal shows both in the order they were said
            sys.stderr.write(f"warning: {printable(text)}\n")

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """A spinner while something takes long: on a terminal, and nowhere else."""
        if self.settings.json or self.settings.quiet or not sys.stderr.isatty():
            yield
            return
        with console_on(sys.stderr).status(f"{doing} ..."):
            yield


def console_on(stream: Any) -> Console:
    """A console that prints what it is given, as it is."""
    from rich.console import Console

    # Rich would otherwise read markup, emoji and numbers into what users named.
    width = None if stream.isatty() else _UNBOUNDED
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def table(console: Console, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Draws rows under heads; in a pipe without lines, so that other tools can cut it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = box.SIMPLE_HEAD if console.is_terminal else None
    drawn = Table(box=lines, pad_edge=False, header_style="bold" if console.is_terminal else "")
    told = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *told, strict=True)]
    # Where not all fit, long cells fold and short ones stay whole; but only where there is room for
    # the long ones too, since rich cuts off what a least width pushes out.
    whole = sum(min(width, _SHORT) + 3 for width in widths) <= console.width
    for head, width in zip(heads, widths, strict=True):
        least = width if whole and width <= _SHORT else None
        drawn.add_column(Text(printable(head)), overflow="fold", min_width=least)
    for row in told:
        drawn.add_row(*map(Text, row))
    with console.capture() as drawing:
        console.print(drawn)
    for line in drawing.get().splitlines():
        console.out(line.rstrip(), highlight=False)


def printable(text: str) -> str:
    """`text` with control characters escaped: a value must not move a terminal's cursor."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def plain(value: Any) -> Any:  # noqa: PLR0911 (one line a kind of value)
    """`value` as JSON holds it: bytes as hex, dates as ISO text, decimals as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        # JSON has no NaN and no infinity.
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, (datetime.date, datetime.datetime, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, datetime.timedelta)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "asDict"):  # a Row, which is a tuple as well
        return {name: plain(item) for name, item in value.asDict().items()}
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)


def _mapping(value: Mapping[Any, Any]) -> Any:
    if all(isinstance(key, str) for key in value):
        return {key: plain(item) for key, item in value.items()}
    return [{"key": plain(key), "value": plain(item)} for key, item in value.items()]
