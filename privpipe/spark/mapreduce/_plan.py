"""Which columns and types a spec comes to, and what of that travels to a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DayTimeIntervalType,
    NumericType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)

from privpipe.aggregates import Aggregate, Groups, combined, finished, mapped
from privpipe.errors import AggregateError, SchemaError, UsageError
from privpipe.spark._leaves import quoted
from privpipe.spark._lips import sealed_lips
from privpipe.spark._types import arrow_type

__all__ = ["Item", "Plan", "Spec", "input_at", "inputs", "key_at", "plan_of_partials", "planned"]

Source = str | Column
Spec = Mapping[str, tuple[Aggregate, Source | Sequence[Source]]]
"""By the figure's name: the aggregate, and its column, or columns: a name, or an expression."""

_PLAIN = (
    BinaryType,
    BooleanType,
    DateType,
    DayTimeIntervalType,
    NumericType,
    TimestampNTZType,
    TimestampType,
    TimeType,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One figure: `columns` are places among the input columns."""

    name: str
    aggregate: Aggregate
    columns: tuple[int, ...]
    partial: pa.DataType
    figure: pa.DataType


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All figures over one set of keys; `columns` are the types of the input columns."""

    keys: tuple[StructField, ...]
    key_types: tuple[pa.DataType, ...]
    columns: tuple[pa.DataType, ...]
    items: tuple[Item, ...]

    @property
    def names(self) -> list[str]:
        """Of the keys, and of the figures."""
        return [*(key.name for key in self.keys), *(item.name for item in self.items)]

    def schema(self, *, figures: bool) -> StructType:
        """The keys, and a partial or a figure each; by place, since pyspark reads a name that has a
        dot as a path."""
        keys = [StructField(key_at(at), key.dataType) for at, key in enumerate(self.keys)]
        kinds = [item.figure if figures else item.partial for item in self.items]
        values = [
            StructField(f"f{at}", _spark_type(item.name, kind))
            for at, (item, kind) in enumerate(zip(self.items, kinds, strict=True))
        ]
        return StructType([*keys, *values])


def key_at(place: int) -> str:
    """What a key is called on its way."""
    return f"k{place}"


def input_at(place: int) -> str:
    """What an input column is called on its way."""
    return f"c{place}"


def inputs(df: DataFrame, keys: Sequence[str], spec: Spec) -> tuple[DataFrame, list[list[int]]]:
    """The keys of `df`, then each input column once, by place; and those of each figure's columns.

    Columns that are named by the same text are one.
    """
    chosen: dict[object, Column] = {}
    places = []
    for _, source in spec.values():
        sources = [source] if isinstance(source, (str, Column)) else list(source)
        for each in sources:
            # A Column's `==` makes another Column, so two of them are one only by their identity.
            name = each if isinstance(each, str) else id(each)
            chosen.setdefault(name, F.col(quoted(each)) if isinstance(each, str) else each)
        order = list(chosen)
        places.append([order.index(s if isinstance(s, str) else id(s)) for s in sources])
    kept = [F.col(quoted(key)).alias(key_at(at)) for at, key in enumerate(keys)]
    carried = [column.alias(input_at(at)) for at, column in enumerate(chosen.values())]
    # Without any column an Arrow batch has no rows.
    return df.select(*kept, *(carried or [F.lit(True).alias(input_at(0))])), places


def planned(chosen: DataFrame, keys: Sequence[str], spec: Spec, places: list[list[int]]) -> Plan:
    """The plan of these figures over `chosen`, which `inputs` made."""
    _check_names(keys, spec)
    fields = chosen.schema.fields
    kept = [_key(key, field.dataType) for key, field in zip(keys, fields, strict=False)]
    kinds = [_input_type(field.dataType) for field in fields[len(keys) :]]
    items = []
    for (name, (aggregate, _)), columns in zip(spec.items(), places, strict=True):
        with sealed_lips(name):
            empty = tuple(pa.array([], kinds[place]) for place in columns)
            partials = mapped(aggregate, Groups([], 0), empty)
            items.append(_item(name, aggregate, tuple(columns), partials))
    return Plan(
        keys=tuple(StructField(key, kind) for key, kind in zip(keys, kept, strict=True)),
        key_types=tuple(arrow_type(kind) for kind in kept),
        columns=tuple(kinds),
        items=tuple(items),
    )


def plan_of_partials(df: DataFrame, keys: Sequence[str], spec: Spec) -> Plan:
    """The plan of figures whose partials are columns of `df`, by their names."""
    _check_names(keys, spec)
    kept = [_key(key, df.schema[key].dataType) for key in _there(df, keys)]
    items = []
    for name in _there(df, spec):
        aggregate = spec[name][0]
        with sealed_lips(name):
            partials = pa.array([], arrow_type(df.schema[name].dataType))
            items.append(_item(name, aggregate, (), partials))
    return Plan(
        keys=tuple(StructField(key, kind) for key, kind in zip(keys, kept, strict=True)),
        key_types=tuple(arrow_type(kind) for kind in kept),
        columns=(),
        items=tuple(items),
    )


def _item(name: str, aggregate: Aggregate, columns: tuple[int, ...], partials: pa.Array) -> Item:
    partials = combined(aggregate, Groups([], 0), partials)
    figures = finished(aggregate, partials)
    return Item(
        name=name,
        aggregate=aggregate,
        columns=columns,
        partial=partials.type,
        figure=figures.type,
    )


def _check_names(keys: Sequence[str], spec: Spec) -> None:
    if isinstance(keys, str):
        raise UsageError("keys are a list of names", hint=f"[{keys!r}]")
    if not spec:
        raise UsageError("nothing to aggregate", hint="name a figure: {'rows': (Count(), ())}")
    names = [name.casefold() for name in (*keys, *spec)]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UsageError("two keys or figures of one name", where=f"column {double}")


def _there(df: DataFrame, names: Sequence[str] | Spec) -> list[str]:
    lost = [name for name in names if name not in df.columns]
    if lost:
        raise SchemaError("no such column of partials", where=f"column {lost[0]}")
    return list(names)


def _key(name: str, kind: DataType) -> DataType:
    bad = _no_key(kind)
    if bad is not None:
        raise SchemaError(
            f"{bad.simpleString()} is no key to group by",
            where=f"column {name}",
            hint="cast it before: to int, to a string of the default collation, to its fields",
        )
    return kind


def _no_key(kind: DataType) -> DataType | None:
    if isinstance(kind, StructType):
        return next((bad for each in kind.fields if (bad := _no_key(each.dataType))), None)
    if isinstance(kind, ArrayType):
        return _no_key(kind.elementType)
    if isinstance(kind, StringType):
        return None if kind.collation == "UTF8_BINARY" else kind
    return None if isinstance(kind, _PLAIN) else kind


def _input_type(kind: DataType) -> pa.DataType:
    if isinstance(kind, StringType) and kind.collation != "UTF8_BINARY":
        raise SchemaError(
            f"{kind.simpleString()} has an order of its own", hint="cast it to string before"
        )
    if isinstance(kind, YearMonthIntervalType):
        raise SchemaError(
            f"no worker takes {kind.simpleString()}", hint="cast it to months before: an int"
        )
    return arrow_type(kind)


def _spark_type(name: str, kind: pa.DataType) -> DataType:
    try:
        return from_arrow_type(kind)
    except Exception:  # noqa: BLE001 (what it raises is not written down)
        raise AggregateError(f"Spark holds no {kind}", where=f"column {name}") from None
