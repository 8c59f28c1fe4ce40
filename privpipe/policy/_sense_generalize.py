"""What makes no sense in buckets and generalizations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import TypeAlias

from privpipe.policy._numbers import MOST_DECIMALS, decimals
from privpipe.policy._settings import Bucket, Generalize, Network

__all__ = ["bucket", "generalize", "not_finite"]

Said: TypeAlias = tuple[str, str, str | None]

_LARGEST = 10**30  # with six decimals it still leaves room in 38 digits
_WAYS = ("width", "bounds", "to", "prefix", "network", "round", "hierarchy")
_ONE_WAY = f"give one of {', '.join(_WAYS)}"


def bucket(_: str, settings: Bucket) -> Iterator[Said]:
    """Exactly one of `width` and `bounds`, and numbers that can be counted with."""
    if settings.width is None and not settings.bounds:
        yield "", "bucket has neither width nor bounds", "give one of the two"
    elif settings.width is not None and settings.bounds:
        yield "bounds", "given beside width", "give one of the two"
    yield from _intervals(settings)


def generalize(_: str, settings: Generalize) -> Iterator[Said]:
    """Exactly one way (`to: age` may have a `width`), and what belongs to it."""
    ways = _ways(settings)
    if not ways:
        yield "", "generalize has no way to go", _ONE_WAY
    elif len(ways) > 1:
        yield ways[1], f"given beside {ways[0]}", _ONE_WAY
    yield from _intervals(settings)
    yield from _age(settings)
    if settings.level != 1 and settings.hierarchy is None:
        yield "level", "given without hierarchy", "leave it out, or give the hierarchy's file"
    if settings.hierarchy == "":
        yield "hierarchy", "names no file", "give the path of a CSV file"
    if settings.network is not None:
        yield from _network(settings.network)


def not_finite(key: str, number: float) -> Iterator[Said]:
    """A number that is none."""
    if not math.isfinite(number):
        yield key, f"{number} is no number to count with", "write a finite number"


def _ways(settings: Generalize) -> list[str]:
    given = {
        "width": settings.width is not None and settings.to != "age",
        "bounds": bool(settings.bounds),
        "to": settings.to is not None,
        "prefix": settings.prefix is not None,
        "network": settings.network is not None,
        "round": settings.round is not None,
        "hierarchy": settings.hierarchy is not None,
    }
    return [way for way in _WAYS if given[way]]


def _intervals(settings: Bucket | Generalize) -> Iterator[Said]:
    width, start, bounds = settings.width, settings.start, settings.bounds
    if width is not None:
        yield from _countable("width", width)
        if width <= 0:
            yield "width", f"{width} is no width", "write a number above 0"
    yield from _countable("start", start)
    if start != 0 and width is None:
        yield "start", "given without width", "leave it out; bounds begin where they say"
    for bound in bounds:
        yield from _countable("bounds", bound)
    for low, high in pairwise(bounds):
        if not low < high:
            yield "bounds", f"{high} after {low} does not ascend", "write each bound once, in order"


def _countable(key: str, number: float) -> Iterator[Said]:
    if not math.isfinite(number):
        yield from not_finite(key, number)
    elif abs(number) >= _LARGEST:
        yield key, f"{number:.0e} is too large to count with", "stay below 1e+30"
    elif decimals(number) is None:
        yield key, f"{number} has more than {MOST_DECIMALS} decimals", "write it with fewer"


def _age(settings: Generalize) -> Iterator[Said]:
    if settings.to != "age":
        for key in ("on", "top"):
            if getattr(settings, key) is not None:
                yield key, "given without `to: age`", "leave it out"
        return
    if settings.on is None:
        yield (
            "on",
            "ages are counted on a day, and none is given",
            "for example `on: 2026-01-01`; the same day each run keeps ages comparable",
        )
    elif not _is_day(settings.on):
        yield "on", f"{settings.on} is no day of the calendar", "write it as year-month-day"
    for key in ("width", "start"):
        number = getattr(settings, key)
        if isinstance(number, float) and math.isfinite(number) and not number.is_integer():
            yield key, f"{number} is no number of whole years", "write a whole number"


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _network(network: Network) -> Iterator[Said]:
    for key, bits, whole in (("v4", network.v4, 32), ("v6", network.v6, 128)):
        if bits == whole:
            yield f"network.{key}", f"{whole} bits are the whole address", "keep fewer bits"
