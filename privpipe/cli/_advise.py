"""`privpipe advise`: which protection each column of a source should have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._output import Output, plain, table
from privpipe.cli._plan import Source
from privpipe.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.policy import Advice, Profile

__all__ = ["advise"]

_SHOWN = 3


def advise(
    out: Output,
    source: Source,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="C", help="This column alone; may be given again."),
    ] = None,
    needs: Annotated[
        str | None,
        typer.Option(
            "--needs",
            metavar="N,N",
            show_default=False,
            help="join sort last4 reveal sum group format write-only dates.",
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", metavar="ROWS", min=1, help="So many rows are looked at.")
    ] = 100_000,
) -> None:
    """Say which protection each column should have, for what it is needed for.

    No project is needed. Counts and forms are looked at; no value is shown.
    """
    from privpipe.policy import checked_needs

    wanted = checked_needs([word.strip() for word in (needs or "").split(",") if word.strip()])
    with _session(out) as spark, out.working(f"reading {source}"):
        from privpipe.spark import profile

        profiles = profile(source, sample=sample, columns=column or (), spark=spark)
    documents = [_document(found, wanted) for found in profiles]
    out.result(
        {"source": source, "needs": sorted(wanted), "columns": documents},
        lambda console: _show(console, documents),
    )
    for document in documents:
        for text in document["warnings"]:
            out.warn(f"{document['column']}: {text}")


def _session(out: Output) -> Any:
    """A Spark session, with the settings of the project if there is one."""
    from privpipe.policy import find_project, load_project

    settings: dict[str, str] = {}
    try:
        project = find_project(out.settings.config, os.environ, Path.cwd())
    except ConfigError:
        if out.settings.config is not None or os.environ.get("PRIVPIPE_CONFIG"):
            raise
    else:
        settings = dict(load_project(project).spark)
    with out.working("starting Spark"):
        from privpipe.spark import open_session

        return open_session(settings)


def _document(profile: Profile, needs: frozenset[str]) -> dict[str, Any]:
    from privpipe.policy import advise as ranked
    from privpipe.policy import cautions

    advice = ranked(profile, needs)[:_SHOWN]
    warnings = [f"{one.protection}: {text}" for one in advice for text in one.warnings]
    return {
        "column": profile.path,
        "type": profile.type,
        "looks": profile.looks,
        "rows": profile.rows,
        "nulls": profile.nulls,
        "distinct": profile.distinct,
        "advice": [_told(one) for one in advice],
        "warnings": [*warnings, *cautions(profile, needs)],
    }


def _told(advice: Advice) -> dict[str, Any]:
    found: dict[str, Any] = plain(advice)
    return found


def _show(console: Console, documents: list[dict[str, Any]]) -> None:
    table(
        console,
        ["policy line", "why", "an onlooker still learns", "storage", "speed"],
        [
            (one["line"], _why(one), one["reveals"], one["storage"], one["speed"])
            for document in documents
            for one in document["advice"]
        ],
    )


def _why(advice: dict[str, Any]) -> str:
    misses = advice["misses"]
    return str(advice["reason"]) + (f" (does not serve {', '.join(misses)})" if misses else "")
