"""The ledger's facts: what a release asks for, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from privpipe.dp import Budget, Mechanism

__all__ = ["Opened", "Release", "ReleaseState", "Reservation", "Reserved", "Standing"]

ReleaseState: TypeAlias = Literal["reserved", "drawn", "published", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What a release asks of a budget. Two of one run id must be equal, but for source versions.

    `sources` are the places that are read, as the catalog keeps places, each with its Delta version
    (None for what has none). `unit` is the column whose values are hidden, None where neighbours
    differ by one row. `spec_hash` is the SHA-256 of what is computed.
    """

    budget: str
    run_id: str
    charge: Budget
    mechanisms: tuple[Mechanism, ...]
    unit: str | None
    sources: Mapping[str, int | None]
    spec_hash: str
    target: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One reservation and how far it came. `uid` names it in every later step, and its files.

    `mechanisms` is the record's own text. What is not `cancelled` is spent: `reserved` may yet be
    cancelled, `drawn` never, since its noise may have been seen.
    """

    uid: str
    budget: str
    run_id: str
    charge: Budget
    state: ReleaseState
    unit: str | None
    sources: Mapping[str, int | None]
    lineage: tuple[str, ...]
    spec_hash: str
    mechanisms: str
    target: str
    target_version: int | None = None
    note: str | None = None
    reserved_at: datetime
    owner: str
    """The process that took the last step"""

    @property
    def counts(self) -> bool:
        """Whether its charge is spent."""
        return self.state != "cancelled"

    def moved(self, state: ReleaseState, owner: str, version: int | None = None) -> Release:
        """The same, a step further."""
        return replace(self, state=state, owner=owner, target_version=version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What `reserve` gives: the release to draw for, and what its budget has left after it.

    Where `release.state` is `published` there is nothing to do: the run has released already.
    `orphans` are earlier draws of the same run that nobody published: the files that they left are
    to be removed before this one draws. They stay charged.
    """

    release: Release
    left: Budget
    orphans: tuple[Release, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A named budget, and when it was opened."""

    name: str
    total: Budget
    opened_at: datetime
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a budget stands. `spent` is the sum of the charges, which is what admits a release.

    `composed` is an epsilon that holds at `composed_delta` for all that was spent, by privacy loss
    distributions: it informs, and admits nothing. None where there is none to tell, or the extra
    `dp` is not installed.
    """

    name: str
    total: Budget
    spent: Budget
    left: Budget
    opened_at: datetime
    note: str | None
    releases: tuple[Release, ...]
    composed: Budget | None
