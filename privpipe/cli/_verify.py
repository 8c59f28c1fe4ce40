"""`privpipe verify`: does every protected value of a table authenticate?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privpipe.cli._output import Output, plain, table
from privpipe.cli._project import home_of
from privpipe.cli._reveal import Opener
from privpipe.errors import DecryptionError

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.spark import VerifyReport

__all__ = ["verify"]


def verify(
    out: Output,
    protected: Annotated[str, typer.Argument(metavar="T", show_default=False)],
    opener: Opener = None,
) -> int:
    """Authenticate every value of a table; release none.

    Says which files hold damage, and then ends with exit code 3.
    """
    with home_of(out) as home, out.working(f"verifying {protected}"):
        report = home.verify(protected, opener=opener)
    out.result({**plain(report), "ok": report.ok}, lambda console: _show(console, report))
    return 0 if report.ok else DecryptionError.exit_code


def _show(console: Console, report: VerifyReport) -> None:
    if report.ok:
        if report.values or not report.not_judged:
            console.print(f"{report.table}: all {report.values:,} protected values authenticate")
        _show_rest(console, report)
        return
    console.print(
        f"{report.table}: {report.damaged:,} of {report.values:,} protected values do not "
        "authenticate"
    )
    table(
        console,
        ["damaged", "column", "file"],
        [(d.damaged, d.column, d.file) for d in report.files],
    )
    console.print("restore the table from its history, or reveal with --on-error quarantine")
    _show_rest(console, report)


def _show_rest(console: Console, report: VerifyReport) -> None:
    if report.not_judged:
        console.print(
            f"{report.table}: not judged, since their values cannot say that they were altered or "
            f"the private key is not here: {', '.join(report.not_judged)}"
        )
