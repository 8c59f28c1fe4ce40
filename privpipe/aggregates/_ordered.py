"""Values as Spark SQL compares them: NaN is one value above all others, and 0.0 has no sign."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.errors import SchemaError

__all__ = ["check_ordered", "plain"]


def check_ordered(kind: pa.DataType, aggregate: str) -> None:
    """Raises: SchemaError for nested types and others that have no order here."""
    if not (
        pt.is_integer(kind)
        or pt.is_floating(kind)
        or pt.is_decimal(kind)
        or pt.is_boolean(kind)
        or pt.is_temporal(kind)
        or pt.is_string(kind)
        or pt.is_binary(kind)
    ):
        raise SchemaError(
            f"{aggregate} takes values of one piece, not {kind}",
            hint="choose a field of the struct, or explode the array, before",
        )


def plain(values: pa.Array) -> pa.Array:
    """Floats with one zero and one NaN, at any depth; what else there is stays as it is."""
    kind = values.type
    if pt.is_floating(kind):
        return _plain_floats(values)
    if pt.is_struct(kind) and _has_floats(kind):
        children = [plain(values.field(i)) for i in range(kind.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=values.is_null())
    if pt.is_list(kind) and _has_floats(kind):
        lists = pa.ListArray.from_arrays(
            _offsets(values), plain(values.flatten()), mask=values.is_null()
        )
        return lists.cast(kind)
    return values


def _plain_floats(values: pa.Array) -> pa.Array:
    column = values.fill_null(0).to_numpy(zero_copy_only=False)
    odd = np.isnan(column) | (column == 0) & np.signbit(column)
    if not odd.any():
        return values
    made = np.where(np.isnan(column), column.dtype.type("nan"), column + column.dtype.type(0))
    mask = values.is_null().to_numpy(zero_copy_only=False)
    return pa.array(made, type=values.type, mask=mask, from_pandas=False)


def _has_floats(kind: pa.DataType) -> bool:
    if pt.is_nested(kind):
        return any(_has_floats(kind.field(i).type) for i in range(kind.num_fields))
    return bool(pt.is_floating(kind))


def _offsets(values: pa.Array) -> pa.Array:
    lengths = np.asarray(values.value_lengths().fill_null(0))
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
