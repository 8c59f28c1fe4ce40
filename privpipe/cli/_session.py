"""What the doctor sees of a running session."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from privpipe.cli._findings import Finding, fault
from privpipe.cli._state import catalog_findings
from privpipe.errors import PrivpipeError

if TYPE_CHECKING:
    from privpipe.spark import Home

__all__ = ["session_checks"]


def session_checks(home: Home) -> Iterator[Finding]:
    """Settings, a catalog that only Spark reads, and whether executors reach the KEK."""
    from privpipe.spark import session_findings

    for found in session_findings(home.spark):
        yield Finding(name="session", status=found.severity, text=found.what, mend=found.hint)
    if home.project.catalog.startswith("schema:"):
        try:
            yield from catalog_findings(home.project, home.catalog)
        except PrivpipeError as error:
            yield fault("catalog", error)
    yield from _executors(home)


def _executors(home: Home) -> Iterator[Finding]:
    """Every executor must open the KEK for itself: a `file:` KEK is a file on each machine."""
    if str(home.spark.conf.get("spark.master", "")).startswith("local"):
        yield Finding.ok("executors", "run here, so they see the KEK")
        return
    # More tasks than executors, so that each most likely gets one.
    tasks = 32
    probe = home.spark.range(0, tasks, 1, tasks).mapInArrow(
        _probe(home.project.kek), "host string, fault string"
    )
    faults = {row["host"]: row["fault"] for row in probe.collect()}
    bad = sorted(host for host, said in faults.items() if said)
    if bad:
        yield Finding.fail(
            "executors",
            f"{', '.join(bad)}: {faults[bad[0]]}",
            "copy the KEK file to the same path there, mode 0600, or use a KMS",
        )
    else:
        yield Finding.ok("executors", f"{', '.join(sorted(faults))} open(s) the KEK")


def _probe(uri: str) -> Any:
    """Runs on executors: each task answers with its host and what is wrong with the KEK there."""

    def probe(batches: Iterator[Any]) -> Iterator[Any]:
        from privpipe.keys import open_kek

        for batch in batches:
            said = ""
            try:
                open_kek(uri)
            except PrivpipeError as error:
                said = error.message
            yield type(batch).from_pydict({"host": [socket.gethostname()], "fault": [said]})

    return probe
