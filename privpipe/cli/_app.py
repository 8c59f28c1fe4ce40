"""The commands by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from privpipe.cli import _catalog, _keys
from privpipe.cli._check import check
from privpipe.cli._command import command
from privpipe.cli._demo import demo
from privpipe.cli._doctor import doctor
from privpipe.cli._init import init
from privpipe.cli._output import Output
from privpipe.cli._plan import plan
from privpipe.cli._protect import protect
from privpipe.cli._reveal import reveal
from privpipe.cli._verify import verify

__all__ = ["app"]

_KEEP = "Look and keep"
Function = Callable[..., int | None]


def _print_version(wanted: bool) -> None:
    if wanted:
        from privpipe import __version__

        typer.echo(__version__)
        raise typer.Exit


def root(
    out: Output,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Protect the sensitive columns of tables on Spark and Delta Lake, and get them back.

    Exit codes: 0 done, 1 failed, 2 usage, 3 refused (policy, data or access), 75 try again later.
    """


def _group(help: str) -> typer.Typer:  # noqa: A002 (typer's own word)
    group = typer.Typer(help=help, add_completion=False)
    group.callback()(command(_options))
    return group


def _options(out: Output) -> None:
    pass


app = typer.Typer(name="privpipe", add_completion=False)
app.callback()(command(root))

_PANELS: dict[str, tuple[Function, ...]] = {
    "Start": (init, doctor, demo),
    "Work": (check, plan, protect, reveal, verify),
}
for _panel, _functions in _PANELS.items():
    for _function in _functions:
        app.command(rich_help_panel=_panel)(command(_function))

_catalog_group = _group("What was done to which column, by which key, in which run.")
for _function in (_catalog.tables, _catalog.columns, _catalog.keys, _catalog.runs, _catalog.repair):
    _catalog_group.command()(command(_function))
app.add_typer(_catalog_group, name="catalog", rich_help_panel=_KEEP)

_keys_group = _group("The wrapped keysets: make, list, back up, restore.")
for _function in (_keys.create, _keys.list_keysets, _keys.backup, _keys.restore):
    _name = "list" if _function is _keys.list_keysets else None
    _keys_group.command(_name)(command(_function))
app.add_typer(_keys_group, name="keys", rich_help_panel=_KEEP)
