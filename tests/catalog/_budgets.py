"""Budgets, releases and the job that makes one, for the ledger's tests."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

from privpipe.catalog import Catalog
from privpipe.catalog.ledger import (
    Reservation,
    attempts,
    publish,
    reserve,
    start_draw,
)
from privpipe.dp import Bounds, Budget, Mechanism
from tests.catalog._schedules import Ask, AskedCatalog, Job

ONE = Budget.of_epsilon(1)
COUNT = Bounds(groups=1, rows=1).counts()


def laplace(scale: int = 1) -> Mechanism:
    """Costs an epsilon of 1 / scale."""
    return Mechanism(noise="laplace", sensitivity=COUNT, scale=Fraction(scale))


def wanted(run_id: str, **changes: Any) -> Reservation:
    """A release of epsilon 1 about patients."""
    values: dict[str, Any] = {
        "budget": "clinic",
        "run_id": run_id,
        "charge": ONE,
        "mechanisms": (laplace(),),
        "unit": "patient",
        "sources": {"./visits": 3},
        "spec_hash": "ab" * 32,
        "target": "./features",
    }
    return Reservation(**{**values, **changes})


def release_job(
    request: Reservation, *, drawing: Callable[[Catalog, str], Any] = start_draw
) -> Job:
    """The whole of a release, as it is to be made."""

    def job(ask: Ask) -> None:
        catalog = cast("Catalog", AskedCatalog(ask))
        for earlier in attempts(catalog, request.run_id):
            version = ask("committed", earlier.uid) if earlier.state == "drawn" else None
            if version is not None:
                publish(catalog, earlier.uid, version)
        held = reserve(catalog, request)
        if held.release.state == "published":
            return
        for orphan in held.orphans:
            ask("remove", orphan.uid)
        drawing(catalog, held.release.uid)
        ask("draw", held.release.uid)
        publish(catalog, held.release.uid, ask("commit", held.release.uid))

    return job
