"""`privpipe features`: what a private release costs, the release itself, and what was released;
and the same of exact figures of large groups and of features of entities, which cost nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from privpipe.cli._catalog import same_place
from privpipe.cli._entity_features import entity_run, entity_runs, show_entity_plan
from privpipe.cli._exact_features import exact_run, exact_runs, show_exact_plan
from privpipe.cli._output import Output, plain, printable, table
from privpipe.cli._project import catalog_of, home_of, load
from privpipe.errors import ConfigError, NotProtected, UnknownBudget

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.catalog.ledger import Release, Standing
    from privpipe.features import Expected, FeaturePlan, Spec

__all__ = ["audit_release", "plan_features", "run_features", "show_features"]

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", show_default=False)]


def plan_features(out: Output, spec: SpecFile) -> None:
    """What a release will cost, and how far each figure will be off; of exact figures which
    groups show; of features of entities what is told over which windows, and what nothing hides.

    All of it follows from the spec alone: no data are read, and nothing is charged.
    """
    from privpipe.features import EntitySpec, ExactSpec, load_features
    from privpipe.features import plan_features as planned

    checked = load_features(spec)
    if isinstance(checked, EntitySpec):
        show_entity_plan(out, checked)
        return
    if isinstance(checked, ExactSpec):
        show_exact_plan(out, checked)
        return
    found = planned(checked)
    stands = _standing(out, checked)
    document = {
        "features": checked.name,
        "spec_hash": checked.hash,
        "unit": checked.unit,
        "bounds": {"groups": checked.bounds.groups, "rows": checked.bounds.rows},
        "charge": found.cost.charge.as_record(),
        "naive": found.cost.naive.as_record(),
        "budget": checked.release.ledger,
        "left": None if stands is None else stands.left.as_record(),
        "figures": [_figure(found, each) for each in found.expected],
    }
    out.result(document, lambda console: _show_plan(console, found, stands))
    if stands is not None and not _holds(stands, found):
        out.warn(f"budget {stands.name} does not hold this release: {stands.left} is left")


def _standing(out: Output, spec: Spec) -> Standing | None:
    """The spec's budget; None where there is no project, or none of that name yet."""
    from privpipe.catalog.ledger import standing

    try:
        project = load(out)
    except ConfigError:
        return None
    try:
        with catalog_of(out, project) as catalog:
            return standing(catalog, spec.release.ledger)
    except UnknownBudget:
        return None


def _holds(stands: Standing, found: FeaturePlan) -> bool:
    charge = found.cost.charge
    return stands.left.unit == charge.unit and stands.left.holds(charge)


def _figure(found: FeaturePlan, expected: Expected) -> dict[str, Any]:
    aggregate = next(each for each in found.spec.aggregates if each.name == expected.name)
    return {"kind": aggregate.kind, "column": aggregate.column, **plain(expected)}


def _show_plan(console: Console, found: FeaturePlan, stands: Standing | None) -> None:
    spec, cost = found.spec, found.cost
    lines = [
        f"{spec.name}, by {spec.file}",
        f"hides one {spec.unit}" + ("" if spec.unit == "row" else _within(spec)),
        f"costs {cost.charge}"
        + (f" (mechanism by mechanism {cost.naive})" if cost.naive != cost.charge else ""),
    ]
    if stands is None:
        lines.append(f"budget {spec.release.ledger}: not opened yet: privpipe budget open")
    else:
        lines.append(f"budget {stands.name}: {stands.left} left of {stands.total}")
    for line in lines:
        console.out(printable(line), highlight=False)
    rows = [_row(_figure(found, each)) for each in found.expected]
    table(console, ["figure", "what", "error", "of"], rows)
    if spec.totals:
        console.out("totals are of no budget: sums of what the groups show", highlight=False)
    if found.selection is not None:
        threshold = found.selection.mechanism.threshold
        console.out(
            f"groups show where their noisy count of units is above {threshold:,}", highlight=False
        )


def _within(spec: Spec) -> str:
    bounds = spec.bounds
    return f", of whom {bounds.groups} group(s) and {bounds.rows} row(s) in each count"


def _row(figure: dict[str, Any]) -> tuple[str, ...]:
    what = figure["kind"] + (f" of {figure['column']}" if figure["column"] else "")
    of = figure["measure"]
    if figure["at_rows"] is not None:
        of = f"{of}, in a group of {figure['at_rows']:,} rows"
    error = figure["error"]
    return figure["name"], what, f"{error:,.0f}" if error >= 1000 else f"{error:.3g}", of


def run_features(
    out: Output,
    spec: SpecFile,
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="T", show_default=False, help="A Delta table, by path or name."
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="S", show_default=False, help="Instead of the spec's own source."
        ),
    ] = None,
    mode: Annotated[
        Literal["error", "overwrite", "append"],
        typer.Option("--mode", help="What to do where the target exists."),
    ] = "error",
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run-id",
            metavar="ID",
            help="Names the run: the same id again changes nothing, and costs nothing.",
        ),
    ] = None,
) -> None:
    """Release the figures of a spec, noisy, into a Delta table, and charge its budget; or write
    exact ones of large groups, or the features of entities, which no budget pays for."""
    from privpipe.catalog.ledger import attempts, standing
    from privpipe.features import EntitySpec, ExactSpec, load_features

    checked = load_features(spec)
    if isinstance(checked, EntitySpec):
        with home_of(out) as home, out.working(f"looking back over the windows of {checked.name}"):
            run = home.features(checked, target, mode, source=source, run_id=run_id)
        entity_run(out, run)
        return
    if isinstance(checked, ExactSpec):
        with home_of(out) as home, out.working(f"adding up {checked.name}"):
            run = home.features(checked, target, mode, source=source, run_id=run_id)
        exact_run(out, run, checked)
        return
    with home_of(out) as home, out.working(f"adding up {checked.name}"):
        run = home.features(checked, target, mode, source=source, run_id=run_id)
        stands = standing(home.catalog, checked.release.ledger)
        charges = [each.charge for each in attempts(home.catalog, run.run_id) if each.counts]
    spent = str(charges[-1]) if charges else "nothing"
    document = {**plain(run), "charge": spent, "left": stands.left.as_record()}
    done = "already released" if run.replayed else f"{run.rows} group(s) released"
    line = f"{done}: {run.target}, version {run.table_version}, run {run.run_id}"
    out.summary(document, [line, f"cost {spent}; budget {stands.name}: {stands.left} left"])
    for text in run.warnings:
        out.warn(text)


def show_features(
    out: Output,
    target: Annotated[str, typer.Argument(metavar="T", show_default=False)],
) -> None:
    """What was released into a table: from which version of what, when, and at what cost. Of
    others, the runs that wrote them."""
    from privpipe.catalog.ledger import standings

    project = load(out)
    with catalog_of(out, project) as catalog:
        found = [
            release
            for each in standings(catalog)
            for release in each.releases
            if same_place(project, release.target, target) and release.state != "cancelled"
        ]
        runs = catalog.runs()
    names = {run.run_id: run.table for run in runs}
    if not found:
        if exact_runs(out, project, target, runs) or entity_runs(out, project, target, runs):
            return
        raise NotProtected(
            "no features were released here",
            where=f"table {target}",
            hint="`privpipe budget show` lists all releases",
        )
    rows = [_release(each, names.get(each.run_id, "")) for each in found]
    heads = ["features", "run", "state", "version", "cost", "budget", "reads", "unit", "when"]
    out.result(
        {"target": target, "releases": rows},
        lambda console: table(console, heads, [tuple(row.values()) for row in rows]),
    )


def _release(release: Release, name: str) -> dict[str, Any]:
    versions = release.sources.items()
    return {
        "features": name,
        "run": release.run_id,
        "state": release.state,
        "version": release.target_version,
        "cost": str(release.charge),
        "budget": release.budget,
        "reads": " ".join(place if at is None else f"{place}@{at}" for place, at in versions),
        "unit": release.unit or "row",
        "when": release.reserved_at.isoformat(sep=" ", timespec="seconds"),
    }


def audit_release(
    out: Output,
    spec: SpecFile,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="S", show_default=False, help="Instead of the spec's own source."
        ),
    ] = None,
    units: Annotated[
        int, typer.Option("--units", metavar="N", help="How many units are taken away, in turn.")
    ] = 3,
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", help="Releases with and without each of them.")
    ] = 10_000,
) -> int:
    """Attack a release of your own: what its draws show of one unit, beside what it claims.

    Takes those units away that have most rows, on a sample. Charges nothing, shows no figure.
    """
    from privpipe.features import load_features

    checked = load_features(spec)
    with home_of(out) as home, out.working(f"attacking {checked.name}"):
        found = home.attack(checked, source=source, units=units, draws=draws)
    rows = [{**plain(each), "holds": each.holds} for each in found]
    heads = [
        "unit",
        "groups",
        "draws",
        "epsilon shown, at least",
        "epsilon claimed",
        "at delta",
        "",
    ]
    out.result(
        {"features": checked.name, "attacks": rows},
        lambda console: table(
            console,
            heads,
            [
                (
                    f"with most rows: {at}",
                    each.moved,
                    f"{each.draws:,}",
                    f"{each.shown:.3f}",
                    f"{each.claimed:.3f}",
                    f"{each.delta:.3g}",
                    "holds" if each.holds else "IS MORE THAN CLAIMED",
                )
                for at, each in enumerate(found, start=1)
            ],
        ),
    )
    return 0 if all(each.holds for each in found) else 1
