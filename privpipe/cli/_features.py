"""`privpipe features`: what a private release costs, the release itself, and what was released;
and the same of exact figures of large groups and of features of entities, which cost nothing."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privpipe.cli._catalog import same_place
from privpipe.cli._entity_features import entity_run, show_entity_plan
from privpipe.cli._exact_features import exact_run, show_exact_plan
from privpipe.cli._feature_runs import show_runs
from privpipe.cli._feature_views import (
    draw_attacks,
    draw_plan,
    draw_releases,
    figure_row,
    holds,
    release_row,
    run_lines,
    too_much,
)
from privpipe.cli._output import Output, plain
from privpipe.cli._project import catalog_of, home_of, load
from privpipe.cli._target import Mode, Target
from privpipe.errors import ConfigError, NotProtected, UnknownBudget

if TYPE_CHECKING:
    from privpipe.catalog import Catalog
    from privpipe.catalog.ledger import Standing
    from privpipe.features import Spec

__all__ = ["audit_release", "plan_features", "run_features", "show_features"]

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", show_default=False)]


def plan_features(out: Output, spec: SpecFile) -> None:
    """What a release will cost, and how far each figure will be off; of exact figures which
    groups show; of features of entities what is told over which windows, and what nothing hides.

    All of it follows from the spec alone: no data are read, and nothing is charged.
    """
    from privpipe.features import EntitySpec, ExactSpec, load_features, place_of, written_policy
    from privpipe.features import plan_features as planned

    checked = load_features(spec)
    written_policy(checked)
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
        "groups": {group.column: group.said for group in checked.groups},
        "bounds": {"groups": checked.bounds.groups, "rows": checked.bounds.rows},
        "charge": found.cost.charge.as_record(),
        "naive": found.cost.naive.as_record(),
        "budget": checked.release.ledger,
        "left": None if stands is None else stands.left.as_record(),
        "figures": [figure_row(found, each) for each in found.expected],
    }
    out.result(document, lambda console: draw_plan(console, found, stands))
    if stands is not None and not holds(stands, found):
        out.warn(f"{place_of(checked, 'privacy.budget')}: {too_much(stands, found)}")
    for text in checked.warnings:
        out.warn(text)


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


def run_features(
    out: Output,
    spec: SpecFile,
    target: Target,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="S", show_default=False, help="Instead of the spec's own source."
        ),
    ] = None,
    mode: Mode = "error",
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
    out.summary(document, run_lines(run, spent, stands))
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
        key_ids = _key_ids(catalog)
    names = {run.run_id: run.table for run in runs}
    if not found:
        if show_runs(out, project, target, runs, key_ids):
            return
        raise NotProtected(
            "no features were released here",
            where=f"table {target}",
            hint="`privpipe budget show` lists all releases",
        )
    rows = [
        release_row(each, names.get(each.run_id, ""), key_ids.get(each.run_id, ()))
        for each in found
    ]
    out.result({"target": target, "releases": rows}, lambda console: draw_releases(console, rows))


def _key_ids(catalog: Catalog) -> dict[str, list[int]]:
    """The keys that each run's columns are under, by its id."""
    pairs = sorted({(fact.run_id, fact.key_id) for fact in catalog.columns() if fact.key_id})
    runs = groupby(pairs, key=itemgetter(0))
    return {run_id: [key_id for _, key_id in group] for run_id, group in runs}


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

    Takes those units away that have most rows, on a sample, and looks for groups with and without
    them. Charges nothing, shows no figure.
    """
    from privpipe.features import load_features

    checked = load_features(spec)
    with home_of(out) as home, out.working(f"attacking {checked.name}"):
        found = home.attack(checked, source=source, units=units, draws=draws)
    rows = [{**plain(each), "holds": each.holds} for each in found]
    out.result(
        {"features": checked.name, "attacks": rows}, lambda console: draw_attacks(console, found)
    )
    return 0 if all(each.holds for each in found) else 1
