"""Structs of a JSON source: no key of theirs is lost, and none is taken for another.

Spark's reader drops a key that the type does not name, and one that differs in case. So the keys of
a column with structs in its type are compared with the type in a pass of their own; its values are
the reader's, which keeps numbers as they are written and refuses what has another shape.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructField, StructType

__all__ = ["holds_struct", "strayed"]

_TEXTS = "array<string>"


def holds_struct(kind: DataType) -> bool:
    """Whether there is a struct in the type."""
    if isinstance(kind, ArrayType):
        return holds_struct(kind.elementType)
    if isinstance(kind, MapType):
        return holds_struct(kind.valueType)
    return isinstance(kind, StructType)


def strayed(text: Column, kind: DataType) -> Column:
    """True where the JSON `text` has not the shape of `kind`: no object where a struct is, or one
    with a key that the struct does not name. Never null."""
    wrong = F.lit(False)
    if not holds_struct(kind):
        return wrong
    if isinstance(kind, ArrayType):
        element = kind.elementType
        items = F.from_json(text, _TEXTS)
        wrong = F.json_array_length(text).isNull()
        wrong |= F.exists(items, lambda item: strayed(item, element))
    elif isinstance(kind, MapType):
        inner = kind.valueType
        values = F.map_values(F.from_json(text, "map<string,string>"))
        wrong = F.json_object_keys(text).isNull() | F.exists(values, lambda v: strayed(v, inner))
    elif isinstance(kind, StructType):
        wrong = _stray_key(text, kind)
    return text.isNotNull() & F.coalesce(wrong, F.lit(False))


def _stray_key(text: Column, kind: StructType) -> Column:
    keys = F.json_object_keys(text)
    names = F.array(*(F.lit(name) for name in kind.names))
    parts = StructType([StructField(field.name, StringType()) for field in kind.fields])
    inside = F.from_json(text, parts)
    wrong = [keys.isNull(), F.exists(keys, lambda key: ~F.array_contains(names, key))]
    wrong += [strayed(inside.getField(field.name), field.dataType) for field in kind.fields]
    return reduce(or_, [F.coalesce(each, F.lit(False)) for each in wrong])
