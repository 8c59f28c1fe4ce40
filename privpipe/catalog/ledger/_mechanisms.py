"""Mechanisms as a record's text, exactly, and back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from privpipe.dp import Mechanism, Sensitivity
from privpipe.errors import BudgetError, CatalogError, FixedOverflow

__all__ = ["mechanisms_from_text", "mechanisms_to_text"]

_MOST = 1_000_000  # mechanisms of one kind: a larger count in a record is no release of ours


def mechanisms_to_text(mechanisms: Sequence[Mechanism]) -> str:
    """JSON, equal mechanisms counted; numbers that are no integers are fractions as text.

    The same mechanisms in another order give the same text.
    """
    found = Counter(json.dumps(_told(each), sort_keys=True) for each in mechanisms)
    return json.dumps(
        [{"count": found[each], **json.loads(each)} for each in sorted(found)], sort_keys=True
    )


def _told(mechanism: Mechanism) -> dict[str, Any]:
    moved = mechanism.sensitivity
    return {
        "noise": mechanism.noise,
        "scale": str(mechanism.scale),
        "l0": moved.l0,
        "l1": moved.l1,
        "l2_squared": moved.l2_squared,
        "linf": moved.linf,
        **({} if mechanism.threshold is None else {"threshold": mechanism.threshold}),
        **({"delta": str(mechanism.delta)} if mechanism.delta else {}),
    }


def mechanisms_from_text(text: str) -> tuple[Mechanism, ...]:
    """The mechanisms that a record holds. CatalogError where it is none of ours."""
    try:
        rows: list[dict[str, Any]] = json.loads(text)
        return tuple(made for row in rows for made in [_made(row)] * _count(row["count"]))
    except (ValueError, TypeError, KeyError, ZeroDivisionError, BudgetError, FixedOverflow):
        raise CatalogError(
            "a release's mechanisms are none",
            where="budgets.mechanisms",
            hint="someone changed the catalog; restore its `budgets` table from its history",
        ) from None


def _count(count: object) -> int:
    if not isinstance(count, int) or not 0 < count <= _MOST:
        raise ValueError
    return count


def _made(row: dict[str, Any]) -> Mechanism:
    sensitivity = Sensitivity(
        l0=row["l0"], l1=row["l1"], l2_squared=row["l2_squared"], linf=row["linf"]
    )
    return Mechanism(
        noise=row["noise"],
        sensitivity=sensitivity,
        scale=Fraction(row["scale"]),
        threshold=row.get("threshold"),
        delta=Fraction(row.get("delta", "0")),
    )
