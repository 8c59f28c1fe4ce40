"""A spec of exact figures that has been checked: shown are groups of enough units, and no others.

It is the weaker thing beside a private release: nothing is noisy, and what two releases differ in
may be one person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, TypeAlias

from privpipe.features._canonical import canonical, digest
from privpipe.features._entity_model import EntitySpec
from privpipe.features._group_windows import InWindow, Over, own_name, protection_of
from privpipe.features._grouped import ROW, Group, columns_read, meaning, with_names
from privpipe.features._model import KINDS, Kind, Spec

__all__ = ["EXACT_KINDS", "ExactAggregate", "ExactKind", "ExactSpec", "FeatureSpec"]

ExactKind: TypeAlias = Kind | Literal["min", "max", "top"]
EXACT_KINDS: Mapping[ExactKind, str] = {
    "count": KINDS["count"],
    "units": KINDS["units"],
    "distinct": "different values of a column",
    "sum": "sum of a column",
    "mean": "mean of a column",
    "variance": "variance (over n) of a column",
    "quantile": "the beginnings of the bins that quantiles of a column lie in",
    "histogram": "rows in each bin of a column, where enough units are in it",
    "min": "least value of a column, where enough units have it",
    "max": "greatest value of a column, where enough units have it",
    "top": "most frequent values of a column, those that enough units have",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactAggregate:
    """One exact figure of each group, in the column `name`; `most` is how many values a `top` has,
    the rest as of `Aggregate`."""

    name: str
    kind: ExactKind
    column: str | None = None
    edges: tuple[Fraction, ...] = ()
    at: tuple[Fraction, ...] = ()
    several: bool = False
    most: int = 10
    window: InWindow | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactSpec:
    """Exact figures of one table. Made by `load_features` and `parse_features`.

    A group is shown where at least `k` units are in it, and where each column of `diversity` has so
    many different values there. What is `over` windows has one: figures of two could be
    subtracted. The rest is as in a `Spec`.
    """

    name: str
    source: str
    unit: str
    null_units: Literal["drop", "refuse"]
    groups: tuple[Group, ...]
    aggregates: tuple[ExactAggregate, ...]
    k: int
    diversity: tuple[tuple[str, int], ...] = ()
    over: Over | None = None
    protect: tuple[tuple[str, str], ...] = ()
    file: str = "<features>"
    unit_line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the source that are read, each once."""
        time = () if self.over is None else (self.over.event_time,)
        return columns_read(self, (*(column for column, _ in self.diversity), *time))

    def renamed(self, name: Callable[[str], str]) -> ExactSpec:
        """The same, each column of the source by the name that `name` gives it."""
        diversity = tuple((name(column), least) for column, least in self.diversity)
        over = self.over and self.over.renamed(name)
        return replace(self, **with_names(self, name), diversity=diversity, over=over)

    @property
    def protections(self) -> Mapping[str, str]:
        """What becomes of every written column, as a policy says it: `keep` where nothing is said,
        since what is shown is of enough units."""
        told = dict(self.protect)
        written: list[tuple[str, ...]] = [(each.column,) for each in self.groups]
        written += [(each.name, own_name(each)) for each in self.aggregates]
        return {names[0]: protection_of(told, self.over, *names) for names in written}

    @property
    def hides(self) -> str:
        """Which groups are shown, in words."""
        of = "rows" if self.unit == ROW else f"units ({self.unit})"
        few = f"groups of at least {self.k:,} {of}"
        more = "".join(f", and {least:,} values of {name}" for name, least in self.diversity)
        return few + more

    @property
    def canonical_text(self) -> str:
        """What the spec means, itself a spec: no comments, no spelling, no order of keys."""
        privacy: dict[str, object] = {"k_anonymity": self.k}
        if self.diversity:
            privacy["l_diversity"] = dict(self.diversity)
        parts = meaning(self, _meaning, privacy)
        if self.over is not None:
            parts.update(self.over.meaning(self.aggregates, _meaning))
        return canonical(parts, self.protect)

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical_text`, in hex."""
        return digest(self.canonical_text)


FeatureSpec: TypeAlias = Spec | ExactSpec | EntitySpec
"""Whatever a feature spec may be."""


def _meaning(aggregate: ExactAggregate) -> dict[str, object]:
    told: dict[str, object] = {aggregate.kind: aggregate.column}
    if aggregate.edges:
        told["edges"] = [str(edge) for edge in aggregate.edges]
    if aggregate.at:
        at = [str(each) for each in aggregate.at]
        told["at"] = at if aggregate.several else at[0]
    if aggregate.kind == "top":
        told["most"] = aggregate.most
    return told
