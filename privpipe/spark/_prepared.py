"""What a run is about to write: a table under its plan, or whatever else can say as much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from privpipe.catalog import ColumnRecord, RunRecord
from privpipe.policy import Plan
from privpipe.spark._append import refuse_mismatch
from privpipe.spark._carried import carried_names, carried_records, labelled
from privpipe.spark._facts import column_records
from privpipe.spark._history import refuse_clear_history
from privpipe.spark._keyring import CatalogKeyring, Scope
from privpipe.spark._last_look import LastLook
from privpipe.spark._protect import key_refs
from privpipe.spark._target import Target

__all__ = ["Planned", "Prepared"]


class Prepared(Protocol):
    """What `carry_out` asks of a run, in this order."""

    @property
    def scopes(self) -> Sequence[Scope]:
        """The keysets that it needs; those that are missing are made first."""

    @property
    def kept(self) -> Sequence[str]:
        """The columns that stand in clear."""

    @property
    def reads(self) -> Mapping[str, int | None]:
        """The places that the rows are made of, each in which version, where the run is to say."""

    def compare(
        self, target: Target, maker: RunRecord | None, facts: Sequence[ColumnRecord]
    ) -> None:
        """Raises where the table that is there, as `maker` left it with these `facts`, does not go
        with what is to be written. Asked again before every attempt."""

    def advice(self, spark: SparkSession, target: Target) -> Sequence[str]:
        """What the user is to be told behind the run; raises where the table's past forbids it."""

    def records(self, run: RunRecord) -> Sequence[ColumnRecord]:
        """What the catalog is to keep of the run's columns; the keysets are there."""

    def draw(self, look: LastLook) -> None:
        """Does what cannot be taken back, if there is such a thing: once for all attempts, and
        right behind `look`. What it raises is not tried again."""

    def rows(self) -> DataFrame:
        """What is to be written, made anew for every attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A table under its plan; `make` gives its rows, and `drawing` does what must be done once
    before. What is `carried` has the plan for kept, and stands as another table had it, by these
    facts."""

    plan: Plan
    keys: CatalogKeyring
    make: Callable[[], DataFrame]
    accept_clear_history: bool = False
    carried: tuple[ColumnRecord, ...] = ()
    reads: Mapping[str, int | None] = field(default_factory=dict)
    drawing: Callable[[LastLook], None] | None = None

    @property
    def scopes(self) -> Sequence[Scope]:
        """The plan's."""
        return self.plan.scopes

    @property
    def kept(self) -> Sequence[str]:
        """The plan's, but for what is carried."""
        carried = carried_names(self.carried)
        return [
            column.name
            for column in self.plan.columns
            if column.action == "keep" and column.name.lower() not in carried
        ]

    def compare(
        self, target: Target, maker: RunRecord | None, facts: Sequence[ColumnRecord]
    ) -> None:
        """Raises AppendMismatch with every difference."""
        refuse_mismatch(target, maker, facts, self.plan, self.keys, self.carried)

    def advice(self, spark: SparkSession, target: Target) -> Sequence[str]:
        """The plan's warnings; raises ClearHistory where older versions hold in clear what is to
        be protected."""
        past = refuse_clear_history(spark, target, self.plan, accepted=self.accept_clear_history)
        return (*self.plan.warnings, *past)

    def records(self, run: RunRecord) -> Sequence[ColumnRecord]:
        """One a protected leaf, under the keys that are active, and those of what is carried."""
        made = column_records(self.plan, run, key_refs(self.plan, self.keys))
        return (*made, *carried_records(self.carried, run))

    def draw(self, look: LastLook) -> None:
        """What `drawing` does, where there is something to draw."""
        if self.drawing is not None:
            self.drawing(look)

    def rows(self) -> DataFrame:
        """What `make` gives."""
        return labelled(self.make(), self.carried) if self.carried else self.make()
