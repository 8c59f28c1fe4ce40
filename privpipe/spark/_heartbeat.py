"""Keeps a run's lease alive while its job runs, so that `repair` can tell it from a dead one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from privpipe.catalog import LEASE, Catalog, RunRecord
from privpipe.errors import PrivpipeError

__all__ = ["is_running_here", "lease_kept"]

_log = logging.getLogger(__name__)
_running: set[str] = set()


def is_running_here(run: RunRecord) -> bool:
    """Whether a thread of this process is at work on `run`."""
    return run.run_uid in _running


@contextmanager
def lease_kept(catalog: Catalog, run: RunRecord) -> Iterator[None]:
    """Renews `run`'s lease in the background, three times a lease, until the block ends."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(LEASE.total_seconds() / 3):
            try:
                until = datetime.now(UTC) + LEASE
                catalog.update_run(replace(run, lease_until=until), held_by=run.owner)
            except PrivpipeError as error:
                # A lease lost does no harm: the table's own history decides in the end.
                _log.warning("the lease of run %s was not renewed: %s", run.run_id, error.code)

    thread = threading.Thread(target=renew, name=f"privpipe-lease-{run.run_id}", daemon=True)
    thread.start()
    _running.add(run.run_uid)
    try:
        yield
    finally:
        _running.discard(run.run_uid)
        done.set()
        thread.join(timeout=30)
