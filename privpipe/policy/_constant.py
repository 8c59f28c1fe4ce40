"""The one value that `replace` puts in every value's place, and the types that it fits."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from privpipe.errors import SchemaError
from privpipe.policy._types import Type

__all__ = ["Constant", "constant"]

Constant: TypeAlias = str | int | float | bool | Decimal | date | datetime

_BITS: Mapping[str, int] = MappingProxyType({"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64})
_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?")


def constant(value: str | float, kind: Type) -> Constant:
    """`value`, as a policy writes it, as exactly a value of type `kind`.

    Decimals take a number or its text (a float has too few digits for some); dates and timestamps
    take ISO 8601 text. A `timestamp` needs an offset, or it would be another moment in another
    session's zone, and comes back in UTC; a `timestamp_ntz` must have none.

    Raises: SchemaError where the type cannot hold it exactly. Fractions of `float` and `double`
    are as near as the type has them.
    """
    read = _READERS.get(kind.kind)
    found = None if read is None else read(value, kind)
    if found is None:
        raise SchemaError(
            f"the value does not fit {kind.text}", hint="write one of that very type, or redact"
        )
    return found


def _boolean(value: object, _: Type) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object, kind: Type) -> str | None:
    limit = re.fullmatch(r"(?:var)?char\((\d+)\)", kind.text)
    if not isinstance(value, str) or (limit and len(value) > int(limit[1])):
        return None
    return value


def _integer(value: object, kind: Type) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    bound = 1 << (_BITS[kind.kind] - 1)
    return value if -bound <= value < bound else None


def _double(value: object, _: Type) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        near = float(value)
    except OverflowError:
        return None
    # A whole number is either there or not; a fraction is the nearest, as everywhere.
    return near if math.isfinite(near) and near == value else None


def _float(value: object, kind: Type) -> float | None:
    near = _double(value, kind)
    if near is None:
        return None
    try:
        single: float = struct.unpack("<f", struct.pack("<f", near))[0]
    except OverflowError:
        return None
    lost = (single != near) if near.is_integer() else single == 0
    return None if lost else near


def _decimal(value: object, kind: Type) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = value if isinstance(value, str) else str(value)
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        return None
    found, limits = Decimal(text), re.fullmatch(r"decimal\((\d+), *(\d+)\)", kind.text)
    if limits is None or not found.is_finite():
        return None
    precision, scale = int(limits[1]), int(limits[2])
    _, digits, exponent = found.as_tuple()
    power = int(exponent)
    # Zeros at the end are no digits that have to be held.
    while digits[-1] == 0 and len(digits) > 1:
        digits, power = digits[:-1], power + 1
    whole = len(digits) + power
    fits = found == 0 or (-power <= scale and whole <= precision - scale)
    return found if fits else None


def _date(value: object, _: Type) -> date | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _moment(value: object, kind: Type) -> datetime | None:
    # Six decimals of a second at most: the parser would drop more without a word.
    pattern = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?"
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        return None
    try:
        found = datetime.fromisoformat(value)
        if (kind.kind == "timestamp") != (found.tzinfo is not None):
            return None
        return found.astimezone(UTC) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


_READERS: Mapping[str, Callable[[object, Type], Constant | None]] = MappingProxyType(
    {
        **dict.fromkeys(("string", "char", "varchar"), _text),
        **dict.fromkeys(_BITS, _integer),
        "boolean": _boolean,
        "float": _float,
        "double": _double,
        "decimal": _decimal,
        "date": _date,
        "timestamp": _moment,
        "timestamp_ntz": _moment,
    }
)
