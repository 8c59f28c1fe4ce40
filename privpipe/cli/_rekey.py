"""`privpipe keys rotate` and `privpipe rekey`: a fresh key, and the tables brought under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privpipe.cli._output import Output, plain
from privpipe.cli._project import home_of
from privpipe.cli._reveal import split_columns
from privpipe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from privpipe.spark import Rotated

__all__ = ["rekey", "rotate"]


def rotate(
    out: Output,
    scope: Annotated[
        str,
        typer.Argument(
            metavar="SCOPE", show_default=False, help="As `privpipe keys list` shows it."
        ),
    ],
    primitive: Annotated[
        str, typer.Option("--primitive", help="As `privpipe keys list` shows it.")
    ] = "AES256_GCM",
) -> None:
    """Give a keyset a fresh key, under which all is written from now on.

    What its earlier keys made still opens. Columns in which equal values are to meet take no append
    until they are rekeyed, unless they have a `key_column`; the command lists them.
    """
    from privpipe.keys import PRIMITIVES

    if primitive not in PRIMITIVES:
        raise UsageError(
            f"no primitive {primitive!r}",
            where="--primitive",
            hint=f"one of {', '.join(PRIMITIVES)}",
        )
    with home_of(out) as home, out.working("rotating the keyset"):
        rotated = home.rotate(scope, primitive)
    out.summary(plain(rotated), _lines(rotated))
    out.warn("no backup holds the fresh key yet: privpipe keys backup FILE")


def _lines(rotated: Rotated) -> list[str]:
    head = f"keyset {rotated.scope} {rotated.primitive}: key {rotated.key_id} is active now"
    tables = dict.fromkeys(each.target for each in rotated.stale)
    stale = [
        f"{target}: {', '.join(_columns(rotated, target))} "
        f"stays under an earlier key until: privpipe rekey {target}"
        for target in tables
    ]
    return [head, *stale]


def _columns(rotated: Rotated, target: str) -> Iterable[str]:
    """Each once: a column may hold values of several keys."""
    return dict.fromkeys(each.column for each in rotated.stale if each.target == target)


def rekey(
    out: Output,
    protected: Annotated[str, typer.Argument(metavar="T", show_default=False)],
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="A,B",
            show_default=False,
            help="These alone; all that can be made anew unless told.",
        ),
    ] = None,
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run-id", metavar="ID", help="The same id twice changes nothing.", show_default=False
        ),
    ] = None,
) -> None:
    """Bring a table under the active keys of its keysets, in one commit.

    Tokens and encrypted values are opened and made anew, and what is bound to them with them.
    Older versions of the table stay under their old keys until VACUUM.
    """
    named = None if columns is None else split_columns(columns)
    with home_of(out) as home, out.working(f"rekeying {protected}"):
        run = home.rekey(protected, named, run_id=run_id)
    if run is None:
        text = f"{protected}: all that can be made anew is under its active key"
        out.summary({"target": protected, "rekeyed": False}, [text])
        return
    for text in run.warnings:
        out.warn(text)
    if run.replayed:
        lines = [f"run {run.run_id} was committed before: nothing was changed"]
    else:
        keys = ", ".join(str(key_id) for key_id in run.key_ids)
        rows = "rows" if run.rows is None else f"{run.rows:,} row(s)"
        lines = [
            f"{rows} of {run.table} rekeyed in {run.target}, version {run.table_version}",
            f"run {run.run_id}, key ids {keys}",
        ]
    out.summary({**plain(run), "rekeyed": not run.replayed}, lines)
