"""The `aggregates:` of a spec: what each figure is of, and within which bounds."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import cast

import numpy as np

from privpipe.documents import Faults, Node, quote
from privpipe.dp import Bounds, FixedPoint, Moments
from privpipe.errors import BudgetError, FixedOverflow
from privpipe.features._figure_nodes import figure_at, figures_of
from privpipe.features._model import EXACT_ONLY, KINDS, Aggregate, Kind
from privpipe.features._nodes import Keys, exact_at, exact_of, unknown_keys, whole_at

__all__ = ["BARE", "column_at", "edges_at", "ranks_at", "read_aggregates"]

BARE = ("count", "units")
_CLAMPED = ("sum", "mean", "variance")
_MOST_BINS = 10_000
_KEYS = {
    "count": ("weight",),
    "units": ("weight",),
    "distinct": ("weight",),
    "sum": ("low", "high", "step", "weight"),
    "mean": ("low", "high", "step", "weight"),
    "variance": ("low", "high", "step", "weight"),
    "quantile": ("low", "high", "bins", "edges", "at", "weight"),
    "histogram": ("low", "high", "bins", "edges", "weight"),
}
_EXAMPLE = "for example `visits: count`, or `cost: {sum: cost, low: 0, high: 1000}`"


def read_aggregates(keys: Keys, faults: Faults) -> tuple[Aggregate, ...]:
    """The figures, in the file's order; what is wrong with one is noted, and leaves it out."""
    return figures_of(keys, _aggregate, faults, example=_EXAMPLE)


def _aggregate(name: str, line: int, node: Node, faults: Faults) -> Aggregate | None:
    place = f"aggregates.{name}"
    words = {node.text: line} if node.kind == "text" else {key: at for key, at, _ in node.entries}
    exact = [word for word in words if word in EXACT_ONLY]
    if exact and not any(word in KINDS for word in words):
        _exact_only(exact[0], words[exact[0]], place, faults)
        return None
    read = figure_at(name, line, node, faults, kinds=KINDS, bare=BARE, example=_EXAMPLE)
    if read is None:
        return None
    kind, keys = read
    if not keys:
        return Aggregate(name=name, kind=cast(Kind, kind), line=line)
    return _figure(name, kind, line, keys, place, faults)


def _exact_only(kind: str, line: int, place: str, faults: Faults) -> None:
    text = f"{kind} is of single rows, and no noise that hides one leaves anything of it"
    hint = (
        "a quantile, or a histogram; or `privacy: {k_anonymity: 10}`, which is exact, and the "
        "weaker thing"
    )
    faults.add(line, place, text, hint)


def _figure(
    name: str, kind: str, line: int, keys: Keys, place: str, faults: Faults
) -> Aggregate | None:
    before = len(faults.found)
    unknown_keys(keys, (kind, *_KEYS[kind]), place, faults)
    column = column_at(kind, keys, place, faults)
    weight = exact_at(keys, "weight", place, faults, default=Fraction(1))
    if weight is not None and weight <= 0:
        faults.add(line, f"{place}.weight", "a weight is above 0")
    fixed = _clamps(kind, line, keys, place, faults) if kind in _CLAMPED else None
    binned = kind in ("quantile", "histogram")
    edges = edges_at(line, keys, place, faults) if binned else ()
    at, several = ranks_at(line, keys, place, faults) if kind == "quantile" else ((), False)
    if len(faults.found) > before or weight is None:
        return None
    return Aggregate(
        name=name,
        kind=cast(Kind, kind),
        column=column,
        fixed=fixed,
        edges=edges,
        at=at,
        several=several or kind == "histogram",
        weight=weight,
        line=line,
    )


def column_at(kind: str, keys: Keys, place: str, faults: Faults) -> str | None:
    """The column that a figure is of; None for one that is of no column."""
    line, node = keys[kind]
    if kind in BARE:
        if node.kind != "nothing":
            text = f"{kind} takes no column, and found {node.describe()}"
            faults.add(line, f"{place}.{kind}", text, f"write `{kind}:` alone")
        return None
    if node.kind != "text" or not node.text:
        faults.add(line, f"{place}.{kind}", f"found {node.describe()}; wanted a column's name")
        return None
    return node.text


def _clamps(kind: str, line: int, keys: Keys, place: str, faults: Faults) -> FixedPoint | None:
    before = len(faults.found)
    low, high = (exact_at(keys, key, place, faults) for key in ("low", "high"))
    step = exact_at(keys, "step", place, faults, default=Fraction(1))
    if low is None or high is None or step is None or len(faults.found) > before:
        return None
    try:
        fixed = FixedPoint(low=low, high=high, step=step)
        if kind == "sum":
            fixed.decimals(np.zeros(1, dtype=np.int64))  # a step of a third has none
        else:
            Moments(fixed=fixed, bounds=Bounds(groups=1, rows=1), variance=kind == "variance")
    except (BudgetError, FixedOverflow) as error:
        faults.add(line, place, error.message, error.hint)
        return None
    return fixed


def edges_at(line: int, keys: Keys, place: str, faults: Faults) -> tuple[Fraction, ...]:
    """The edges of a figure's bins, by `edges` or by `low`, `high` and `bins`."""
    if "edges" in keys:
        for key in ("low", "high", "bins"):
            if key in keys:
                faults.add(keys[key][0], f"{place}.{key}", "edges say this already")
        at, node = keys["edges"]
        if node.kind != "list":
            faults.add(at, f"{place}.edges", f"found {node.describe()}; wanted a list of numbers")
            return ()
        read = [exact_of(item, f"{place}.edges", faults) for item in node.items]
        edges = tuple(edge for edge in read if edge is not None)
        if len(edges) < 2 or any(left >= right for left, right in pairwise(edges)):
            faults.add(at, f"{place}.edges", "edges are at least two, and ascend")
        return edges
    low, high = (exact_at(keys, key, place, faults) for key in ("low", "high"))
    bins = whole_at(keys, "bins", place, faults, 1)
    if low is None or high is None or bins is None:
        return ()
    if low >= high:
        faults.add(line, place, "the low end is not below the high one")
        return ()
    if bins > _MOST_BINS:
        faults.add(line, f"{place}.bins", f"{bins:,} bins; at most {_MOST_BINS:,}")
        return ()
    return tuple(low + (high - low) * step / bins for step in range(bins + 1))


def ranks_at(
    line: int, keys: Keys, place: str, faults: Faults
) -> tuple[tuple[Fraction, ...], bool]:
    """The quantiles that are wanted, and whether they are a list."""
    if "at" not in keys:
        faults.add(line, f"{place}.at", "which quantile is not said", "`at: 0.5` is the median")
        return (), False
    node = keys["at"][1]
    items = node.items if node.kind == "list" else (node,)
    read = [exact_of(item, f"{place}.at", faults) for item in items]
    shares = tuple(share for share in read if share is not None)
    for item, share in zip(items, read, strict=True):
        if share is not None and not 0 < share < 1:
            text = f"{quote(item.text)} is no quantile: between 0 and 1"
            faults.add(item.line, f"{place}.at", text)
    if not shares:
        faults.add(node.line, f"{place}.at", "which quantile is not said")
    return shares, node.kind == "list"
