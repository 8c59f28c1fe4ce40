"""`privpipe catalog`: what was done to which column, by which key, in which run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._keys import show_keysets
from privpipe.cli._output import Output, plain, table
from privpipe.cli._project import catalog_of, home_of, load
from privpipe.errors import NotProtected

if TYPE_CHECKING:
    from privpipe.catalog import Catalog, ColumnRecord, RunRecord
    from privpipe.policy import Project

__all__ = [
    "column_row",
    "columns",
    "keys",
    "repair",
    "runs",
    "same_place",
    "table_rows",
    "tables",
]


def tables(out: Output) -> None:
    """The protected tables, as their last committed run left them."""
    with catalog_of(out, load(out)) as catalog:
        rows = table_rows(catalog)
    heads = ["table", "target", "version", "rows", "columns", "key ids", "run"]
    out.result(
        {"tables": rows},
        lambda console: table(
            console,
            heads,
            [
                (
                    row["table"],
                    row["target"],
                    row["table_version"],
                    row["rows"],
                    len(row["protected"]),
                    " ".join(str(key_id) for key_id in row["key_ids"]),
                    row["run_id"],
                )
                for row in rows
            ],
        ),
    )


def table_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """The tables in force, one document each."""
    from privpipe.catalog import current_columns, current_run

    runs = catalog.runs()
    rows = []
    for target in sorted({run.target for run in runs}):
        run = current_run(runs, target)
        if run is None:
            continue
        facts = current_columns(catalog, target)
        rows.append(
            {
                "table": run.table,
                "target": target,
                "table_version": run.table_version,
                "rows": run.rows,
                "run_id": run.run_id,
                "finished_at": plain(run.finished_at),
                "protected": [fact.path for fact in facts],
                "key_ids": sorted({fact.key_id for fact in facts if fact.key_id}),
            }
        )
    return rows


def columns(
    out: Output,
    target: Annotated[
        str | None,
        typer.Argument(metavar="[T]", help="One table only.", show_default=False),
    ] = None,
) -> None:
    """The protected columns in force, with their key ids."""
    from privpipe.catalog import current_columns

    project = load(out)
    with catalog_of(out, project) as catalog:
        targets = sorted({run.target for run in catalog.runs() if run.state == "COMMITTED"})
        chosen = [each for each in targets if target is None or same_place(project, each, target)]
        if target is not None and not chosen:
            raise NotProtected(
                "the catalog knows no table there",
                where=target,
                hint=f"it knows: {', '.join(targets)}" if targets else "it knows none yet",
            )
        facts = [fact for each in chosen for fact in current_columns(catalog, each)]
    heads = ["target", "column", "protection", "key id", "type", "keyset", "context"]
    out.result(
        {"columns": [plain(fact) for fact in facts]},
        lambda console: table(console, heads, [column_row(fact) for fact in facts]),
    )


def same_place(project: Project, kept: str, named: str) -> bool:
    """Does `named`, said in the current folder, mean what the catalog keeps?

    Places inside a project are kept relative to it, so that it can be moved.
    """
    local = re.sub(r"^file:/+", "/", named)
    return named == kept or Path(local).resolve() == (project.path.parent / kept).resolve()


def column_row(fact: ColumnRecord) -> tuple[object, ...]:
    return (
        fact.target,
        fact.path,
        fact.protection,
        fact.key_id or "",
        fact.type,
        fact.scope,
        fact.context,
    )


def keys(out: Output) -> None:
    """The wrapped keysets: key ids, status, backup."""
    show_keysets(out)


def runs(out: Output) -> None:
    """Every run, the newest first."""
    with catalog_of(out, load(out)) as catalog:
        found = sorted(catalog.runs(), key=lambda run: run.started_at, reverse=True)
    heads = ["run", "state", "table", "target", "mode", "version", "rows", "started", "error"]
    out.result(
        {"runs": [plain(run) for run in found]},
        lambda console: table(console, heads, [_run(run) for run in found]),
    )


def _run(run: RunRecord) -> tuple[object, ...]:
    return (
        run.run_id,
        run.state,
        run.table,
        run.target,
        run.mode,
        "" if run.table_version is None else run.table_version,
        "" if run.rows is None else run.rows,
        run.started_at.isoformat(sep=" ", timespec="seconds"),
        run.error_code or "",
    )


def repair(out: Output) -> None:
    """Settle runs that died: each from its table's own history."""
    with home_of(out) as home, out.working("settling runs"):
        settled = home.repair()
    lines = [
        f"run {each.run_id}: {each.was} -> {each.state}, {each.reason}" for each in settled
    ] or ["nothing to settle"]
    out.summary({"settled": plain(settled)}, lines)
