"""The ledger: named privacy budgets, and every release charged to one before its data are touched.

    open_budget(catalog, "census", Budget.of_epsilon(1))
    held = reserve(catalog, Reservation(...))      before anything is read; may be cancelled
    start_draw(catalog, held.release.uid)          before the first noise; never given back
    publish(catalog, held.release.uid, version)    after the one data commit

A run that dies is repeated under its run id. Where `attempts` has a `drawn` release, its commit is
looked for in the target's history first, and published where it is there; otherwise `reserve`
charges the run again and tells whose files to remove.
"""

from __future__ import annotations

from privpipe.catalog.ledger._facts import (
    Opened,
    Release,
    ReleaseState,
    Reservation,
    Reserved,
    Standing,
)
from privpipe.catalog.ledger._lineage import lineage, may_have_written, read_by, same_data
from privpipe.catalog.ledger._mechanisms import mechanisms_from_text, mechanisms_to_text
from privpipe.catalog.ledger._standing import budgets, standing, standings
from privpipe.catalog.ledger._steps import (
    attempts,
    cancel,
    check_budget,
    check_reservation,
    open_budget,
    publish,
    reserve,
    start_draw,
)

__all__ = [
    "Opened",
    "Release",
    "ReleaseState",
    "Reservation",
    "Reserved",
    "Standing",
    "attempts",
    "budgets",
    "cancel",
    "check_budget",
    "check_reservation",
    "lineage",
    "may_have_written",
    "mechanisms_from_text",
    "mechanisms_to_text",
    "open_budget",
    "publish",
    "read_by",
    "reserve",
    "same_data",
    "standing",
    "standings",
    "start_draw",
]
