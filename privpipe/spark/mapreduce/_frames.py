"""Aggregates over DataFrames: partials on each partition, one shuffle, one merge."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.aggregates import native_text
from privpipe.errors import UsageError
from privpipe.spark._errors import translated
from privpipe.spark._leaves import quoted
from privpipe.spark.mapreduce._plan import (
    Plan,
    Spec,
    input_at,
    inputs,
    key_at,
    plan_of_partials,
    planned,
)
from privpipe.spark.mapreduce._worker import identity, map_side, merge_side

__all__ = ["aggregate", "finish", "merge", "partials"]

_ANSI = "spark.sql.ansi.enabled"


def aggregate(
    df: DataFrame, keys: Sequence[str], spec: Spec, *, native: bool | None = None
) -> DataFrame:
    """The figures of each group of `df`: one row for each value of `keys`, and one row in all where
    there are no keys. All figures of a spec share one pass over the data and one shuffle.

    `spec`: {name: (aggregate, column)}, or a tuple of columns; a column is a name or an expression.
    Null is a key like others. Where Spark's own SQL has all of the aggregates, to the last bit, it
    runs them, several times faster: under `spark.sql.ansi.enabled` alone, since sums wrap around
    without. `native=False` goes through Arrow all the same, `native=True` refuses what Spark lacks.

    A column is read as it is: encrypted ones are opened before, by `reveal`. What crosses the
    shuffle are keys and partials, in clear but for Spark's own encryption, as what it spills is:
    `spark.io.encryption.enabled` covers shuffle files and spills, `spark.network.crypto.enabled`
    the way between executors, and `privpipe doctor` looks for both. A partial of `Distinct`,
    `Quantile`, `TopK`, `Min`, `Max` or `Kll` holds values of single rows. Nothing is written here.

    A figure is computed when the DataFrame is read, and again when it is read again. Errors of an
    aggregate are then coded (`from_text` of privpipe.errors finds them in Spark's) and quote no
    value. Raises: UsageError, SchemaError, AggregateError, MissingExtra.
    """
    with translated("the plan of the aggregates"):
        chosen, places = inputs(df, keys, spec)
        plan = planned(chosen, keys, spec, places)
        texts = _native_texts(plan)
        own = _is_ansi(df) and None not in texts if native is None else native
        if own:
            return _natively(chosen, plan, texts)
        return _merged(_mapped(chosen, plan), plan, finish=True)


def partials(df: DataFrame, keys: Sequence[str], spec: Spec) -> DataFrame:
    """The partial values of each group, one column a figure: to be stored, and merged later.

    They are as sensitive as the columns that they are of: release them as a protected table.
    """
    with translated("the plan of the aggregates"):
        chosen, places = inputs(df, keys, spec)
        plan = planned(chosen, keys, spec, places)
        return _merged(_mapped(chosen, plan), plan, finish=False)


def merge(df: DataFrame, keys: Sequence[str], spec: Spec) -> DataFrame:
    """Partials of several days, or of finer groups, merged to one row for each value of `keys`.

    Of the spec only names and aggregates count, with the settings that made the partials.
    """
    with translated("the plan of the aggregates"):
        plan = plan_of_partials(df, keys, spec)
        return _merged(_chosen(df, plan), plan, finish=False)


def finish(df: DataFrame, keys: Sequence[str], spec: Spec) -> DataFrame:
    """The figures of partials, which are merged first: what `aggregate` gives for all their rows.

    Of the spec only names and aggregates count, with the settings that made the partials.
    """
    with translated("the plan of the aggregates"):
        plan = plan_of_partials(df, keys, spec)
        return _merged(_chosen(df, plan), plan, finish=True)


def _native_texts(plan: Plan) -> list[str | None]:
    kinds = plan.columns
    return [
        native_text(item.aggregate, tuple(kinds[place] for place in item.columns))
        for item in plan.items
    ]


def _is_ansi(df: DataFrame) -> bool:
    return str(df.sparkSession.conf.get(_ANSI)).lower() == "true"


def _natively(chosen: DataFrame, plan: Plan, texts: Sequence[str | None]) -> DataFrame:
    figures = []
    for item, text in zip(plan.items, texts, strict=True):
        if text is None:
            raise UsageError(
                "Spark has no such aggregate, exact to the last bit",
                where=f"column {item.name}",
                hint="leave out native=True",
            )
        figures.append(F.expr(text.format(*(input_at(at) for at in item.columns))).alias(item.name))
    if not _is_ansi(chosen):
        raise UsageError("Spark's own sums wrap around in silence", hint=f"set {_ANSI}=true")
    keys = [key_at(at) for at in range(len(plan.keys))]
    return chosen.groupBy(*keys).agg(*figures).toDF(*plan.names)


def _mapped(chosen: DataFrame, plan: Plan) -> DataFrame:
    schema = plan.schema(figures=False)
    made = chosen.mapInArrow(map_side(plan), schema)
    if plan.keys:
        return made
    one = chosen.sparkSession.range(0, 1, 1, 1)
    return made.unionAll(one.mapInArrow(identity(plan), schema))


def _chosen(df: DataFrame, plan: Plan) -> DataFrame:
    names = plan.schema(figures=False).names
    columns = zip(plan.names, names, strict=True)
    return df.select(*(F.col(quoted(told)).alias(name) for told, name in columns))


def _merged(made: DataFrame, plan: Plan, *, finish: bool) -> DataFrame:
    keys = [key_at(at) for at in range(len(plan.keys))]
    # Sorted, so that a worker holds one group at a time: Spark's sort spills, a table in Python
    # would not.
    together = made.repartition(*keys).sortWithinPartitions(*keys) if keys else made.repartition(1)
    schema = plan.schema(figures=finish)
    return together.mapInArrow(merge_side(plan, finish=finish), schema).toDF(*plan.names)
