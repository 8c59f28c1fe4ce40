"""A feature spec's text to a checked `Spec`, or to one error with every fault in it."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

from privpipe.documents import Faults, read_file, read_mapping
from privpipe.dp import Bounds, Budget, parse_budget
from privpipe.errors import BudgetError, SpecError
from privpipe.features._aggregates import read_aggregates
from privpipe.features._entity_read import read_entities
from privpipe.features._exact_model import FeatureSpec
from privpipe.features._exact_read import is_exact, read_exact
from privpipe.features._group_windows import over_windows, own_name
from privpipe.features._group_windows_read import WINDOW_KEYS, read_over
from privpipe.features._grouped import ROW, SELECT, Group
from privpipe.features._groups_read import MOST_GROUPS, check_keys, check_names, read_groups
from privpipe.features._model import Aggregate, Release, Spec
from privpipe.features._nodes import (
    ADVICE,
    Keys,
    check_version,
    columns_of,
    entries_of,
    exact_at,
    text_at,
    unknown_keys,
    whole_at,
    word_at,
)
from privpipe.features._places import lines_of
from privpipe.features._totals_read import read_totals

__all__ = ["load_features", "parse_features"]

_TOP = (
    "version", "features", "source", "unit", "null_units", "groups", "bounds", "aggregates",
    "privacy", "columns", "totals", *WINDOW_KEYS,
)  # fmt: skip
_PRIVACY = ("budget", "epsilon", "rho", "delta", "noise", "level", "floor")
_NULLS = ("drop", "refuse")
_NOISES = ("least", "gaussian", "laplace")


def load_features(path: str | os.PathLike[str]) -> FeatureSpec:
    """The feature spec in the YAML file at `path`: of entities where it has the key `entity`, else
    of groups: exact under `k_anonymity`, else noisy. Reads that file and nothing else.

    Raises: `SpecError` with every fault of the file, each with its line.
    """
    faults = Faults(name=str(path), kind=SpecError, advice=ADVICE)
    text = read_file(Path(path), faults)
    faults.settle()
    return _read(text or "", faults)


def parse_features(text: str, *, name: str = "<features>") -> FeatureSpec:
    """The feature spec that the YAML `text` holds; `name` stands for the file in errors.

    Raises: as `load_features`.
    """
    return _read(text, Faults(name=name, kind=SpecError, advice=ADVICE))


def _read(text: str, faults: Faults) -> FeatureSpec:
    root = read_mapping(text, faults)
    spec: FeatureSpec | None = None
    if root is not None:
        keys = entries_of(root)
        check_version(keys, faults)
        if "entity" in keys and "unit" in keys:
            text = "a spec is of entities, or of groups of units, and not of both"
            faults.add(keys["entity"][0], "entity", text, "leave `entity:` or `unit:` out")
        elif "entity" in keys or ("unit" not in keys and "as_of" not in keys and "windows" in keys):
            spec = read_entities(keys, faults)
        elif is_exact(keys):
            spec = read_exact(keys, faults)
        else:
            spec = _read_groups(keys, faults)
    faults.settle()
    if spec is None:
        raise SpecError("cannot be read", where=faults.name, hint=faults.advice)
    return spec


def _read_groups(keys: Keys, faults: Faults) -> Spec | None:
    check_keys(keys, _TOP, faults)
    name = text_at(keys, "features", "", faults, "the name of the table that is written")
    source = text_at(keys, "source", "", faults, "a path, or a name in Spark's catalog")
    unit = text_at(keys, "unit", "", faults, f"a column of pseudonyms or tokens, or `{ROW}`")
    nulls = word_at(keys, "null_units", _NULLS, "drop", faults)
    groups = read_groups(keys, faults)
    bounds = _bounds(keys, unit, groups, faults)
    release = _release(keys, faults)
    aggregates = read_aggregates(keys, faults)
    totals = read_totals(keys, groups, aggregates, faults)
    protect = columns_of(keys, faults)
    over = read_over(keys, faults)
    aggregates = over_windows(aggregates, over)
    written = ((own_name(each), each.line, each.columns) for each in aggregates)
    check_names(groups, written, keys, faults, windows=over is not None)
    if release is not None and any(group.values is None for group in groups):
        _needs_delta(release, keys, faults)
    elif release is not None and release.floor:
        _needs_units(keys, aggregates, faults)
    if faults.found or bounds is None or release is None:
        return None
    return Spec(
        name=name,
        source=source,
        unit=unit,
        null_units=cast(Literal["drop", "refuse"], nulls),
        groups=groups,
        bounds=bounds,
        aggregates=aggregates,
        release=release,
        totals=totals,
        over=over,
        protect=protect,
        file=faults.name,
        unit_line=keys["unit"][0],
        lines=lines_of(keys),
    )


def _bounds(keys: Keys, unit: str, groups: tuple[Group, ...], faults: Faults) -> Bounds | None:
    line, node = keys.get("bounds", (0, None))
    if unit == ROW:
        if node is not None:
            faults.add(line, "bounds", "a row counts once, in one group: it has no other bounds")
        return Bounds(groups=1, rows=1)
    if node is None or node.kind != "mapping":
        hint = "for example `bounds: {groups: 3, rows: 10}`"
        faults.add(line, "bounds", "how much of a unit is kept is not said", hint)
        return None
    inner = entries_of(node)
    unknown_keys(inner, ("groups", "rows"), "bounds", faults)
    most = 1
    for group in groups:
        most = MOST_GROUPS if group.values is None else most * max(len(group.values), 1)
    found = whole_at(inner, "groups", "bounds", faults, 1, default=None if groups else 1)
    rows = whole_at(inner, "rows", "bounds", faults, 1)
    if found is None or rows is None:
        return None
    # Nobody is in more groups than there are.
    return Bounds(groups=min(found, most), rows=rows)


def _release(keys: Keys, faults: Faults) -> Release | None:
    line, node = keys.get("privacy", (0, None))
    hint = "for example `privacy: {budget: census, epsilon: 1, delta: 1e-8}`"
    if node is None or node.kind != "mapping":
        found = "nothing" if node is None else node.describe()
        faults.add(line, "privacy", f"found {found}; wanted a budget and what may be spent", hint)
        return None
    inner = entries_of(node)
    before = len(faults.found)
    unknown_keys(inner, _PRIVACY, "privacy", faults)
    ledger = text_at(inner, "budget", "privacy", faults, "a budget that `privpipe budget` opened")
    budget = _budget(inner, line, faults)
    pure = budget is not None and budget.kind == "pure"
    noise = word_at(inner, "noise", _NOISES, "least", faults)
    if pure and noise == "gaussian":
        faults.add(line, "privacy.noise", "Gaussian noise has no pure epsilon", "give a delta")
    level = exact_at(inner, "level", "privacy", faults, default=Fraction(19, 20))
    if level is not None and not 0 < level < 1:
        faults.add(line, "privacy.level", "a level of confidence lies between 0 and 1")
    floor = whole_at(inner, "floor", "privacy", faults, 0, default=0)
    if budget is None or level is None or floor is None or len(faults.found) > before:
        return None
    return Release(
        ledger=ledger,
        budget=budget,
        noise=cast(Literal["least", "gaussian", "laplace"], noise),
        level=level,
        floor=floor,
    )


def _budget(keys: Keys, line: int, faults: Faults) -> Budget | None:
    written = {key: node.text for key, (_, node) in keys.items() if key in {"epsilon", "rho"}}
    if "delta" in keys:
        written["delta"] = keys["delta"][1].text
    try:
        found = parse_budget(written)
    except BudgetError as error:
        faults.add(line, "privacy", error.message, error.hint)
        return None
    if found.amount == 0:
        faults.add(line, "privacy", f"{found.unit} is 0: nothing can be told")
        return None
    return found


def _needs_units(keys: Keys, aggregates: tuple[Aggregate, ...], faults: Faults) -> None:
    """A floor on groups that are public is one on a figure, and leaves groups out."""
    line = entries_of(keys["privacy"][1])["floor"][0]
    if "totals" in keys:
        text = "a group below it would be left out, and totals are of all groups"
        faults.add(line, "privacy.floor", text, "leave floor or totals out")
    elif "windows" in keys:
        text = "it is on one noisy count of units, and public groups have one for each window"
        faults.add(line, "privacy.floor", text, f"`{SELECT}` the groups, or leave floor out")
    elif not any(each.kind == "units" for each in aggregates):
        text = "it is on the noisy count of units, which the figures of public groups lack"
        faults.add(line, "privacy.floor", text, "add a figure, `people: units`, or leave it out")


def _needs_delta(release: Release, keys: Keys, faults: Faults) -> None:
    if not release.budget.delta:
        line = keys["privacy"][0]
        hint = "give a delta, or a list of public values for each group column"
        faults.add(line, "privacy.delta", f"groups by `{SELECT}` need a delta", hint)
