"""Exact numbers: what a policy wrote, as a fraction, and the doubles on either side of one.

A float is taken as the decimal that Python prints for it: 0.1 is a tenth, and not the double
beside it, since a tenth is what was written.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction

from privpipe.errors import BudgetError

__all__ = ["above", "below", "parse_exact", "rounded_up", "shown"]

_WRITTEN = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?|[+-]?\d+/\d+", re.ASCII)
_LONGEST = 400  # a fraction of a ledger's record is shorter, and a longer text is an attack

Written = str | int | float | Decimal | Fraction


def parse_exact(value: Written, where: str | None = None) -> Fraction:
    """The number that was written: an int, a decimal as text or float, or `numerator/denominator`.

    Raises: `BudgetError` for a bool, NaN, an infinity, and text that is no number.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise _unreadable(type(value).__name__, where)
    text = repr(value) if isinstance(value, float) else str(value).strip()
    if len(text) > _LONGEST or _WRITTEN.fullmatch(text) is None:
        raise _unreadable(repr(text[:40]), where)
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise _unreadable(repr(text[:40]), where) from None


def _unreadable(found: str, where: str | None) -> BudgetError:
    return BudgetError(
        f"{found} is no number",
        where=where,
        hint="an integer, a decimal such as 0.1 or 1e-6, or a fraction such as 1/10",
    )


def above(value: Fraction) -> Fraction:
    """The least double that is not below `value`, exactly; `value` lies among the doubles."""
    near = _double(value)
    return Fraction(near if Fraction(near) >= value else math.nextafter(near, math.inf))


def below(value: Fraction) -> Fraction:
    """The greatest double that is not above `value`, exactly; `value` lies among the doubles."""
    near = _double(value)
    return Fraction(near if Fraction(near) <= value else math.nextafter(near, -math.inf))


def _double(value: Fraction) -> float:
    try:
        near = float(value)
    except OverflowError:
        near = math.inf
    if abs(near) > 1e300:
        raise BudgetError("a number that no double comes near")
    return near


def rounded_up(value: float, places: int = 9) -> Fraction:
    """`value`, a result of double arithmetic, as a decimal that is certainly not below it."""
    grid = 10**places
    return Fraction(math.ceil(Fraction(value) * grid) + 1, grid)


def shown(value: Fraction) -> str:
    """For people: the decimal where it is short and exact, else six digits."""
    text = f"{float(value):.6g}"
    return text if Fraction(text) == value else f"about {text}"
