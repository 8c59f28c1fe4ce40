"""Avro's binary encoding, value by value: for arrays, maps, decimals, and unions of several types.

A schema becomes one function `(bytes, position) -> (value, position)`, made of those of its parts.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, TypeAlias

import numpy as np
import pyarrow.types as pt

from privpipe.errors import EncodingError
from privpipe.kernels._avro_columns import DAY
from privpipe.kernels._avro_schema import Node

__all__ = ["Budget", "Read", "reader"]

Read: TypeAlias = Callable[[bytes, int], tuple[Any, int]]

_EXACT = Context(prec=100)


class Budget:
    """Items that take no bytes, a column: a few bytes could stand for any number of them."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 1 << 20

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise EncodingError("Avro arrays of this column hold too many items of no bytes")


def reader(node: Node, budget: Budget, *, as_json: bool) -> Read:
    """The function that reads a value of the schema, for Arrow or as what JSON can hold."""
    inner = [reader(each, budget, as_json=as_json) for each in node.inner]
    least = sum(each.least for each in node.inner[:1])
    makers: dict[str, Callable[[], Read]] = {
        "null": lambda: _null,
        "boolean": lambda: _boolean,
        "int": lambda: _whole(node, as_json=as_json),
        "long": lambda: _whole(node, as_json=as_json),
        "float": lambda: _float(node, as_json=as_json),
        "double": lambda: _float(node, as_json=as_json),
        "bytes": lambda: _bytes(node, as_json=as_json),
        "fixed": lambda: _bytes(node, as_json=as_json),
        "string": lambda: _string,
        "enum": lambda: _enum(node.names),
        "record": lambda: _record(node.names, inner),
        "union": lambda: _union(inner),
        "array": lambda: _blocks(inner[0], least, budget),
        "map": lambda: _map(_blocks(_pair(inner[0]), 1 + least, budget), as_json=as_json),
    }
    return makers[node.kind]()


def _null(data: bytes, at: int) -> tuple[Any, int]:
    del data
    return None, at


def _boolean(data: bytes, at: int) -> tuple[Any, int]:
    part = _cut(data, at, 1)
    if part > b"\x01":
        raise EncodingError("an Avro boolean is neither 0 nor 1")
    return part == b"\x01", at + 1


def _string(data: bytes, at: int) -> tuple[Any, int]:
    size, at = _length(data, at)
    try:
        return _cut(data, at, size).decode(), at + size
    except UnicodeDecodeError:
        raise EncodingError("an Avro string is not UTF-8") from None


def _whole(node: Node, *, as_json: bool) -> Read:
    bits = 32 if node.kind == "int" else 64
    arrow = node.arrow
    day = DAY[arrow.unit] if not as_json and arrow is not None and pt.is_time(arrow) else None

    def read(data: bytes, at: int) -> tuple[Any, int]:
        number, at = _varint(data, at)
        if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
            raise EncodingError(f"an Avro {node.kind} has more than {bits} bits")
        if day is not None and not 0 <= number < day:
            raise EncodingError("an Avro time is not within a day")
        return number, at

    return read


def _float(node: Node, *, as_json: bool) -> Read:
    size = node.least
    form = "<f" if size == 4 else "<d"

    def read(data: bytes, at: int) -> tuple[Any, int]:
        number = struct.unpack(form, _cut(data, at, size))[0]
        if as_json and not math.isfinite(number):
            # JSON has no such numbers; these are the words that Java writes.
            number = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
        elif as_json and size == 4:
            number = float(str(np.float32(number)))
        return number, at + size

    return read


def _bytes(node: Node, *, as_json: bool) -> Read:
    fixed = node.size if node.kind == "fixed" else None
    arrow = node.arrow
    scale = arrow.scale if arrow is not None and pt.is_decimal(arrow) else None

    def read(data: bytes, at: int) -> tuple[Any, int]:
        size = fixed
        if size is None:
            size, at = _length(data, at)
        part = _cut(data, at, size)
        if as_json:
            return base64.b64encode(part).decode(), at + size
        if scale is None:
            return part, at + size
        if size > 32:
            raise EncodingError("an Avro decimal has more than 256 bits")
        number = Decimal(int.from_bytes(part, "big", signed=True))
        return number.scaleb(-scale, _EXACT), at + size

    return read


def _enum(symbols: tuple[str, ...]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        place, at = _varint(data, at)
        if not 0 <= place < len(symbols):
            raise EncodingError("an Avro enum names no symbol of its schema")
        return symbols[place], at

    return read


def _record(names: tuple[str, ...], inner: list[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        found = {}
        for name, each in zip(names, inner, strict=True):
            found[name], at = each(data, at)
        return found, at

    return read


def _union(inner: list[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        branch, at = _varint(data, at)
        if not 0 <= branch < len(inner):
            raise EncodingError("an Avro union names no branch of its schema")
        return inner[branch](data, at)

    return read


def _pair(value: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        name, at = _string(data, at)
        found, at = value(data, at)
        return (name, found), at

    return read


def _map(pairs: Read, *, as_json: bool) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        found, at = pairs(data, at)
        own = dict(found)
        if len(own) < len(found):
            raise EncodingError("an Avro map has a key twice")
        return (own if as_json else found), at

    return read


def _blocks(item: Read, least: int, budget: Budget) -> Read:
    """Blocks of items until one of none; a count below 0 has the block's size behind it."""

    def read(data: bytes, at: int) -> tuple[Any, int]:
        found: list[Any] = []
        while True:
            count, at = _varint(data, at)
            if count == 0:
                return found, at
            size = None
            if count < 0:
                count = -count
                size, at = _length(data, at)
            # Before the first is read: what is left must have room for so many.
            if count * least > len(data) - at:
                raise _truncated()
            if least == 0:
                budget.spend(count)
            start = at
            for _ in range(count):
                value, at = item(data, at)
                found.append(value)
            if size is not None and at != start + size:
                raise EncodingError("an Avro block has another size than it says")

    return read


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _truncated()
        part = data[at]
        at += 1
        found |= (part & 0x7F) << shift
        if part < 0x80:
            if found >> 64:
                break
            return (found >> 1) ^ -(found & 1), at
    raise EncodingError("an Avro integer has more than 64 bits")


def _length(data: bytes, at: int) -> tuple[int, int]:
    size, at = _varint(data, at)
    if size < 0:
        raise EncodingError("an Avro value has a length below 0")
    return size, at


def _cut(data: bytes, at: int, size: int) -> bytes:
    if size > len(data) - at:
        raise _truncated()
    return data[at : at + size]


def _truncated() -> EncodingError:
    return EncodingError("an Avro value is cut off")
