"""Reading text files with a guard that no plan can lose."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType

from privpipe.errors import EncodingError, MalformedRow, PrivpipeError
from privpipe.spark._leaves import quoted
from privpipe.spark._stop import stop
from privpipe.spark._typed import typed, unfit

_REPLACED = "\ufffd"  # what a reader makes of bytes that are not UTF-8


@dataclass(frozen=True, slots=True, kw_only=True)
class TextColumn:
    """A column of a text file: read as text, given as `kind`."""

    name: str
    kind: DataType


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a row: a condition that is never null, and the error it stands for."""

    found: Column
    error: PrivpipeError


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSource:
    """A text file as the reader gives it, before its guard: `raw` holds text and `CORRUPT`."""

    place: str
    raw: DataFrame
    columns: tuple[TextColumn, ...]
    faults: tuple[Fault, ...]
    torn: Callable[[], None] = lambda: None
    """Raises MalformedRow for what no single row shows"""

    def guarded(self) -> DataFrame:
        """The typed columns; a row with a fault stops the job with that fault's coded text.

        The guard is a filter, which stays whatever is selected or counted behind it, and it reads
        every column: a reader that is asked for fewer columns does not notice a row that is short.
        """
        guard = F.lit(True)
        for fault in reversed(self.faults):
            guard = F.when(fault.found, stop(fault.error, BooleanType())).otherwise(guard)
        return self.raw.where(guard).select(
            *(typed(F.col(quoted(c.name)), c.kind).alias(c.name) for c in self.columns)
        )

    def refuse(self) -> None:
        """Read all of it; raise the first fault found in any row, with the count of rows.

        Raises: MalformedRow, EncodingError.
        """
        self.torn()
        counts = self.raw.agg(
            *(F.count_if(fault.found).alias(str(i)) for i, fault in enumerate(self.faults))
        ).head()
        for fault, count in zip(self.faults, counts or (), strict=False):
            if count:
                raise counted(fault.error, count)


def counted(error: PrivpipeError, count: int) -> PrivpipeError:
    """The error of one row, told of so many."""
    rows = "1 row" if count == 1 else f"{count} rows"
    return type(error)(f"{rows}: {error.message}", where=error.where, hint=error.hint)


def malformed(found: Column, place: str, hint: str) -> Fault:
    """A row that is none. Its text is nowhere in the error."""
    error = MalformedRow("a row is not well-formed", where=place, hint=hint)
    return Fault(found=found, error=error)


def undecodable(columns: Iterable[TextColumn], place: str) -> Fault:
    """Bytes that are not UTF-8: read on, they would be replaced, and lost, in silence."""
    found = F.lit(False)
    for column in columns:
        held = F.contains(F.col(quoted(column.name)), F.lit(_REPLACED))
        found |= F.coalesce(held, F.lit(False))
    error = MalformedRow(
        "a cell is not UTF-8 text",
        where=place,
        hint="convert the file to UTF-8 (iconv -f latin1 -t utf8), or land it as Parquet first",
    )
    return Fault(found=found, error=error)


def unfitting(columns: Iterable[TextColumn], place: str) -> tuple[Fault, ...]:
    """Values that their declared type does not hold exactly, a fault a column."""
    return tuple(
        Fault(
            found=unfit(F.col(quoted(column.name)), column.kind),
            error=EncodingError(
                f"a value is no {column.kind.simpleString()}",
                where=f"{place} column {column.name}",
                hint="correct the file, or the policy's `schema:`; `string` takes every value",
            ),
        )
        for column in columns
        if column.kind.simpleString() != "string"
    )
