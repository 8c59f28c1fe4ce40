"""What the doctor sees of a project: its KEK, catalog, keysets, backups and runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from privpipe.cli._backups import key_ref, without_backup
from privpipe.cli._findings import Finding, fault
from privpipe.errors import PrivpipeError

if TYPE_CHECKING:
    from privpipe.catalog import Catalog
    from privpipe.policy import Project

__all__ = ["catalog_findings", "project_findings"]


def project_findings(project: Project) -> Iterator[Finding]:
    """The KEK, and what a folder catalog tells with no session."""
    from privpipe.keys import open_kek

    try:
        open_kek(project.kek)
        yield Finding.ok("kek", f"{project.kek} opens")
    except PrivpipeError as error:
        yield fault("kek", error)
    if not project.catalog.startswith("schema:"):
        yield from _folder_findings(project)


def _folder_findings(project: Project) -> Iterator[Finding]:
    from privpipe.catalog import open_folder

    try:
        yield from catalog_findings(project, open_folder(project.catalog))
    except PrivpipeError as error:
        yield fault("catalog", error)


def catalog_findings(project: Project, catalog: Catalog) -> Iterator[Finding]:
    """What the catalog holds: does every keyset open, is it backed up, did every run end?"""
    keysets = catalog.keysets()
    runs = catalog.runs()
    yield Finding.ok("catalog", f"{project.catalog}: {len(keysets)} keyset(s), {len(runs)} run(s)")
    yield from _keysets(project, catalog)
    unsafe = without_backup(project, keysets)
    if unsafe:
        yield Finding.warn(
            "backup",
            f"{len(unsafe)} of {len(keysets)} keyset(s) are in no backup",
            "privpipe keys backup FILE",
        )
    elif keysets:
        yield Finding.ok("backup", f"all {len(keysets)} keyset(s) are in a backup")
    from privpipe.catalog import lease_is_over

    now = datetime.now(UTC)
    dead = [run.run_id for run in runs if run.state == "PENDING" and lease_is_over(run, now)]
    if dead:
        yield Finding.warn(
            "runs", f"{len(dead)} died unsettled: {', '.join(dead[:3])}", "privpipe catalog repair"
        )


def _keysets(project: Project, catalog: Catalog) -> Iterator[Finding]:
    from privpipe.keys import prove_ref

    closed = False
    for record in catalog.keysets():
        try:
            prove_ref(replace(key_ref(record), kek_uri=project.kek))
        except PrivpipeError as error:
            closed = True
            yield fault(f"keyset {record.scope} {record.primitive}", error)
    if not closed and catalog.keysets():
        yield Finding.ok("keysets", "every wrapped keyset opens")
