"""What a release reads: the columns that its spec names, opened where they are encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.catalog import ColumnRecord, manifest_of
from privpipe.documents import choice
from privpipe.errors import NotProtected, SchemaError, SourceError, SpecError
from privpipe.features import (
    ROW,
    EntitySpec,
    ExactSpec,
    Spec,
    column_place,
    figure_place,
    place_of,
)
from privpipe.policy import format_path
from privpipe.spark._errors import translated
from privpipe.spark._facts import facts_of, is_of_column
from privpipe.spark._leaves import quoted, spelt
from privpipe.spark._newest import version_there
from privpipe.spark._past import read_version
from privpipe.spark._places_read import places_read
from privpipe.spark._reveal import reveal
from privpipe.spark._source import read_source
from privpipe.spark._target import local_path, refuse_read_from, refuse_same_place
from privpipe.spark._vault_columns import vaulted
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._group_windows import in_windows

__all__ = [
    "OPENED",
    "FeatureSource",
    "Stored",
    "column_of",
    "does_not_open",
    "find_source",
    "find_spec_table",
    "find_table",
    "refuse_null_units",
]

GroupSpec = TypeVar("GroupSpec", Spec, ExactSpec)

OPENED = ("encrypt", "encrypt_deterministic", "tokenize", "vault", "fernet")
"""What opens again; of the others a sum would be of something else."""
_COUNTED = ("pseudonymize", "shift")
"""What stands for one value of one subject, so that different ones can be counted"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One version of the table at `place`, as it is stored, with the catalog's facts of it."""

    place: str
    df: DataFrame
    version: int | None
    facts: tuple[ColumnRecord, ...]

    def fact(self, column: str) -> ColumnRecord | None:
        """What the catalog knows of a column; None where it stands in clear."""
        return next((fact for fact in self.facts if is_of_column(fact, column)), None)

    def protection(self, column: str) -> str | None:
        """Under what a column stands; None where it stands in clear."""
        found = self.fact(column)
        return None if found is None else found.protection

    def reads(self, work: Workspace) -> dict[str, int | None]:
        """What it is, in its version, and all that it is a view of, as the catalog keeps places."""
        return places_read(work, self.df, self.place, self.version)

    def rows(self, work: Workspace) -> int:
        """How many rows it has: from its log where that is read here, and else by a job."""
        path, told = local_path(work.spark, self.place), None
        if path is not None and self.version is not None:
            told = manifest_of(path, self.version)
        return self.df.count() if told is None or told.rows is None else told.rows

    def refuse_target(self, work: Workspace, target: str) -> None:
        """Raises TargetError where what is read would be written over."""
        refuse_same_place(work.spark, self.place, target)
        refuse_read_from(work.spark, self.df, target)

    def opened(self, work: Workspace, columns: Sequence[str], closed: str) -> DataFrame:
        """These columns alone; those that are encrypted opened, but for `closed`.

        Lazy: a value that does not authenticate stops the pass.
        """
        hidden = [column for column in columns if column != closed]
        wanted = [format_path((name,)) for name in hidden if self.protection(name) in OPENED]
        vaults, opened, facts = vaulted(work.catalog.location, wanted, self.facts, work.keys)
        df = vaults.beside(self.df, strict=True)
        df = vaults.instead(reveal(df, opened, facts, work.keys), strict=True)
        return df.select(*(quoted(name) for name in columns))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSource(Generic[GroupSpec]):
    """What figures of groups are made of. `spec` names its columns as the table does."""

    table: Stored
    spec: GroupSpec

    def opened(self, work: Workspace) -> DataFrame:
        """The spec's columns alone, of rows that have a unit and are in a window, if there are any;
        nothing is released of a value that does not authenticate."""
        df = self.table.opened(work, self.spec.columns, self.spec.unit)
        if self.spec.unit != ROW:
            df = df.where(F.col(quoted(self.spec.unit)).isNotNull())
        return in_windows(df, self.spec)


def find_source(
    work: Workspace, spec: GroupSpec, place: str, version: int | None = None
) -> FeatureSource[GroupSpec]:
    """The table that `place` is now, or was at `version`, with the catalog's facts of it; reads no
    row.

    Raises: SourceError, SchemaError for a column that it does not have, SpecError for one that
    figures cannot be made of.
    """
    table = find_spec_table(work, spec, place, version)
    named: GroupSpec = spec.renamed(lambda column: column_of(table.df.columns, column, spec))
    for column in named.columns:
        _refuse_lost(named, column, table)
    return FeatureSource(table=table, spec=named)


def column_of(
    names: Sequence[str], name: str, spec: Spec | ExactSpec | EntitySpec, where: str = ""
) -> str:
    """The column of a table that the spec means by a name, at `where` or where it first says so.
    Raises: SchemaError where there is none."""
    try:
        return spelt(names, name)
    except SchemaError:
        text, hint = choice("column", name, names)
        raise SchemaError(text, where=where or column_place(spec, name), hint=hint) from None


def find_spec_table(
    work: Workspace,
    spec: Spec | ExactSpec | EntitySpec,
    place: str,
    version: int | None = None,
) -> Stored:
    """As `find_table`; where `place` is the spec's own source, errors have its line."""
    try:
        return find_table(work, place, version)
    except SourceError as error:
        if place != work.find(work.keep(spec.source)):
            raise
        where = f"{place_of(spec, 'source')}, {error.where or place}"
        raise SourceError(error.message, where=where, hint=error.hint) from None


def find_table(work: Workspace, place: str, version: int | None = None) -> Stored:
    """The table that `place` is now, or was at `version`: a Delta table in that version alone,
    however often it is read and whatever is written meanwhile.

    Raises: SourceError, for a version too that the table has no more.
    """
    newest = version_there(work.spark, place)
    if newest is not None and newest < 0:
        raise SourceError(
            "a folder within a Delta table, and no table itself",
            where=place,
            hint="name the table; or, for some of its rows, a view of it",
        )
    if newest is not None:
        stored, version = _in_version(work.spark, place, newest if version is None else version)
    else:
        version, stored = None, read_source(work.spark, place)
    try:
        facts = facts_of(work.catalog, work.keep(place), version)
    except NotProtected:
        facts = ()
    work.keys.forget()
    return Stored(place=place, df=stored, version=version, facts=facts)


def _in_version(spark: SparkSession, place: str, version: int) -> tuple[DataFrame, int]:
    try:
        return read_version(spark, place, version), version
    except (PySparkException, Py4JError):
        raise SourceError(
            f"version {version}, which this run read first, cannot be read any more",
            where=place,
            hint="choose another --run-id, which reads the latest; what was drawn under this one "
            "stays charged either way",
        ) from None


def _refuse_lost(spec: Spec | ExactSpec, column: str, table: Stored) -> None:
    """A figure of what is masked is none of what was there, and what is sealed does not open."""
    protection = table.protection(column)
    if protection is None or protection in OPENED or column == spec.unit:
        return
    if spec.over is not None and column == spec.over.event_time:
        # A shifted time too: a moment of the spec's is none of each subject's own.
        raise does_not_open(column, protection, place_of(spec, "event_time"))
    for each in spec.aggregates:
        counted = each.kind == "distinct" and protection in _COUNTED
        if each.column == column and not counted:
            raise does_not_open(column, protection, figure_place(spec, each.name))
    if protection == "seal":
        raise does_not_open(column, protection, column_place(spec, column))


def refuse_null_units(source: FeatureSource[Spec] | FeatureSource[ExactSpec]) -> None:
    """Raises SpecError where rows without a unit are to stop the run, and there are some."""
    spec = source.spec
    if spec.null_units != "refuse" or spec.unit == ROW:
        return
    with translated("looking for rows without a unit"):
        if source.table.df.where(F.col(quoted(spec.unit)).isNull()).isEmpty():
            return
    raise SpecError(
        f"some row has no {spec.unit}",
        where=place_of(spec, "null_units"),
        hint="`null_units: drop` leaves such rows out",
    )


def does_not_open(column: str, protection: str, where: str) -> SpecError:
    """The error where a column is wanted that has no way back."""
    return SpecError(
        f"{column} stands under `{protection}` in the source, and does not open",
        where=where,
        hint="take a column that is encrypted, or one that is kept",
    )
