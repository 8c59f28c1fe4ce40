"""Settings under which a coarser value is the value still, since its type is as coarse already."""

from __future__ import annotations

import re
from fractions import Fraction

from privpipe.policy._numbers import exact
from privpipe.policy._settings import Bucket, Generalize, Settings
from privpipe.policy._types import Type

__all__ = ["unchanged"]

_WHOLE = frozenset({"tinyint", "smallint", "int", "bigint"})


def unchanged(kind: Type, settings: Settings | None) -> tuple[str, str] | None:
    """Why no value of this type loses anything, and what to do; None where one may."""
    if not isinstance(settings, Bucket | Generalize):
        return None
    step = _step(kind)
    if step is not None and settings.width is not None and exact(settings.width) <= step:
        text = f"a bucket of width {settings.width} holds one {kind.text} at most, and so tells it"
        return text, "give a larger width"
    if not isinstance(settings, Generalize):
        return None
    if step is not None and settings.round is not None and Fraction(1, 10**settings.round) <= step:
        return f"{settings.round} decimals are all that {kind.text} has", "round to fewer"
    longest = re.fullmatch(r"(?:var)?char\((\d+)\)", kind.text)
    if longest and settings.prefix is not None and settings.prefix >= int(longest[1]):
        return f"{kind.text} has no more than {longest[1]} characters", "give a shorter prefix"
    return None


def _step(kind: Type) -> Fraction | None:
    """The least difference of two values; None where there is none."""
    if kind.kind in _WHOLE:
        return Fraction(1)
    scale = re.fullmatch(r"decimal\(\d+,\s*(\d+)\)", kind.text)
    return None if scale is None else Fraction(1, 10 ** int(scale[1]))
