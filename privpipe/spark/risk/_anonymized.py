"""A table that was made to hide its rows, with what that cost; and the proof that it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from privpipe.errors import AnonymityError, UsageError
from privpipe.policy import Generalize
from privpipe.spark.risk._measure import measured
from privpipe.spark.risk._report import RiskReport

__all__ = ["Anonymized", "Goal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymized:
    """`df` is computed when it is read; `report` is what was measured of it.

    `suppressed`: rows dropped, or whose quasi columns were nulled. `levels`: by column, the step
    that was chosen, None where the value stayed and where all are one; `step` counts it. `loss`:
    from 0, nothing lost, to 1, nothing left: the mean over columns (and rows).
    """

    df: DataFrame = field(repr=False)
    report: RiskReport
    suppressed: int = 0
    levels: Mapping[str, Generalize | None] = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    loss: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What must hold of every class: `k` rows; and in each column of `sensitive`, `diversity`
    distinct values at least, and a distance of `closeness` at most."""

    k: int
    sensitive: tuple[str, ...] = ()
    diversity: int = 1
    closeness: float = 1.0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"k = {self.k}", hint="a class has one row at least; take 5 or more")
        if self.diversity < 1:
            raise UsageError(f"l = {self.diversity}", hint="a class has one value at least")
        if not 0 <= self.closeness <= 1:
            raise UsageError(f"t = {self.closeness}", hint="t is a distance from 0 to 1")
        if (self.diversity > 1 or self.closeness < 1) and not self.sensitive:
            raise UsageError(
                "l-diversity and t-closeness are those of a sensitive column",
                hint="name it: sensitive=[...]",
            )

    def misses(self, report: RiskReport) -> tuple[str, ...]:
        """What does not hold of a table with this report."""
        found = [] if report.k >= self.k else [f"the smallest class has {report.k} row(s)"]
        for one in report.sensitive:
            if one.distinct < self.diversity:
                found.append(f"a class has {one.distinct} value(s) of {one.column}")
            # As close as counting in binary fractions is.
            if one.closeness > self.closeness + 1e-9:
                found.append(f"a class is {one.closeness:.4f} from the table in {one.column}")
        return tuple(found)

    def proven(self, df: DataFrame, quasi: Sequence[str]) -> RiskReport:
        """The report of `df`, measured now. Raises AnonymityError where it misses the goal."""
        report = measured(df, quasi, self.sensitive)
        misses = self.misses(report)
        if misses:
            raise AnonymityError(
                f"the rows do not hide as was asked: {'; '.join(misses)}",
                hint="were rows changed meanwhile? Give a DataFrame that is the same each time",
            )
        return report
