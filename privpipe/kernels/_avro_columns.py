"""Avro's binary encoding, many values of one flat schema at once: no loop over rows.

Flat is what has a fixed sequence of parts: primitives, records of flat types, a flat type or null.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from privpipe.arrow import build
from privpipe.errors import EncodingError
from privpipe.kernels._avro_schema import Node
from privpipe.kernels._base64 import flatten
from privpipe.kernels._pack import Bytes, Ints, Slices, windows

__all__ = ["DAY", "is_flat", "read_flat"]

_WHOLE = {"int": pa.int32(), "long": pa.int64()}
DAY = {"ms": 86_400_000, "us": 86_400_000_000}
"""What a time of day is below, in its unit"""


def is_flat(node: Node) -> bool:
    """Whether `read_flat` reads it."""
    if node.kind in ("array", "map") or node.arrow is None or pt.is_decimal(node.arrow):
        return False
    if node.kind == "union" and len(node.inner) != 2:
        return False
    if node.kind == "record" and not node.inner:
        return False
    return all(is_flat(each) for each in node.inner)


def read_flat(node: Node, rows: Slices) -> pa.Array:
    """The values of rows, at least one; EncodingError where one is not of the schema exactly."""
    ends = rows.starts + rows.lengths
    values, at = _read(node, rows.data, rows.starts, ends)
    if (at != ends).any():
        raise EncodingError("bytes are left behind an Avro value")
    return values


def _read(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    """The values at `at`, and where each ends."""
    return _READERS[node.kind](node, data, at, ends)


def _null(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    del node, data, ends
    return pa.nulls(len(at)), at


def _boolean(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    del node
    _reach(at + 1, ends)
    bits = data[at]
    if (bits > 1).any():
        raise EncodingError("an Avro boolean is neither 0 nor 1")
    return pa.array(bits == 1), at + 1


def _float(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    size = node.least
    _reach(at + size, ends)
    return pa.array(windows(data, size)[at].view(f"<f{size}")), at + size


def _fixed(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    _reach(at + node.size, ends)
    return _cells(data, at, np.full_like(at, node.size)), at + node.size


def _enum(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    places, at = _varints(data, at, ends)
    if ((places < 0) | (places >= len(node.names))).any():
        raise EncodingError("an Avro enum names no symbol of its schema")
    return pa.array(node.names, pa.string()).take(pa.array(places)), at


def _whole(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    numbers, at = _varints(data, at, ends)
    if node.kind == "int" and ((numbers < -(2**31)) | (numbers >= 2**31)).any():
        raise EncodingError("an Avro int has more than 32 bits")
    arrow = node.arrow
    day = DAY[arrow.unit] if arrow is not None and pt.is_time(arrow) else None
    if day is not None and ((numbers < 0) | (numbers >= day)).any():
        raise EncodingError("an Avro time is not within a day")
    return pa.array(numbers).cast(_WHOLE[node.kind]).view(arrow), at


def _text(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    lengths, at = _varints(data, at, ends)
    if (lengths < 0).any():
        raise EncodingError("an Avro value has a length below 0")
    # Not `at + lengths`, which may overflow.
    if (lengths > ends - at).any():
        raise _truncated()
    values = _cells(data, at, lengths)
    if node.kind == "string":
        try:
            values = values.cast(pa.string() if values.type == pa.binary() else pa.large_string())
        except pa.ArrowInvalid:
            raise EncodingError("an Avro string is not UTF-8") from None
    return values, at + lengths


def _record(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    columns = []
    for each in node.inner:
        column, at = _read(each, data, at, ends)
        columns.append(column)
    return pa.StructArray.from_arrays(columns, list(node.names)), at


def _nullable(node: Node, data: Bytes, at: Ints, ends: Ints) -> tuple[pa.Array, Ints]:
    branches, at = _varints(data, at, ends)
    if ((branches < 0) | (branches > 1)).any():
        raise EncodingError("an Avro union names no branch of its schema")
    nulls = 0 if node.inner[0].kind == "null" else 1
    given = np.flatnonzero(branches != nulls)
    values, after = _read(node.inner[1 - nulls], data, at[given], ends[given])
    at = at.copy()
    at[given] = after
    if len(given) == len(at):
        return values, at
    places = np.zeros(len(at), dtype=np.int64)
    places[given] = np.arange(len(given))
    return values.take(pa.array(places, mask=branches == nulls)), at


def _cells(data: Bytes, starts: Ints, lengths: Ints) -> pa.Array:
    rows = Slices(data=data, starts=starts, lengths=lengths)
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return build(flatten(rows), offsets, None)


def _varints(data: Bytes, at: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Zigzag integers of one to ten bytes."""
    at = at.copy()
    found: npt.NDArray[np.uint64] = np.zeros(len(at), dtype=np.uint64)
    active = np.arange(len(at))
    for shift in range(0, 70, 7):
        _reach(at[active] + 1, ends[active])
        part = data[at[active]]
        if shift == 63 and (part > 1).any():
            break
        at[active] += 1
        found[active] |= (part & np.uint8(0x7F)).astype(np.uint64) << np.uint64(shift)
        active = active[part >= 0x80]
        if len(active) == 0:
            one = np.uint64(1)
            return ((found >> one) ^ (np.uint64(0) - (found & one))).view(np.int64), at
    raise EncodingError("an Avro integer has more than 64 bits")


def _reach(at: Ints, ends: Ints) -> None:
    if (at > ends).any():
        raise _truncated()


def _truncated() -> EncodingError:
    return EncodingError("an Avro value is cut off")


_READERS = {
    "null": _null,
    "boolean": _boolean,
    "int": _whole,
    "long": _whole,
    "float": _float,
    "double": _float,
    "bytes": _text,
    "string": _text,
    "fixed": _fixed,
    "enum": _enum,
    "record": _record,
    "union": _nullable,
}
