"""What a run is about to write: a table under its plan, or whatever else can say as much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from privpipe.catalog import ColumnRecord, RunRecord
from privpipe.policy import Plan
from privpipe.spark._append import refuse_mismatch
from privpipe.spark._facts import column_records
from privpipe.spark._history import refuse_clear_history
from privpipe.spark._keyring import CatalogKeyring, Scope
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
    def source_version(self) -> int | None:
        """The version of a Delta source that is read, where the catalog is to keep it."""

    def compare(
        self, target: Target, maker: RunRecord | None, facts: Sequence[ColumnRecord]
    ) -> None:
        """Raises where the table that is there, as `maker` left it with these `facts`, does not go
        with what is to be written. Asked again before every attempt."""

    def advice(self, spark: SparkSession, target: Target) -> Sequence[str]:
        """What the user is to be told behind the run; raises where the table's past forbids it."""

    def records(self, run: RunRecord) -> Sequence[ColumnRecord]:
        """What the catalog is to keep of the run's columns; the keysets are there."""

    def rows(self) -> DataFrame:
        """What is to be written, made anew for every attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A table under its plan; `make` gives its rows."""

    plan: Plan
    keys: CatalogKeyring
    make: Callable[[], DataFrame]
    accept_clear_history: bool = False
    source_version: int | None = None

    @property
    def scopes(self) -> Sequence[Scope]:
        """The plan's."""
        return self.plan.scopes

    @property
    def kept(self) -> Sequence[str]:
        """The plan's."""
        return [column.name for column in self.plan.columns if column.action == "keep"]

    def compare(
        self, target: Target, maker: RunRecord | None, facts: Sequence[ColumnRecord]
    ) -> None:
        """Raises AppendMismatch with every difference."""
        refuse_mismatch(target, maker, facts, self.plan, self.keys)

    def advice(self, spark: SparkSession, target: Target) -> Sequence[str]:
        """The plan's warnings; raises ClearHistory where older versions hold in clear what is to
        be protected."""
        past = refuse_clear_history(spark, target, self.plan, accepted=self.accept_clear_history)
        return (*self.plan.warnings, *past)

    def records(self, run: RunRecord) -> Sequence[ColumnRecord]:
        """One a protected leaf, under the keys that are active."""
        return column_records(self.plan, run, key_refs(self.plan, self.keys))

    def rows(self) -> DataFrame:
        """What `make` gives."""
        return self.make()
