"""`privpipe doctor`: what is wrong with this machine, session or project, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from privpipe.cli._findings import Finding, fault
from privpipe.cli._machine import machine_findings
from privpipe.cli._output import Output, plain
from privpipe.cli._project import load, spark_home
from privpipe.cli._state import project_findings
from privpipe.errors import PrivpipeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from privpipe.policy import Project

__all__ = ["doctor"]


def doctor(
    out: Output,
    no_spark: Annotated[
        bool, typer.Option("--no-spark", help="Start no session: a second instead of ten.")
    ] = False,
) -> int:
    """Say what is wrong here, and the command that mends it.

    Exit code 1 where something fails; a warning leaves it at 0.
    """
    findings = list(machine_findings())
    project = None
    try:
        project = load(out)
        findings.append(Finding.ok("project file", str(project.path)))
        findings += project_findings(project)
    except PrivpipeError as error:
        findings.append(fault("project file", error))
    if not no_spark:
        with out.working("starting Spark"):
            findings += _spark_findings(project)
    failed = sum(finding.status == "fail" for finding in findings)
    document = {"ok": not failed, "findings": [plain(finding) for finding in findings]}
    out.result(document, lambda console: _show(console, findings))
    return 1 if failed else 0


def _spark_findings(project: Project | None) -> Iterator[Finding]:
    if project is None:
        yield Finding.warn(
            "spark session", "not looked at: there is no project", "privpipe init DIR"
        )
        return
    from privpipe.cli._session import session_checks

    try:
        with spark_home(project) as home:
            yield Finding.ok("spark session", f"{home.spark.version} starts")
            yield from session_checks(home)
    except PrivpipeError as error:
        yield fault("spark session", error)


def _show(console: Console, findings: list[Finding]) -> None:
    styles = {"ok": "green", "warn": "yellow", "fail": "red"}
    for finding in findings:
        console.print(f"{finding.status:<4}", style=styles[finding.status], end=" ")
        console.print(f"{finding.name}: {finding.text}", soft_wrap=True)
        if finding.mend:
            console.print(f"       mend: {finding.mend}", soft_wrap=True)
