"""How private features are shown: the plan of a release, what was released, an attack on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any

from privpipe.cli._output import plain, printable, table

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.catalog.ledger import Release, Standing
    from privpipe.features import Attack, ExactSpec, Expected, FeaturePlan, Spec
    from privpipe.spark import Run

__all__ = [
    "draw_attacks",
    "draw_plan",
    "draw_releases",
    "figure_row",
    "holds",
    "minute",
    "period_lines",
    "places",
    "release_row",
    "run_lines",
    "too_much",
    "version_of",
]


def holds(stands: Standing, found: FeaturePlan) -> bool:
    """Whether what is left of a budget pays for a release."""
    charge = found.cost.charge
    return stands.left.unit == charge.unit and stands.left.holds(charge)


def too_much(stands: Standing, found: FeaturePlan) -> str:
    """Why a budget does not pay for a release."""
    charge = found.cost.charge
    if stands.left.unit != charge.unit:
        return f"budget {stands.name} is in {stands.left.unit}, and this release costs {charge}"
    return f"budget {stands.name} does not hold this release: {stands.left} is left"


def figure_row(found: FeaturePlan, expected: Expected) -> dict[str, Any]:
    """A figure of a plan: what it is, and how far it will be off."""
    aggregate = next(each for each in found.spec.aggregates if each.name == expected.name)
    over = aggregate.window
    window = {} if over is None else {"window": over.window.describe()}
    return {"kind": aggregate.kind, "column": aggregate.column, **window, **plain(expected)}


def draw_plan(console: Console, found: FeaturePlan, stands: Standing | None) -> None:
    """What a release will cost, and how far its figures will be off."""
    spec, cost = found.spec, found.cost
    naive = f" (added up mechanism by mechanism: {cost.naive})" if cost.naive != cost.charge else ""
    lines = [
        f"{spec.name}, by {spec.file}",
        f"hides one {spec.unit}" + ("" if spec.unit == "row" else _within(spec)),
        f"costs {cost.charge}{naive}",
        _budget(found, stands),
    ]
    if found.selection is not None:
        threshold = found.selection.mechanism.threshold
        lines.append(f"shows a group where its noisy count of units is above {threshold:,}")
    elif spec.release.floor:
        floor = spec.release.floor
        lines.append(f"shows a group where its noisy count of units is {floor:,} at least")
    heads = ["figure", "what", "off by about", "in"]
    if spec.over is not None:
        lines.append(spec.over.describe())
        heads.insert(2, "window")
    for line in (*lines, *period_lines(spec)):
        console.out(printable(line), highlight=False)
    table(console, heads, [_off(figure_row(found, each)) for each in found.expected])
    if spec.totals:
        console.out("totals cost nothing: sums of what the groups show", highlight=False)


def period_lines(spec: Spec | ExactSpec) -> list[str]:
    """By which periods the groups are, where they are by some."""
    return [
        f"groups {group.column} {group.period.describe(group.values)}"
        for group in spec.groups
        if group.period is not None
    ]


def _budget(found: FeaturePlan, stands: Standing | None) -> str:
    charge, release = found.cost.charge, found.spec.release
    if stands is None:
        least = f"--{charge.unit} {float(release.budget.amount):g}"
        least += f" --delta {float(release.budget.delta):g}" if release.budget.delta else ""
        opening = f"privpipe budget open {release.ledger} {least}"
        return f"budget {release.ledger}: not opened yet: {opening}"
    after = f", after it {stands.left.minus(charge)}" if holds(stands, found) else ""
    return f"budget {stands.name}: {stands.left} left{after}"


def _within(spec: Spec) -> str:
    groups, rows = spec.bounds.groups, _few(spec.bounds.rows)
    if groups == 1:
        return f", of whom 1 group counts, and in it {rows}"
    return f", of whom {groups:,} groups count, and in each {rows}"


def _few(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _off(figure: dict[str, Any]) -> tuple[str, ...]:
    what = figure["kind"] + (f" of {figure['column']}" if figure["column"] else "")
    where = figure["measure"]
    if figure["at_rows"] is not None:
        where = f"a group of {figure['at_rows']:,} rows, {where}"
    error = figure["error"]
    off = f"{error:,.0f}" if error >= 1000 else f"{error:.3g}"
    window = (figure["window"],) if "window" in figure else ()
    return figure["name"], what, *window, off, where


def run_lines(run: Run, spent: str, stands: Standing) -> list[str]:
    """What a release did, and what it cost."""
    done = "already released" if run.replayed else f"{run.rows} group(s) released"
    cost = f"nothing charged: it cost {spent} then" if run.replayed else f"cost {spent}"
    return [
        f"{done}: {run.target}, version {run.table_version}, run {run.run_id}",
        f"{cost}; budget {stands.name}: {stands.left} left",
    ]


def version_of(place: str, version: int | None) -> str:
    """A table, and its version where that is known."""
    return place if version is None else f"{place}@{version}"


def places(reads: Mapping[str, int | None]) -> str:
    """What was read."""
    return " ".join(version_of(place, at) for place, at in reads.items())


def minute(release: Release) -> str:
    """When it was reserved."""
    return f"{release.reserved_at.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def release_row(release: Release, name: str, key_ids: Sequence[int]) -> dict[str, Any]:
    """A release as the ledger has it; `name` is that of its features, `key_ids` those of its
    columns."""
    return {
        "features": name,
        "run": release.run_id,
        "state": release.state,
        "version": release.target_version,
        "cost": str(release.charge),
        "budget": release.budget,
        "reads": places(release.sources),
        "unit": release.unit or "row",
        "when": release.reserved_at.isoformat(sep=" ", timespec="seconds"),
        "spec_hash": release.spec_hash,
        "ledger_id": release.uid,
        "key_ids": list(key_ids),
    }


def draw_releases(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """A few lines a release."""
    for row in rows:
        version = "" if row["version"] is None else f", version {row['version']}"
        for line in (
            f"{row['features']}: {row['state']}{version}, run {row['run']}",
            f"  cost   {row['cost']}, of budget {row['budget']}",
            f"  hides  one {row['unit']}",
            f"  reads  {row['reads']}",
            f"  when   {row['when']}",
        ):
            console.out(printable(line), highlight=False)


def draw_attacks(console: Console, found: Sequence[Attack]) -> None:
    """What the draws showed of each unit, beside what is claimed."""
    heads = ["without the unit of", "groups", "draws", "epsilon shown", "claimed", "at delta", ""]
    rows = [
        (
            "most rows" if at == 1 else f"most rows, number {at}",
            each.moved,
            f"{each.draws:,}",
            f">= {each.shown:.3f}",
            f"<= {each.claimed:.3f}",
            f"{each.delta:.3g}",
            "holds" if each.holds else "IS MORE THAN CLAIMED",
        )
        for at, each in enumerate(found, start=1)
    ]
    table(console, heads, rows)
    most = min(each.most for each in found)
    console.out(f"so many draws can show an epsilon of {most:.1f} at most", highlight=False)
