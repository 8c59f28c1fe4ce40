"""Values that Kryptonite serialised by Avro, each with its own schema before it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.arrow import build
from privpipe.errors import EncodingError
from privpipe.kernels._avro_columns import is_flat, read_flat
from privpipe.kernels._avro_schema import LONGEST_SCHEMA, Node, parse_schema
from privpipe.kernels._avro_values import Budget, reader
from privpipe.kernels._base64 import flatten
from privpipe.kernels._column import Column, take_in
from privpipe.kernels._pack import Bytes, Ints, Slices, windows

__all__ = ["read_avro"]

_WIDER = {
    (pa.int32(), pa.int64()),
    (pa.float32(), pa.float64()),
    (pa.string(), pa.large_string()),
    (pa.binary(), pa.large_binary()),
    (pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC")),
    (pa.timestamp("ms"), pa.timestamp("us")),
    (pa.time32("ms"), pa.time64("us")),
    (pa.time32("ms"), pa.time64("ns")),
    (pa.time64("us"), pa.time64("ns")),
}


def read_avro(
    values: pa.Array, kind: pa.DataType | None = None, *, as_json: bool = False
) -> pa.Array:
    """The values that k2 fields open to: `u32 length ‖ schema as JSON ‖ Avro's binary encoding`.

    Kryptonite derives a schema from each value, so that one column may have several. Those that
    differ in names or in nulls alone (an empty array is one of nulls) become one type; the rest
    needs a `kind` that holds them all, or `as_json`, which gives each value as JSON text, bytes in
    it as base64 and dates and times as Avro's numbers, as Kryptonite's own JSON has them.

    Input: a string, binary, large, view, fixed-size binary or dictionary array.
    Output: an array of the same length, of the type that its schema has in Arrow: null, bool,
        int32, int64, float32, float64, string (also of an enum), binary (also of fixed), list, map
        with string keys, struct, date32, time32, time64, timestamp (in UTC, or `local` without a
        zone), decimal; or `kind`, or string.
    Nulls: stay null; a value that is Avro's null becomes null.
    Associated data: none.
    Reveals: these are plaintexts.
    Limits: a schema has at most 64 KiB, 32 levels and 1,024 types, and none that holds itself; a
        column's arrays at most 2^20 items of no bytes. Arrays, maps and decimals are read in a loop
        over the values. Flink's `TIMESTAMP` is written by Kryptonite as Avro's timestamp in UTC,
        and its `TIMESTAMP_LTZ` as a local one: each the other way round, and as it stands here.
    Raises: EncodingError for what is cut off, has bytes left over, is not of its schema, or has no
        one type; SchemaError for an array of another type.
    Source: Apache Avro 1.12, specification, "Binary Encoding"; hpgrahsl/kryptonite-for-kafka,
        `AvroSerdeProcessor`.

    >>> import pyarrow as pa
    >>> schema = b'"string"'
    >>> value = len(schema).to_bytes(4, "big") + schema + b"\\x06Ada"
    >>> read_avro(pa.array([value, None])).to_pylist()
    ['Ada', None]
    """
    column = take_in(values, b"")
    groups, budget = _groups(column.rows), Budget()
    if as_json:
        return _spread(column, [(rows, _as_json(node, own, budget)) for node, rows, own in groups])
    for node, _, _ in groups:
        if node.arrow is None:
            raise EncodingError(
                "a value's Avro schema has a union of several types, which no column holds",
                hint="ask for JSON text",
            )
    wanted = _wanted([node for node, _, _ in groups], kind)
    found = [(rows, _cast(_as_arrow(node, own, budget), wanted)) for node, rows, own in groups]
    return _spread(column, found, wanted)


def _groups(rows: Slices) -> list[tuple[Node, Ints, Slices]]:
    """The rows of each distinct schema: which they are, and what stands behind it."""
    if len(rows) == 0:
        return []
    if (rows.lengths < 4).any():
        raise EncodingError("an Avro value is too short for the length of a schema")
    sizes = windows(rows.data, 4)[rows.starts].view(">u4").astype(np.int64)
    if (sizes > rows.lengths - 4).any():
        raise EncodingError("an Avro value is shorter than its schema: it may be cut off")
    if int(sizes.max()) > LONGEST_SCHEMA:
        raise EncodingError("a value's Avro schema has more than 64 KiB")
    schemas = Slices(data=rows.data, starts=rows.starts + 4, lengths=sizes)
    inner = Slices(data=rows.data, starts=schemas.starts + sizes, lengths=rows.lengths - 4 - sizes)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    words = build(_together(schemas), offsets, None).dictionary_encode()
    codes = words.indices.to_numpy()
    found = []
    for code, schema in enumerate(words.dictionary.to_pylist()):
        own = np.arange(len(rows)) if len(words.dictionary) == 1 else np.flatnonzero(codes == code)
        found.append((parse_schema(schema), own, inner.only(own)))
    return found


def _together(schemas: Slices) -> Bytes:
    """The schemas one behind the other: in one move where they are of one length."""
    size = int(schemas.lengths[0])
    if size and (schemas.lengths == size).all():
        return windows(schemas.data, size)[schemas.starts].view(np.uint8)
    return flatten(schemas)


def _as_arrow(node: Node, rows: Slices, budget: Budget) -> pa.Array:
    if is_flat(node):
        return read_flat(node, rows)
    found = _read_all(node, rows, budget, as_json=False)
    try:
        return pa.array(found, node.arrow)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        raise EncodingError("an Avro value is beyond what its schema's type holds") from None


def _as_json(node: Node, rows: Slices, budget: Budget) -> pa.Array:
    found = _read_all(node, rows, budget, as_json=True)
    texts = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in found]
    return pa.array(texts, pa.string())


def _read_all(node: Node, rows: Slices, budget: Budget, *, as_json: bool) -> list[object]:
    read, found = reader(node, budget, as_json=as_json), []
    for view in rows.views():
        data = bytes(view)
        value, at = read(data, 0)
        if at != len(data):
            raise EncodingError("bytes are left behind an Avro value")
        found.append(value)
    return found


def _wanted(nodes: list[Node], kind: pa.DataType | None) -> pa.DataType:
    """The type of the column; EncodingError, naming the kinds of schemas, where there is none."""
    if kind is not None:
        if all(_fits(node.arrow, kind) for node in nodes):
            return kind
        raise EncodingError(f"values of Avro's {_kinds(nodes)} in a column of type {kind}")
    wanted = pa.null()
    for node in nodes:
        wanted = _unify(wanted, node.arrow)
        if wanted is None:
            raise EncodingError(
                f"values of several types in one column: Avro's {_kinds(nodes)}",
                hint="name a type that holds them all, or ask for JSON text",
            )
    return wanted


def _kinds(nodes: list[Node]) -> str:
    return ", ".join(sorted({node.kind for node in nodes}))


def _unify(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type of both, which may differ where one has nothing but nulls."""
    if one == other or pt.is_null(other):
        return one
    if pt.is_null(one):
        return other
    mine, its = _inner(one), _inner(other)
    if one.id != other.id or not mine or [each.name for each in mine] != [x.name for x in its]:
        return None
    kinds = [_unify(each.type, x.type) for each, x in zip(mine, its, strict=True)]
    return None if None in kinds else _nested(one, kinds)


def _nested(like: pa.DataType, kinds: list[pa.DataType]) -> pa.DataType:
    if pt.is_map(like):
        return pa.map_(pa.string(), kinds[0].field(1).type)
    if pt.is_list(like):
        return pa.list_(kinds[0])
    names = [each.name for each in _inner(like)]
    return pa.struct(list(zip(names, kinds, strict=True)))


def _inner(kind: pa.DataType) -> list[pa.Field]:
    return [kind.field(at) for at in range(kind.num_fields)]


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of one type is one of the other, with nothing read into it."""
    if found == wanted or pt.is_null(found) or (found, wanted) in _WIDER:
        return True
    if pt.is_decimal(found) and pt.is_decimal(wanted):
        return bool(found.scale == wanted.scale and found.precision <= wanted.precision)
    if pt.is_list(found) and (pt.is_list(wanted) or pt.is_large_list(wanted)):
        return _fits(found.value_type, wanted.value_type)
    if pt.is_map(found) and pt.is_map(wanted):
        return pt.is_string(wanted.key_type) and _fits(found.item_type, wanted.item_type)
    if pt.is_struct(found) and pt.is_struct(wanted):
        fields = {field.name: field.type for field in wanted}
        return all(
            field.name in fields and _fits(field.type, fields[field.name]) for field in found
        )
    return False


def _cast(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if values.type == wanted:
        return values
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise EncodingError(f"an Avro value does not fit the type {wanted}") from None


def _spread(
    column: Column, found: list[tuple[Ints, pa.Array]], kind: pa.DataType | None = None
) -> pa.Array:
    """The groups' values, each in its row; nulls between them."""
    if not found:
        return pa.nulls(column.count, pa.string() if kind is None else kind)
    if len(found) == 1 and column.valid is None:
        return found[0][1]
    own = np.empty(len(column.rows), dtype=np.int64)
    own[np.concatenate([rows for rows, _ in found])] = np.arange(len(own))
    places = np.zeros(column.count, dtype=np.int64)
    places[slice(None) if column.valid is None else column.valid] = own
    nulls = None if column.valid is None else ~column.valid
    return pa.concat_arrays([values for _, values in found]).take(pa.array(places, mask=nulls))
