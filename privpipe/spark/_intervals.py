"""Types that no Python worker takes or gives back, as ones that it does.

A year-month interval fails in the worker: it arrives as an Arrow type that no Python knows. So it
travels as a count of months, the 32-bit integer that Spark keeps inside. `time(p)` comes back as
`time(6)` whatever its precision, and `char` and `varchar` (where the session keeps them as types)
are refused as return types. Spark's own expressions only, at any depth of struct, array and map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    CharType,
    DataType,
    IntegerType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimeType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
)

_YEAR, _MONTH = YearMonthIntervalType.YEAR, YearMonthIntervalType.MONTH
# A cast from `interval year` to int counts years, so every interval is first one of months.
_WHOLE = YearMonthIntervalType(_YEAR, _MONTH)
_MONTHS = YearMonthIntervalType(_MONTH, _MONTH)
_TIME = TimeType(6)

Leaf = Callable[[DataType], DataType]
Cast = Callable[[Column, DataType], Column]


def carried_type(kind: DataType) -> DataType:
    """The type that `to_months` gives a column of type `kind`."""
    return _with(kind, _carrier)


def to_months(column: Column, kind: DataType) -> tuple[Column, DataType]:
    """`column` of type `kind` with its year-month intervals as `int` months, and its new type.

    Likewise `time(p)` as `time(6)`, `char(n)` and `varchar(n)` as `string`. Null stays null; names,
    order and nullability stay as they are. A type without any of these comes back as it is, the
    column untouched.
    """
    if not _holds(kind, _is_odd):
        return column, kind
    carried = _with(kind, _carrier)

    def carry(part: Column, part_kind: DataType) -> Column:
        whole = _with(part_kind, lambda leaf: _WHOLE if _is_interval(leaf) else _carrier(leaf))
        return part.cast(whole).cast(_with(part_kind, _carrier))

    return _convert(column, _Part(kind), carry), carried


def from_months(column: Column, kind: DataType) -> Column:
    """The inverse: `column` as `to_months` left it, as exactly `kind` again.

    `kind` may differ from what `to_months` was given in leaves that it leaves alone: where a
    protected leaf became `binary`, say so in `kind`, and the others come back.
    """
    if not _holds(kind, _is_odd):
        return column

    def uncarry(part: Column, part_kind: DataType) -> Column:
        months = _with(part_kind, lambda leaf: _MONTHS if _is_interval(leaf) else _carrier(leaf))
        return part.cast(months).cast(part_kind)

    return _convert(column, _Part(kind), uncarry)


def _is_interval(kind: DataType) -> bool:
    return isinstance(kind, YearMonthIntervalType)


def _carrier(kind: DataType) -> DataType:
    if isinstance(kind, YearMonthIntervalType):
        return IntegerType()
    if isinstance(kind, TimeType):
        return _TIME
    return StringType() if isinstance(kind, (CharType, VarcharType)) else kind


def _is_odd(kind: DataType) -> bool:
    return _carrier(kind) != kind


@dataclass(frozen=True, slots=True)
class _Part:
    kind: DataType
    nullable: bool = True


def _convert(column: Column, part: _Part, cast: Cast) -> Column:
    """Casts the largest parts that Spark can cast whole.

    It cannot where a field that is never null holds a variant: such a cast counts as one that may
    give null, although this one changes nothing. Containers of variants are taken apart instead.
    """
    kind = part.kind
    if not _holds(kind, _is_odd):
        return column
    if not _holds(kind, lambda leaf: isinstance(leaf, VariantType)):
        return cast(column, kind)
    if isinstance(kind, ArrayType):
        element = _Part(kind.elementType, kind.containsNull)
        return F.transform(column, lambda x: _convert(x, element, cast))
    if isinstance(kind, MapType):
        key = _Part(kind.keyType, nullable=False)
        value = _Part(kind.valueType, kind.valueContainsNull)
        keyed = F.transform_keys(column, lambda k, _: _convert(k, key, cast))
        return F.transform_values(keyed, lambda _, v: _convert(v, value, cast))

    def fields(row: Column) -> Column:
        return F.struct(
            *(
                _convert(row.getField(f.name), _Part(f.dataType, f.nullable), cast).alias(
                    f.name, metadata=f.metadata
                )
                for f in kind.fields  # type: ignore[attr-defined]  # what else holds a variant
            )
        )

    if not part.nullable:
        return fields(column)
    # The fields of a struct that may be null may themselves be null, says Spark, and would lose
    # their `not null`. In an array without nulls it knows better.
    return F.get(F.transform(F.array_compact(F.array(column)), fields), F.lit(0))


def _holds(kind: DataType, wanted: Callable[[DataType], bool]) -> bool:
    if isinstance(kind, StructType):
        return any(_holds(field.dataType, wanted) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _holds(kind.elementType, wanted)
    if isinstance(kind, MapType):
        return _holds(kind.keyType, wanted) or _holds(kind.valueType, wanted)
    return wanted(kind)


def _with(kind: DataType, leaf: Leaf) -> DataType:
    """`kind` with `leaf` applied to every type in it that is no container."""
    if isinstance(kind, StructType):
        return StructType(
            [
                StructField(f.name, _with(f.dataType, leaf), f.nullable, f.metadata)
                for f in kind.fields
            ]
        )
    if isinstance(kind, ArrayType):
        return ArrayType(_with(kind.elementType, leaf), kind.containsNull)
    if isinstance(kind, MapType):
        key, value = _with(kind.keyType, leaf), _with(kind.valueType, leaf)
        return MapType(key, value, kind.valueContainsNull)
    return leaf(kind)
