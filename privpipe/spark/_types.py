"""Spark's types as the policy tells them, as Arrow carries them, and as JSON keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    ByteType,
    CalendarIntervalType,
    CharType,
    DataType,
    DateType,
    DayTimeIntervalType,
    DecimalType,
    DoubleType,
    FloatType,
    GeographyType,
    GeometryType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
    TimeType,
    UserDefinedType,
    VarcharType,
    VariantType,
    YearMonthIntervalType,
)

from privpipe import policy
from privpipe.errors import SchemaError

_KINDS: Mapping[type[DataType], str] = MappingProxyType(
    {
        ArrayType: "array",
        BinaryType: "binary",
        BooleanType: "boolean",
        ByteType: "tinyint",
        CalendarIntervalType: "interval",
        CharType: "char",
        DateType: "date",
        DayTimeIntervalType: "interval_dt",
        DecimalType: "decimal",
        DoubleType: "double",
        FloatType: "float",
        GeographyType: "geography",
        GeometryType: "geometry",
        IntegerType: "int",
        LongType: "bigint",
        MapType: "map",
        NullType: "void",
        ShortType: "smallint",
        StringType: "string",
        StructType: "struct",
        TimeType: "time",
        TimestampNTZType: "timestamp_ntz",
        TimestampType: "timestamp",
        VarcharType: "varchar",
        VariantType: "variant",
        YearMonthIntervalType: "interval_ym",
    }
)

# What a worker is handed for these, and what it must give back.
_ARROW: Mapping[type[DataType], pa.DataType] = MappingProxyType(
    {
        BinaryType: pa.binary(),
        BooleanType: pa.bool_(),
        ByteType: pa.int8(),
        CharType: pa.string(),
        DateType: pa.date32(),
        DayTimeIntervalType: pa.duration("us"),
        DoubleType: pa.float64(),
        FloatType: pa.float32(),
        IntegerType: pa.int32(),
        LongType: pa.int64(),
        NullType: pa.null(),
        ShortType: pa.int16(),
        StringType: pa.string(),
        TimeType: pa.time64("ns"),
        TimestampNTZType: pa.timestamp("us"),
        TimestampType: pa.timestamp("us", tz="UTC"),
        VarcharType: pa.string(),
        VariantType: pa.struct(
            [
                pa.field("value", pa.binary(), nullable=False),
                # A mark tells a variant, or a spatial value, from other structs of this shape.
                pa.field("metadata", pa.binary(), nullable=False, metadata={b"variant": b"true"}),
            ]
        ),
        # `to_months` carries these.
        YearMonthIntervalType: pa.int32(),
    }
)


def table_schema(schema: StructType) -> policy.TableSchema:
    """A DataFrame's schema as the policy's planner takes it."""
    return policy.TableSchema(fields=_fields(schema))


def policy_type(kind: DataType) -> policy.Type:
    """One Spark type as the policy tells it; `text` is Spark's `simpleString`."""
    text = kind.simpleString()
    if isinstance(kind, UserDefinedType):
        return policy.Type(text=text, kind="udt")
    word = _KINDS.get(type(kind), text)
    if isinstance(kind, StructType):
        return policy.Type(text=text, kind=word, fields=_fields(kind))
    if isinstance(kind, ArrayType):
        return policy.Type(text=text, kind=word, element=policy_type(kind.elementType))
    if isinstance(kind, MapType):
        key, value = policy_type(kind.keyType), policy_type(kind.valueType)
        return policy.Type(text=text, kind=word, key=key, value=value)
    return policy.Type(text=text, kind=word)


def _fields(struct: StructType) -> tuple[policy.Field, ...]:
    return tuple(
        policy.Field(name=f.name, type=policy_type(f.dataType), nullable=f.nullable)
        for f in struct.fields
    )


def arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type that an Arrow UDF declared to return `kind` gives back.

    Timestamps carry UTC, which Spark shows in the session's zone. A year-month interval is the
    int32 that `to_months` made of it.

    Raises: SchemaError for calendar intervals and user-defined types.
    """
    if isinstance(kind, (GeographyType, GeometryType)):
        return _spatial(kind)
    if isinstance(kind, DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    if isinstance(kind, StructType):
        return pa.struct(
            [pa.field(f.name, arrow_type(f.dataType), nullable=f.nullable) for f in kind.fields]
        )
    if isinstance(kind, ArrayType):
        element = arrow_type(kind.elementType)
        return pa.list_(pa.field("element", element, nullable=kind.containsNull))
    if isinstance(kind, MapType):
        value = pa.field("value", arrow_type(kind.valueType), nullable=kind.valueContainsNull)
        return pa.map_(pa.field("key", arrow_type(kind.keyType), nullable=False), value)
    if type(kind) not in _ARROW:
        raise SchemaError(
            f"{kind.simpleString()} has no Arrow form that can be protected",
            hint="`keep` or `drop` the column, or cast it in the source",
        )
    return _ARROW[type(kind)]


def _spatial(kind: GeographyType | GeometryType) -> pa.DataType:
    mark = {kind.typeName().encode(): b"true", b"srid": str(kind.srid).encode()}
    return pa.struct(
        [
            pa.field("srid", pa.int32(), nullable=False),
            pa.field("wkb", pa.binary(), nullable=False, metadata=mark),
        ]
    )


def spark_type(text: str) -> DataType:
    """The type that `DataType.json()` wrote, exactly: nullability, collation, metadata.

    Raises: SchemaError where the text is no type.
    """
    try:
        # Spark's public door takes structs alone; a field of one may be of any type.
        field = {"name": "value", "type": json.loads(text), "nullable": True, "metadata": {}}
        return StructField.fromJson(field).dataType
    except Exception:  # noqa: BLE001 (a text that is no type fails in many ways)
        raise SchemaError(
            "the recorded type is not one that Spark knows",
            hint="the catalog was written by another version, or changed by hand",
        ) from None


def loosest(one: DataType, other: DataType) -> DataType:
    """`one`, with nulls allowed wherever `other`, of the same shape, allows them too."""
    if isinstance(one, ArrayType) and isinstance(other, ArrayType):
        element = loosest(one.elementType, other.elementType)
        return ArrayType(element, one.containsNull or other.containsNull)
    if isinstance(one, MapType) and isinstance(other, MapType):
        key, value = loosest(one.keyType, other.keyType), loosest(one.valueType, other.valueType)
        return MapType(key, value, one.valueContainsNull or other.valueContainsNull)
    if isinstance(one, StructType) and isinstance(other, StructType):
        return StructType(
            [
                StructField(
                    ours.name,
                    loosest(ours.dataType, theirs.dataType),
                    ours.nullable or theirs.nullable,
                    ours.metadata,
                )
                for ours, theirs in zip(one.fields, other.fields, strict=True)
            ]
        )
    return one


def delta_refuses(kind: DataType) -> str | None:
    """The type within `kind` that no Delta table holds, or None where it holds all of it.

    Measured on Delta 4.4: intervals of all kinds, `time`, spatial types and collated strings stay
    out, inside containers too, unless they are protected (and so `binary`) or dropped; void stays
    out of containers.
    """
    return _refused(kind, inside=False)


def _refused(kind: DataType, *, inside: bool) -> str | None:
    if isinstance(kind, StructType):
        inner = [field.dataType for field in kind.fields]
    elif isinstance(kind, ArrayType):
        inner = [kind.elementType]
    elif isinstance(kind, MapType):
        inner = [kind.keyType, kind.valueType]
    else:
        outside = _outside_delta(kind) or (inside and isinstance(kind, NullType))
        return kind.simpleString() if outside else None
    return next((found for part in inner if (found := _refused(part, inside=True))), None)


def _outside_delta(kind: DataType) -> bool:
    if isinstance(kind, (CharType, VarcharType, UserDefinedType)):
        return False
    if isinstance(kind, StringType):
        return kind.collation != "UTF8_BINARY"
    return isinstance(
        kind,
        (
            CalendarIntervalType,
            DayTimeIntervalType,
            GeographyType,
            GeometryType,
            TimeType,
            YearMonthIntervalType,
        ),
    )
