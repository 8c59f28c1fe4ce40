"""The keys of a spec of exact figures, under `k_anonymity`, to a checked `ExactSpec`."""

from __future__ import annotations

from typing import Literal, cast

from privpipe.documents import Faults, Node, choice
from privpipe.features._aggregates import BARE, column_at, edges_at, ranks_at
from privpipe.features._exact_model import EXACT_KINDS, ExactAggregate, ExactKind, ExactSpec
from privpipe.features._figure_nodes import figure_at, figures_of
from privpipe.features._group_windows import Over, over_windows, own_name
from privpipe.features._group_windows_read import WINDOW_KEYS, read_over
from privpipe.features._grouped import ROW
from privpipe.features._groups_read import check_keys, check_names, read_groups
from privpipe.features._nodes import (
    Keys,
    columns_of,
    entries_of,
    text_at,
    unknown_keys,
    whole_at,
    word_at,
)
from privpipe.features._places import lines_of

__all__ = ["is_exact", "read_exact"]

_TOP = (
    "version", "features", "source", "unit", "null_units", "groups", "aggregates", "privacy",
    "columns", *WINDOW_KEYS,
)  # fmt: skip
_PRIVACY = ("k_anonymity", "l_diversity")
_KEYS = {
    "quantile": ("low", "high", "bins", "edges", "at"),
    "histogram": ("low", "high", "bins", "edges"),
    "top": ("most",),
}
_OF_NOISE = ("low", "high", "step", "weight")
_EXAMPLE = "for example `visits: count`, or `cost: {sum: cost}`"


def is_exact(keys: Keys) -> bool:
    """Whether a spec of groups asks for exact figures."""
    _, node = keys.get("privacy", (0, None))
    return node is not None and any(key in _PRIVACY for key, _, _ in node.entries)


def read_exact(keys: Keys, faults: Faults) -> ExactSpec | None:
    """The spec; None where a fault was noted."""
    if "bounds" in keys:
        text = "exact figures are of all rows of a unit"
        faults.add(keys["bounds"][0], "bounds", text, "leave bounds out under k_anonymity")
    if "totals" in keys:
        text = "a total would tell of the groups that are left out"
        faults.add(keys["totals"][0], "totals", text, "leave totals out under k_anonymity")
    check_keys(keys, (*_TOP, "bounds", "totals"), faults)
    name = text_at(keys, "features", "", faults, "the name of the table that is written")
    source = text_at(keys, "source", "", faults, "a path, or a name in Spark's catalog")
    unit = text_at(keys, "unit", "", faults, f"a column of pseudonyms or tokens, or `{ROW}`")
    nulls = word_at(keys, "null_units", ("drop", "refuse"), "drop", faults)
    groups = read_groups(keys, faults)
    k, diversity = _privacy(keys, faults)
    for column, line in ((c, keys["privacy"][0]) for c, _ in diversity):
        if column.lower() in {each.column.lower() for each in groups if each.period is None}:
            text = f"{column} has one value in each group: it is grouped by"
            faults.add(line, "privacy.l_diversity", text, "name what nobody is to learn")
    aggregates = _aggregates(keys, faults)
    protect = columns_of(keys, faults)
    over = _one_window(keys, faults)
    aggregates = over_windows(aggregates, over)
    written = ((own_name(each), each.line, (each.name,)) for each in aggregates)
    check_names(groups, written, keys, faults, windows=over is not None)
    if faults.found or k is None:
        return None
    return ExactSpec(
        name=name,
        source=source,
        unit=unit,
        null_units=cast(Literal["drop", "refuse"], nulls),
        groups=groups,
        aggregates=aggregates,
        k=k,
        diversity=diversity,
        over=over,
        protect=protect,
        file=faults.name,
        unit_line=keys["unit"][0],
        lines=lines_of(keys),
    )


def _one_window(keys: Keys, faults: Faults) -> Over | None:
    """One window shows groups of enough units in it. Of two, a month less its last week is of the
    units of the other days, however few they are."""
    over = read_over(keys, faults)
    if over is not None and len(over.windows) > 1:
        text = "exact figures of several windows can be subtracted, and tell of those in one alone"
        hint = "one window; or `privacy: {budget: ..., epsilon: ...}`, which is safe to subtract"
        faults.add(keys["windows"][0], "windows", text, hint)
    return over


def _privacy(keys: Keys, faults: Faults) -> tuple[int | None, tuple[tuple[str, int], ...]]:
    inner = entries_of(keys["privacy"][1])
    for key, (line, _) in inner.items():
        if key in ("budget", "epsilon", "rho", "delta", "noise", "level", "floor"):
            text = "under k_anonymity figures are exact, and no budget pays for them"
            hint = f"leave {key} out; or k_anonymity and l_diversity, for a private release"
            faults.add(line, f"privacy.{key}", text, hint)
        elif key not in _PRIVACY:
            faults.add(line, f"privacy.{key}", *choice("key", key, _PRIVACY))
    k = whole_at(inner, "k_anonymity", "privacy", faults, 2)
    if "l_diversity" not in inner:
        return k, ()
    line, node = inner["l_diversity"]
    if node.kind != "mapping" or not node.entries:
        text = f"found {node.describe()}; wanted so many values by column"
        faults.add(line, "privacy.l_diversity", text, "for example `l_diversity: {diagnosis: 3}`")
        return k, ()
    values = entries_of(node)
    found = {name: whole_at(values, name, "privacy.l_diversity", faults, 2) for name in values}
    return k, tuple((name, least) for name, least in found.items() if least is not None)


def _aggregates(keys: Keys, faults: Faults) -> tuple[ExactAggregate, ...]:
    figures = figures_of(keys, _aggregate, faults, example=_EXAMPLE)
    _refuse_differences(figures, faults)
    return figures


def _refuse_differences(aggregates: tuple[ExactAggregate, ...], faults: Faults) -> None:
    """Notes counts of one column's values that are told twice, and could be subtracted. Quantiles
    tell of them too: how many rows lie up to a value."""
    told: dict[str, str] = {}
    for each in aggregates:
        if each.kind not in ("top", "histogram", "quantile") or each.column is None:
            continue
        first = told.setdefault(each.column.lower(), each.name)
        if first != each.name:
            text = f"{first} counts values of {each.column} too: the difference may be of one unit"
            faults.add(each.line, f"aggregates.{each.name}", text, "keep one of the two")


def _aggregate(name: str, line: int, node: Node, faults: Faults) -> ExactAggregate | None:
    read = figure_at(name, line, node, faults, kinds=EXACT_KINDS, bare=BARE, example=_EXAMPLE)
    if read is None:
        return None
    kind, keys = read
    if not keys:
        return ExactAggregate(name=name, kind=cast(ExactKind, kind), line=line)
    return _figure(name, kind, line, keys, f"aggregates.{name}", faults)


def _figure(
    name: str, kind: str, line: int, keys: Keys, place: str, faults: Faults
) -> ExactAggregate | None:
    before = len(faults.found)
    allowed = (kind, *_KEYS.get(kind, ()))
    for key, (there, _) in keys.items():
        if key in _OF_NOISE and key not in allowed:
            text = f"{key} is what noise is fitted to, and an exact {kind} has none"
            faults.add(there, f"{place}.{key}", text, "leave it out under k_anonymity")
    unknown_keys(keys, (*allowed, *_OF_NOISE), place, faults)
    column = column_at(kind, keys, place, faults)
    binned = kind in ("quantile", "histogram")
    edges = edges_at(line, keys, place, faults) if binned else ()
    at, several = ranks_at(line, keys, place, faults) if kind == "quantile" else ((), False)
    most = whole_at(keys, "most", place, faults, 1, default=10) if kind == "top" else 10
    if len(faults.found) > before or most is None:
        return None
    return ExactAggregate(
        name=name,
        kind=cast(ExactKind, kind),
        column=column,
        edges=edges,
        at=at,
        several=several or kind == "histogram",
        most=most,
        line=line,
    )
