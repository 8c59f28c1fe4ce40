"""`privpipe protect`: a source, protected under a policy, becomes a Delta table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privpipe.cli._backups import without_backup
from privpipe.cli._output import Output, plain
from privpipe.cli._plan import PolicyFile, Source
from privpipe.cli._project import home_of
from privpipe.cli._target import Mode, Target

if TYPE_CHECKING:
    from privpipe.spark import Run

__all__ = ["protect"]


def protect(
    out: Output,
    policy: PolicyFile,
    source: Source,
    target: Target,
    mode: Mode = "error",
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run-id",
            metavar="ID",
            help="Names the run: the same id again changes nothing, so a job can be repeated.",
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="DATE",
            help="Read a Delta source as it was at the end of that day: 2024-11-30.",
        ),
    ] = None,
    accept_clear_history: Annotated[
        bool,
        typer.Option(
            "--accept-clear-history",
            help="Overwrite although older versions of the table hold these columns in clear.",
        ),
    ] = False,
) -> None:
    """Protect a source under a policy and write it as a Delta table."""
    from privpipe.catalog import checked_day
    from privpipe.policy import load_policy

    checked_day(as_of, "--as-of")
    checked = load_policy(policy)
    with home_of(out) as home, out.working(f"protecting {source}"):
        run = home.protect(
            checked,
            source=source,
            target=target,
            mode=mode,
            run_id=run_id,
            as_of=as_of,
            accept_clear_history=accept_clear_history,
        )
        unsafe = without_backup(home.project, home.catalog.keysets())
    warnings = list(run.warnings)
    if unsafe:
        warnings.append(
            f"{len(unsafe)} keyset(s) exist in the catalog alone, and without them the data is "
            "lost: privpipe keys backup FILE"
        )
    if run.quarantine:
        warnings.append(
            f"{run.quarantined:,} row(s) hold what their protection cannot take: they lie, "
            f"encrypted, in {run.quarantine}"
        )
    for text in warnings:
        out.warn(text)
    out.summary({**plain(run), "warnings": warnings}, _lines(run))


def _lines(run: Run) -> list[str]:
    if run.replayed:
        return [
            f"run {run.run_id} was committed before, as version {run.table_version} of "
            f"{run.target}: nothing was changed"
        ]
    keys = ", ".join(str(key_id) for key_id in run.key_ids) or "none"
    return [
        f"{_rows(run)} of {run.table} protected into {run.target}, version {run.table_version}",
        f"run {run.run_id}, key ids {keys}",
    ]


def _rows(run: Run) -> str:
    return "rows" if run.rows is None else f"{run.rows:,} row(s)"
