"""The context of a value: the associated data that binds it to its place.

    pp1:c:<table segments>/<column path segments>:<type>      one column of one table
    pp1:d:<domain>:<family>                                   a domain that tables share

Segments are joined by dots and percent-encode every UTF-8 byte outside `[A-Za-z0-9_-]`, so no name
can pass for another place. `[]` and `{}` are segments of their own, which no name encodes to. The
type comes last and is taken as it is, for nothing follows it.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

from privpipe.arrow import Path, Step
from privpipe.policy._paths import parse_names

__all__ = ["column_context", "domain_context"]

_SAFE = frozenset((string.ascii_letters + string.digits + "_-").encode())


def column_context(table: str, path: Path, type: str) -> str:  # noqa: A002  the word of the format
    """The context of the column at `path`, spelt as the policy spells it.

    `table` is the policy's table name and `type` Spark's `simpleString` of the plaintext type:
    `pp1:c:clinic.patients/visits.[].note:string`. Raises PolicyError for a malformed table name.
    """
    return f"pp1:c:{_join(parse_names(table))}/{_join(path)}:{type}"


def domain_context(domain: str, family: str) -> str:
    """The context of every value of a domain: `pp1:d:email:text`."""
    return f"pp1:d:{_encode(domain)}:{family}"


def _join(steps: Sequence[str | Step]) -> str:
    return ".".join(step.value if isinstance(step, Step) else _encode(step) for step in steps)


def _encode(name: str) -> str:
    # A name that is no Unicode text (a lone surrogate) is a fault that Spark cannot produce.
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in name.encode())
