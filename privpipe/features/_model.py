"""A feature spec that has been checked: frozen models, and the hash of what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from privpipe.dp import Bounds, Budget, FixedPoint
from privpipe.features._canonical import canonical, digest
from privpipe.features._group_windows import InWindow, Over, own_name, protection_of
from privpipe.features._grouped import ROW, Group, columns_read, meaning, with_names
from privpipe.features._places import place_of

__all__ = ["EXACT_ONLY", "KINDS", "Aggregate", "Kind", "Release", "Spec"]

Kind = Literal[
    "count", "units", "distinct", "sum", "mean", "variance", "quantile", "histogram"
]  # fmt: skip
KINDS: Mapping[Kind, str] = {
    "count": "rows of a group",
    "units": "privacy units of a group",
    "distinct": "different values of a column, over the rows that are kept of each unit",
    "sum": "sum of a clamped column",
    "mean": "mean of a clamped column",
    "variance": "variance (over n) of a clamped column",
    "quantile": "quantiles of a column, by bisection or from a noisy histogram",
    "histogram": "rows in each bin of a column",
}
_LIKELY = Fraction(1, 10**5)

EXACT_ONLY = frozenset({"min", "max", "top"})
"""What is of single rows, and has no noisy form"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One figure of each group, in the column `name`.

    `fixed` clamps and rounds what is summed; `edges`, one more than bins, are of a histogram, and
    of what quantiles are read from; `at` are the quantiles, `searched` by bisection or read from
    the histogram, as a plan finds it better. `weight` is its part of the budget, and
    of each `window` its own.
    """

    name: str
    kind: Kind
    column: str | None = None
    fixed: FixedPoint | None = None
    edges: tuple[Fraction, ...] = ()
    at: tuple[Fraction, ...] = ()
    searched: bool = False
    several: bool = False
    weight: Fraction = Fraction(1)
    window: InWindow | None = None
    line: int = 0

    @property
    def columns(self) -> tuple[str, str, str]:
        """The figure's column, and those of the ends of its interval."""
        return self.name, f"{self.name}_low", f"{self.name}_high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How a spec's figures leave: what they may cost, from which named budget.

    The `least` noise is whichever of the two lets all figures together err less.
    `level` is that of the intervals; with a `floor`, no noisy count of units below it is shown.
    """

    ledger: str
    budget: Budget
    noise: Literal["least", "gaussian", "laplace"]
    level: Fraction = Fraction(19, 20)
    floor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Features of one table. Made by `load_features` and `parse_features`.

    `name` is the identity of the table that is written, `source` the table that is read. `unit` is
    the column that says who a row is of, or `ROW`; of a unit `bounds` keep so much. `totals` are
    sets of group columns, each within the next, by which sums of groups are shown. What is
    `over` windows has `aggregates` of each window. `protect` is what becomes of the written
    columns, as a policy's `columns:` says it.
    """

    name: str
    source: str
    unit: str
    null_units: Literal["drop", "refuse"]
    groups: tuple[Group, ...]
    bounds: Bounds
    aggregates: tuple[Aggregate, ...]
    release: Release
    totals: tuple[tuple[str, ...], ...] = ()
    over: Over | None = None
    protect: tuple[tuple[str, str], ...] = ()
    file: str = "<features>"
    unit_line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the spec permits and its reader should still see."""
        if self.release.budget.delta <= _LIKELY:
            return ()
        text = "a delta is the chance to hide nothing: choose it far below one over the units"
        return (f"{place_of(self, 'privacy.delta')}: {text}",)

    @property
    def selected(self) -> bool:
        """Whether some group's values are not public, and shown only if enough units have them."""
        return any(group.values is None for group in self.groups)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the source that are read, each once."""
        return columns_read(self, () if self.over is None else (self.over.event_time,))

    def renamed(self, name: Callable[[str], str]) -> Spec:
        """The same, each column of the source by the name that `name` gives it."""
        totals = tuple(tuple(map(name, each)) for each in self.totals)
        over = self.over and self.over.renamed(name)
        return replace(self, **with_names(self, name), totals=totals, over=over)

    @property
    def protections(self) -> Mapping[str, str]:
        """What becomes of every written column, as a policy says it: `keep` where nothing is said,
        since noisy figures may stand in clear. The ends of an interval tell as much as the figure
        that they are of, and go with it.
        """
        told = dict(self.protect)
        found = {each.column: protection_of(told, self.over, each.column) for each in self.groups}
        for each in self.aggregates:
            for name in each.columns:
                found[name] = protection_of(told, self.over, name, each.name, own_name(each))
        return found

    @property
    def canonical_text(self) -> str:
        """What the spec means, itself a spec: no comments, no spelling, no order of keys."""
        release = self.release
        privacy = {
            "budget": release.ledger,
            **release.budget.as_record(),
            "noise": release.noise,
            "level": str(release.level),
            "floor": release.floor,
        }
        parts = meaning(self, _meaning, privacy)
        if self.over is not None:
            parts.update(self.over.meaning(self.aggregates, _meaning))
        if self.totals:
            parts["totals"] = [list(each) for each in self.totals]
        if self.unit != ROW:
            parts["bounds"] = {"groups": self.bounds.groups, "rows": self.bounds.rows}
        return canonical(parts, self.protect)

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical_text`, in hex."""
        return digest(self.canonical_text)


def _meaning(aggregate: Aggregate) -> dict[str, object]:
    told: dict[str, object] = {aggregate.kind: aggregate.column, "weight": str(aggregate.weight)}
    if aggregate.fixed is not None:
        for key in ("low", "high", "step"):
            told[key] = str(getattr(aggregate.fixed, key))
    if aggregate.edges:
        told["edges"] = [str(edge) for edge in aggregate.edges]
    if aggregate.at:
        at = [str(each) for each in aggregate.at]
        told["at"] = at if aggregate.several else at[0]
    return told
