"""What a release reads: the columns that its spec names, opened where they are encrypted."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.catalog import ColumnRecord
from privpipe.errors import NotProtected, SpecError
from privpipe.features import ROW, Spec
from privpipe.policy import parse_path
from privpipe.spark._facts import facts_of
from privpipe.spark._leaves import quoted, spelt
from privpipe.spark._past import read_version
from privpipe.spark._reveal import reveal
from privpipe.spark._source import read_source
from privpipe.spark._target import inspect_target
from privpipe.spark._vault_columns import vaulted
from privpipe.spark._workspace import Workspace

__all__ = ["FeatureSource", "find_source"]

# What opens again; of the others a sum would be of something else.
_OPENED = ("encrypt", "encrypt_deterministic", "tokenize", "vault", "fernet")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSource:
    """One version of a table, as it is stored. `spec` names its columns as the table does."""

    stored: DataFrame
    version: int | None
    facts: tuple[ColumnRecord, ...]
    spec: Spec

    def opened(self, work: Workspace) -> DataFrame:
        """The spec's columns alone; those that are encrypted opened, but for the unit.

        Lazy: a value that does not authenticate stops the pass, and nothing is released.
        """
        hidden = [column for column in self.spec.columns if column != self.spec.unit]
        wanted = [column for column in hidden if _fact(self.facts, column) is not None]
        wanted = [column for column in wanted if _protection(self.facts, column) in _OPENED]
        vaults, columns, facts = vaulted(work.catalog.location, wanted, self.facts, work.keys)
        df = vaults.beside(self.stored, strict=True)
        df = vaults.instead(reveal(df, columns, facts, work.keys), strict=True)
        df = df.select(*(quoted(name) for name in self.spec.columns))
        if self.spec.unit == ROW:
            return df
        return df.where(F.col(quoted(self.spec.unit)).isNotNull())


def find_source(
    work: Workspace, spec: Spec, place: str, version: int | None = None
) -> FeatureSource:
    """The table that `place` is now, or was at `version`, with the catalog's facts of it; reads no
    row.

    Raises: SourceError, SchemaError for a column that it does not have, SpecError for one that
    figures cannot be made of.
    """
    there = inspect_target(work.spark, place)
    if there.state == "delta":
        version = there.version if version is None else version
        stored = read_version(work.spark, place, version)
    else:
        version, stored = None, read_source(work.spark, place)
    try:
        facts = facts_of(work.catalog, work.keep(place))
    except NotProtected:
        facts = ()
    work.keys.forget()
    named = _spelt(spec, stored)
    for column in named.columns:
        _refuse_lost(named, column, facts)
    return FeatureSource(stored=stored, version=version, facts=facts, spec=named)


def _spelt(spec: Spec, df: DataFrame) -> Spec:
    def name(column: str) -> str:
        return spelt(df.columns, column)

    return replace(
        spec,
        unit=ROW if spec.unit == ROW else name(spec.unit),
        groups=tuple(replace(each, column=name(each.column)) for each in spec.groups),
        aggregates=tuple(
            each if each.column is None else replace(each, column=name(each.column))
            for each in spec.aggregates
        ),
    )


def _refuse_lost(spec: Spec, column: str, facts: tuple[ColumnRecord, ...]) -> None:
    """A figure of what is masked is none of what was there, and what is sealed does not open."""
    protection = _protection(facts, column)
    if protection is None or protection in _OPENED or column == spec.unit:
        return
    used = next((each for each in spec.aggregates if each.column == column), None)
    if protection == "seal" or (used is not None and used.kind != "distinct"):
        line = used.line if used is not None else 0
        place = f"aggregates.{used.name}" if used is not None else f"groups.{column}"
        raise SpecError(
            f"{column} stands under `{protection}` in the source, and does not open",
            where=f"{spec.file}:{line} {place}" if line else f"{spec.file} {place}",
            hint="take a column that is encrypted, or one that is kept",
        )


def _fact(facts: tuple[ColumnRecord, ...], column: str) -> ColumnRecord | None:
    for fact in facts:
        path = parse_path(fact.path)
        if len(path) == 1 and str(path[0]).lower() == column.lower():
            return fact
    return None


def _protection(facts: tuple[ColumnRecord, ...], column: str) -> str | None:
    found = _fact(facts, column)
    return None if found is None else found.protection
