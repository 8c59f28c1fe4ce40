"""How likely the rows of a table are led back to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from privpipe.errors import SourceError, UsageError
from privpipe.spark._errors import translated
from privpipe.spark._names import absolute_target
from privpipe.spark._own_session import session_or_own
from privpipe.spark._source import read_source
from privpipe.spark.risk._cautions import cautions
from privpipe.spark.risk._columns import Asked, asked_apart
from privpipe.spark.risk._figures import journalist, prosecutor, size_bands
from privpipe.spark.risk._population import in_population
from privpipe.spark.risk._report import RiskReport
from privpipe.spark.risk._sensitive import sensitive_report

__all__ = ["class_sizes", "held", "measure_risk", "measured"]

Table = str | Path | DataFrame


def measure_risk(
    source: Table,
    quasi: Sequence[str],
    *,
    sensitive: Sequence[str] = (),
    population: Table | None = None,
    threshold: float = 0.2,
    recursive_l: int = 2,
    spark: SparkSession | None = None,
) -> RiskReport:
    """The risk of a table (a path, a name or a DataFrame) in which the columns `quasi` are known.

    Rows that agree in all of these are a class. A null is a value of its own: rows with nulls in
    the same places, and equal elsewhere, agree. Text agrees byte by byte, whatever its collation.
    `population` is a table of all the people of whom `source` has some, with the same columns.

    The source is read once, where what is left of it after a first grouping fits in the executors'
    memory (nothing of that is spilled to disk but what Spark's shuffle writes); else once for
    each figure. Values stay on the executors: counts reach the driver, no plan and no message has
    a value. Without `spark`, a session is built for it.

    Source: Sweeney, k-Anonymity, IJUFKS 10(5) 2002; El Emam 2013 (see `prosecutor`), and ARX,
    whose names are kept; Machanavajjhala and others 2007; Li and others 2007.

    Raises: UsageError, SchemaError for columns that are not there, not comparable, or both quasi
    and sensitive; SourceError for an empty table, or a population that does not hold the table;
    what reading raises.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"a threshold of {threshold}", hint="a risk above 0, and 1 at most")
    if recursive_l < 2:
        raise UsageError(f"recursive diversity of l = {recursive_l}", hint="l is at least 2")
    given = next((one for one in (source, population) if isinstance(one, DataFrame)), None)
    with session_or_own(given.sparkSession if given is not None else spark) as session:
        df = _table(session, source)
        people = None if population is None else _table(session, population)
        report = measured(df, quasi, sensitive, people, threshold, recursive_l)
        with translated("looking for ciphertexts"):
            return replace(report, cautions=cautions(df, *asked_apart(df, quasi, sensitive)))


def _table(spark: SparkSession, source: Table) -> DataFrame:
    if isinstance(source, DataFrame):
        return source
    return read_source(spark, absolute_target(str(source), Path.cwd()))


def measured(
    df: DataFrame,
    quasi: Sequence[str],
    sensitive: Sequence[str],
    population: DataFrame | None = None,
    threshold: float = 0.2,
    recursive_l: int = 2,
) -> RiskReport:
    """The same, of a DataFrame, and without cautions."""
    known, hidden = asked_apart(df, quasi, sensitive)
    names = [f"q{at}" for at in range(len(known))]
    values = [f"s{at}" for at in range(len(hidden))]
    with translated("measuring the risk"), held(_cells(df, names, known, values, hidden)) as cells:
        sizes = class_sizes(cells, names)
        if not sizes:
            raise SourceError("the table has no rows", hint="there is nothing to measure")
        rows, classes = sum(size * n for size, n in sizes.items()), sum(sizes.values())
        alone = prosecutor(sizes, threshold)
        beside, people = alone, None
        if population is not None:
            found, people = in_population(cells, names, known, population)
            beside = journalist(found, threshold)
        return RiskReport(
            quasi=tuple(one.name for one in known),
            rows=rows,
            classes=classes,
            k=min(sizes),
            unique_rows=sizes.get(1, 0),
            unique_share=sizes.get(1, 0) / rows,
            sizes=size_bands(sizes),
            threshold=threshold,
            prosecutor=alone,
            journalist=beside,
            marketer=beside.average,
            population_rows=people,
            sensitive=tuple(
                sensitive_report(cells, names, value, one, recursive_l)
                for value, one in zip(values, hidden, strict=True)
            ),
        )


def _cells(
    df: DataFrame,
    names: Sequence[str],
    known: Sequence[Asked],
    values: Sequence[str],
    hidden: Sequence[Asked],
) -> DataFrame:
    """How many rows, `n`, have each combination of all that is asked about."""
    columns = {
        name: one.value for name, one in zip([*names, *values], [*known, *hidden], strict=True)
    }
    picked = df.select(*(column.alias(name) for name, column in columns.items()))
    return picked.groupBy(*columns).agg(F.count(F.lit(1)).alias("n"))


@contextmanager
def held(df: DataFrame) -> Iterator[DataFrame]:
    """`df`, computed once as far as memory goes: never on a disk, where it would lie in clear."""
    kept = df.persist(StorageLevel.MEMORY_ONLY)
    try:
        yield kept
    finally:
        kept.unpersist()


def class_sizes(cells: DataFrame, keys: Sequence[str]) -> Mapping[int, int]:
    """How many classes there are of each size."""
    classes = cells.groupBy(*keys).agg(F.sum("n").alias("size"))
    sizes = classes.groupBy("size").agg(F.count(F.lit(1)).alias("classes"))
    rows = sizes.collect()
    return {row["size"]: row["classes"] for row in rows}
