"""The context of a value: the associated data that binds it to its place.

    pp1:c:<table segments>/<column path segments>:<type>      one column of one table
    pp1:d:<domain>:<family>                                   a domain that tables share
    pp1:s:<table segments> or pp1:s::<domain>                 the subjects of shifted dates

Segments are joined by dots and percent-encode every UTF-8 byte outside `[A-Za-z0-9_-]`, so no name
can pass for another place. `[]` and `{}` are segments of their own, which no name encodes to. The
type comes last and is taken as it is, for nothing follows it.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from urllib.parse import unquote

from privpipe.arrow import Path, Step
from privpipe.policy._paths import parse_names

__all__ = [
    "OWN_CONTEXT",
    "column_context",
    "domain_context",
    "is_context_of",
    "subject_context",
]

OWN_CONTEXT = "pp1:"
"""What privpipe's own contexts begin with; a `context:` in a policy may not."""

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


def subject_context(table: str, domain: str | None) -> str:
    """What a subject's shift is drawn for: all dates of the table, `pp1:s:clinic.patients`, or of
    the tables of a domain, `pp1:s::patient`. A table's name is never empty."""
    if domain is not None:
        return f"pp1:s::{_encode(domain)}"
    return f"pp1:s:{_join(parse_names(table))}"


def is_context_of(
    context: str,
    *,
    table: str,
    path: Path,
    type: str,  # noqa: A002  the word of the format
    domain: str | None,
    family: str | None,
) -> bool:
    """Whether a column may have this context: its domain's, its place's, or a policy's own text.

    Names are compared without regard to case: a context has the policy's spelling, while the path
    may have the table's.
    """
    if domain is not None:
        return context == domain_context(domain, family or "")
    if not context.startswith(OWN_CONTEXT):
        return True
    place, end = column_context(table, path, type), f":{type}"
    if not context.endswith(end):
        return False
    segments, ours = (text[: -len(end)].replace("/", "./.").split(".") for text in (context, place))
    return len(segments) == len(ours) and all(
        one == other or (not {one, other} & _STEPS and _folded(one) == _folded(other))
        for one, other in zip(segments, ours, strict=True)
    )


_STEPS = frozenset(step.value for step in Step)


def _folded(segment: str) -> str:
    return unquote(segment).lower()


def _join(steps: Sequence[str | Step]) -> str:
    return ".".join(step.value if isinstance(step, Step) else _encode(step) for step in steps)


def _encode(name: str) -> str:
    # A name that is no Unicode text (a lone surrogate) is a fault that Spark cannot produce.
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in name.encode())
