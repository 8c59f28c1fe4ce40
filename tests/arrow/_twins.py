"""Slow scalar twins of the arrow room, and the values, types and layouts to try them on.

Values are plain: int for whatever is counted (dates, times, durations), Decimal, float, text and
bytes, a dict for a struct, a list for a list, pairs for a map.
"""

from __future__ import annotations

import decimal
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt
from hypothesis import strategies as st

from privpipe.arrow import Path, Step

DECIMALS = decimal.Context(prec=60)

TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
BLOBS = [pa.binary(), pa.large_binary(), pa.binary_view()]
COUNTS = {  # type -> bits of the number it holds
    pa.int8(): 8,
    pa.int16(): 16,
    pa.int32(): 32,
    pa.int64(): 64,
    pa.date32(): 32,
    pa.timestamp("us"): 64,
    pa.timestamp("us", "Europe/Berlin"): 64,
    pa.duration("us"): 64,
}


def _decimals(precision: int, scale: int) -> st.SearchStrategy[decimal.Decimal]:
    most = 10**precision - 1
    return st.integers(-most, most).map(lambda n: decimal.Decimal(n).scaleb(-scale, DECIMALS))


PLAIN: dict[pa.DataType, st.SearchStrategy[Any]] = {
    **{kind: st.text(max_size=20) for kind in TEXTS},
    **{kind: st.binary(max_size=20) for kind in BLOBS},
    **{kind: st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) for kind, bits in COUNTS.items()},
    pa.binary(3): st.binary(min_size=3, max_size=3),
    pa.binary(0): st.just(b""),
    pa.bool_(): st.booleans(),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.decimal128(9, 2): _decimals(9, 2),
    pa.decimal128(38, 10): _decimals(38, 10),
    pa.time64("ns"): st.integers(0, 86_400 * 10**9 - 1),
}
DICTIONARIES = {
    pa.dictionary(pa.int32(), pa.string()): PLAIN[pa.string()],
    pa.dictionary(pa.int8(), pa.large_binary()): PLAIN[pa.large_binary()],
    pa.dictionary(pa.int16(), pa.int32()): PLAIN[pa.int32()],
    pa.dictionary(pa.int32(), pa.binary(3)): PLAIN[pa.binary(3)],
}
SCALARS = PLAIN | DICTIONARIES


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of any type, never null at the top."""
    if pt.is_struct(kind):
        return st.fixed_dictionaries({field.name: cells_of(field) for field in kind})
    if pt.is_list(kind) or pt.is_large_list(kind):
        return st.lists(cells_of(kind.value_field), max_size=4)
    if pt.is_map(kind):
        return st.lists(st.tuples(values(kind.key_type), cells_of(kind.item_field)), max_size=4)
    return SCALARS[kind]


def cells_of(field: pa.Field) -> st.SearchStrategy[Any]:
    return st.none() | values(field.type) if field.nullable else values(field.type)


def _fields(kinds: st.SearchStrategy[pa.DataType], name: str) -> st.SearchStrategy[pa.Field]:
    return st.builds(lambda kind, null: pa.field(name, kind, nullable=null), kinds, st.booleans())


def _nested(kinds: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    structs = st.integers(0, 3).flatmap(
        lambda n: st.tuples(*(_fields(kinds, name) for name in "abc"[:n])).map(pa.struct)
    )
    keys = st.sampled_from([pa.string(), pa.int32()]).map(lambda k: pa.field("key", k, False))
    return (
        structs
        | _fields(kinds, "element").map(pa.list_)
        | _fields(kinds, "item").map(pa.large_list)
        | st.builds(pa.map_, keys, _fields(kinds, "value"))
    )


TYPES = st.recursive(st.sampled_from(list(SCALARS)), _nested, max_leaves=5)


@st.composite
def columns(
    draw: st.DrawFn, kinds: st.SearchStrategy[pa.DataType] = TYPES
) -> tuple[pa.Array | pa.ChunkedArray, list[Any], bool]:
    """A column, the plain values that it holds, and whether junk lies beneath its nulls.

    It comes sliced out of a longer one, or in chunks.
    """
    kind = draw(kinds)
    plain = draw(st.lists(st.none() | values(kind), max_size=8))
    # beneath a null parent, pyarrow's own builder gives a dictionary's row a word that is not there
    junk = draw(st.booleans()) or "dictionary" in str(kind)
    whole = laid(plain, kind) if junk else pa.array(plain, kind)
    first = draw(st.integers(0, len(plain)))
    last = draw(st.integers(first, len(plain)))
    if draw(st.booleans()):
        return whole[first:last], plain[first:last], junk
    parts = [whole[:first], whole[first:last], whole[last:]]
    return pa.chunked_array(parts, type=kind), plain, junk


def laid(plain: list[Any], kind: pa.DataType) -> pa.Array:
    """The values as a column with junk beneath each null."""
    held = [value is not None for value in plain]
    mask = None if all(held) else pa.py_buffer(np.packbits(held, bitorder="little"))
    full = [_junk(kind) if value is None else value for value in plain]
    if pt.is_dictionary(kind) or kind in (pa.string_view(), pa.binary_view()):
        return pa.array(plain, kind)  # these are laid out in other ways
    if pt.is_struct(kind):
        children = [laid([row[field.name] for row in full], field.type) for field in kind]
        return pa.Array.from_buffers(kind, len(full), [mask], children=children)
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_map(kind):
        items = [item for row in full for item in row]
        if pt.is_map(kind):
            entries = pa.struct([kind.key_field, kind.item_field])
            pairs = [dict(zip([f.name for f in entries], pair, strict=True)) for pair in items]
            child = laid(pairs, entries)
        else:
            child = laid(items, kind.value_type)
        width = np.int64 if pt.is_large_list(kind) else np.int32
        ends = np.cumsum([0, *(len(row) for row in full)]).astype(width)
        return pa.Array.from_buffers(kind, len(full), [mask, pa.py_buffer(ends)], children=[child])
    return pa.Array.from_buffers(kind, len(full), [mask, *pa.array(full, kind).buffers()[1:]])


def _junk(kind: pa.DataType) -> Any:
    if pt.is_struct(kind):
        return {field.name: _junk(field.type) for field in kind}
    if pt.is_list(kind) or pt.is_large_list(kind):
        return [_junk(kind.value_type)]
    if pt.is_map(kind):
        return [(_junk(kind.key_type), _junk(kind.item_type))]
    return _scalar_junk(kind)


def _scalar_junk(kind: pa.DataType) -> Any:
    if pt.is_dictionary(kind):
        kind = kind.value_type
    if kind in TEXTS:
        return "junk"
    if kind in BLOBS:
        return b"junk"
    if pt.is_fixed_size_binary(kind):
        return b"junk"[: kind.byte_width]
    if pt.is_boolean(kind):
        return True
    return decimal.Decimal(7) if pt.is_decimal(kind) else 7


def canonical(value: Any, kind: pa.DataType) -> bytes | None:
    """The bytes of one value, as the format is written down; None for null."""
    if value is None:
        return None
    if pt.is_dictionary(kind):
        return canonical(value, kind.value_type)
    if pt.is_struct(kind):
        return _tuple([canonical(value[field.name], field.type) for field in kind])
    if pt.is_list(kind) or pt.is_large_list(kind):
        items = [canonical(item, kind.value_type) for item in value]
        return struct.pack(">I", len(items)) + _tuple(items)
    if pt.is_map(kind):
        pair = (kind.key_type, kind.item_type)
        items = [canonical(x, t) for entry in value for x, t in zip(entry, pair, strict=True)]
        return struct.pack(">I", len(items) // 2) + _tuple(items)
    return _scalar(value, kind)


def _tuple(items: list[bytes | None]) -> bytes:
    lengths = (0xFFFFFFFF if item is None else len(item) for item in items)
    return b"".join(struct.pack(">I", n) for n in lengths) + b"".join(x or b"" for x in items)


def _scalar(value: Any, kind: pa.DataType) -> bytes:
    if kind in TEXTS:
        return bytes(value, "utf-8")
    if kind in BLOBS or pt.is_fixed_size_binary(kind):
        return bytes(value)
    if pt.is_boolean(kind):
        return b"\x01" if value else b"\x00"
    if pt.is_floating(kind):
        return struct.pack(">f" if pt.is_float32(kind) else ">d", value)
    if pt.is_decimal(kind):
        return int(value.scaleb(kind.scale, DECIMALS)).to_bytes(16, "big", signed=True)
    return struct.pack(">q", value)


def paths(kind: pa.DataType) -> list[Path]:
    """Every path in a type, to leaves and to what holds them."""
    below: list[tuple[str | Step, pa.DataType]] = []
    if pt.is_struct(kind):
        below = [(field.name, field.type) for field in kind]
    elif pt.is_map(kind):
        below = [(Step.VALUES, kind.item_type)]
    elif pt.is_list(kind) or pt.is_large_list(kind):
        below = [(Step.ELEMENT, kind.value_type)]
    return [(), *((step, *path) for step, child in below for path in paths(child))]


def changed(value: Any, path: Path, fn: Callable[[Any], Any]) -> Any:
    """The value with `fn` done at the path; what is null stays so."""
    if value is None:
        return None
    if not path:
        return fn(value)
    step, rest = path[0], path[1:]
    if step is Step.ELEMENT:
        return [changed(item, rest, fn) for item in value]
    if step is Step.VALUES:
        return [(key, changed(item, rest, fn)) for key, item in value]
    return {**value, step: changed(value[step], rest, fn)}


def at(kind: pa.DataType, path: Path) -> pa.DataType:
    """The type at a path."""
    for step in path:
        named = {Step.ELEMENT: "value_type", Step.VALUES: "item_type"}
        kind = getattr(kind, named[step]) if isinstance(step, Step) else kind.field(step).type
    return kind


def retyped(kind: pa.DataType, path: Path, new: pa.DataType) -> pa.DataType:
    """The type with another one at the path, and all else as it was."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if step is Step.VALUES:
        field = kind.item_field.with_type(retyped(kind.item_type, rest, new))
        return pa.map_(kind.key_field, field, keys_sorted=kind.keys_sorted)
    if step is Step.ELEMENT:
        field = kind.value_field.with_type(retyped(kind.value_type, rest, new))
        return pa.large_list(field) if pt.is_large_list(kind) else pa.list_(field)
    return pa.struct(f.with_type(retyped(f.type, rest, new)) if f.name == step else f for f in kind)
