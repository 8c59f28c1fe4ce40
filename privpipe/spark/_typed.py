"""Text to typed values, exactly or not at all.

Spark's own cast rounds `12.345` to `decimal(10,2)`, drops the time from a date and the seventh
digit from a second, and makes `1e400` an infinity. Here each type says which texts it holds, and
all others are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import or_
from types import MappingProxyType

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    CharType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
)

from privpipe.errors import SchemaError

_DATE = r"\d{4,6}-\d{1,2}-\d{1,2}"
_CLOCK = r"\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{0,6}0*)?)?"
_ZONE = r"\s*[A-Za-z+\-][A-Za-z0-9_+\-:/]*"
_SPECIAL = r"[+-]?(inf|infinity|nan)"

# The texts that a cast takes whole; a type that is not here refuses what it cannot hold by itself.
_FORMS: Mapping[type[DataType], str] = MappingProxyType(
    {
        DateType: _DATE,
        DoubleType: rf"([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:{_SPECIAL}))",
        FloatType: rf"([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:{_SPECIAL}))",
        TimestampNTZType: rf"{_DATE}([T ]{_CLOCK})?",
        TimestampType: rf"{_DATE}([T ]{_CLOCK}({_ZONE})?)?",
    }
)
_SCALARS = (
    BinaryType,
    BooleanType,
    ByteType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    YearMonthIntervalType,
)


def check_readable(kind: DataType, where: str) -> None:
    """Raises SchemaError where a text file cannot hold values of this type."""
    if isinstance(kind, (CharType, VarcharType)):
        raise SchemaError(
            f"{kind.simpleString()} is a table's own limit, no type of a file",
            where=where,
            hint="write `string`",
        )
    if not isinstance(kind, (*_SCALARS, ArrayType, MapType, StructType, VariantType)):
        raise SchemaError(
            f"no file of text holds a {kind.simpleString()}", where=where, hint="write `string`"
        )
    if isinstance(kind, MapType) and kind.keyType != StringType():
        raise SchemaError("the keys of a JSON object are text", where=where, hint="map<string,…>")
    for part in _parts(kind):
        check_readable(part, where)


def is_nested(kind: DataType) -> bool:
    """Whether the type is a container, which CSV cannot hold."""
    return isinstance(kind, (ArrayType, MapType, StructType, VariantType))


def as_text(kind: DataType) -> DataType:
    """The type to read in its place: the same containers, with text for every scalar in them."""
    if isinstance(kind, StructType):
        return StructType([StructField(f.name, as_text(f.dataType)) for f in kind.fields])
    if isinstance(kind, ArrayType):
        return ArrayType(as_text(kind.elementType))
    if isinstance(kind, MapType):
        return MapType(as_text(kind.keyType), as_text(kind.valueType))
    return kind if isinstance(kind, VariantType) else StringType()


def typed(text: Column, kind: DataType) -> Column:
    """`text`, of type `as_text(kind)`, as `kind`; not to be trusted where `unfit` is true."""
    return text if kind == as_text(kind) else text.try_cast(kind)


def unfit(text: Column, kind: DataType) -> Column:
    """True where some text within is no exact value of its type; never null."""
    if isinstance(kind, StructType):
        found = [unfit(text.getField(f.name), f.dataType) for f in kind.fields]
        return reduce(or_, found, F.lit(False))
    if isinstance(kind, ArrayType):
        element = kind.elementType
        return _surely(F.exists(text, lambda x: unfit(x, element)))
    if isinstance(kind, MapType):
        key, value = kind.keyType, kind.valueType
        keys = F.exists(F.map_keys(text), lambda x: unfit(x, key))
        return _surely(keys) | _surely(F.exists(F.map_values(text), lambda x: unfit(x, value)))
    if kind == as_text(kind):
        return F.lit(False)
    return text.isNotNull() & _surely(_unfit_scalar(text, kind), when_null=True)


def _unfit_scalar(text: Column, kind: DataType) -> Column:
    value = text.try_cast(kind)
    wrong = value.isNull()
    form = _form(kind)
    if form is not None:
        wrong |= ~text.rlike(rf"^\s*({form})\s*$")
    if isinstance(kind, (DoubleType, FloatType)):
        # Too large a number becomes an infinity, which only a text that says so is.
        infinite = F.abs(value) == F.lit(float("inf"))
        wrong |= infinite & ~text.rlike(r"(?i)^\s*[+-]?inf")
    return wrong


def _form(kind: DataType) -> str | None:
    if isinstance(kind, DecimalType):
        scale = kind.scale
        return rf"[+-]?(\d+(\.\d{{0,{scale}}}0*)?|\.\d{{0,{scale}}}0*)"
    if isinstance(kind, TimeType):
        return rf"\d{{1,2}}:\d{{1,2}}(:\d{{1,2}}(\.\d{{0,{kind.precision}}}0*)?)?(\s*(?i:[ap]m))?"
    return _FORMS.get(type(kind))


def _surely(condition: Column, *, when_null: bool = False) -> Column:
    return F.coalesce(condition, F.lit(when_null))


def _parts(kind: DataType) -> list[DataType]:
    if isinstance(kind, StructType):
        return [field.dataType for field in kind.fields]
    if isinstance(kind, ArrayType):
        return [kind.elementType]
    return [kind.keyType, kind.valueType] if isinstance(kind, MapType) else []
