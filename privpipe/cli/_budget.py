"""`privpipe budget`: named privacy budgets, what is left of them and what each release cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._feature_views import minute, places, version_of
from privpipe.cli._output import Output, plain, printable, table
from privpipe.cli._project import catalog_of, home_of, load
from privpipe.errors import BudgetError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.catalog.ledger import Release, Standing
    from privpipe.dp import Budget

__all__ = ["cancel", "draw_standings", "open_budget", "show"]

_WIDTH = 40
_MUCH = 10  # an epsilon that lets almost everything be told apart
_LIKELY = Fraction(1, 10**5)

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]


def open_budget(
    out: Output,
    name: Name,
    epsilon: Annotated[
        str | None,
        typer.Option(
            "--epsilon", metavar="E", show_default=False, help="How much: 1, 0.5, 1e-2 or 1/3."
        ),
    ] = None,
    rho: Annotated[
        str | None,
        typer.Option(
            "--rho", metavar="R", show_default=False, help="Or how much as zCDP's rho, likewise."
        ),
    ] = None,
    delta: Annotated[
        str | None,
        typer.Option(
            "--delta",
            metavar="D",
            show_default=False,
            help="And a chance to fail, far below one over the units: 1e-9. Without it, Gaussian "
            "noise needs --rho, and private keys cannot be selected.",
        ),
    ] = None,
    note: Annotated[
        str | None,
        typer.Option("--note", metavar="TEXT", show_default=False, help="What it is for."),
    ] = None,
) -> None:
    """Open a privacy budget, exactly and for good.

    The same again changes nothing; another amount under the name is refused. Each release is
    charged to one budget, and so is all that is learned of the same data.
    """
    from privpipe.catalog.ledger import budgets, check_budget
    from privpipe.catalog.ledger import open_budget as opened

    total = _amount(name, epsilon, rho, delta)
    check_budget(name, total)
    with home_of(out) as home, out.working(f"opening budget {name}"):
        there = any(each.name == name for each in budgets(home.catalog))
        found = opened(home.catalog, name, total, note=note)
    document = {
        "budget": name,
        "total": found.total.as_record(),
        "opened_at": plain(found.opened_at),
        "opened": not there,
    }
    out.summary(document, [f"budget {name} {'was open' if there else 'opened'}: {found.total}"])
    if total.unit == "epsilon" and total.amount > _MUCH:
        out.warn(f"an epsilon above {_MUCH} hides little: 1 is a common choice")
    if total.delta > _LIKELY:
        out.warn("a delta is the chance to hide nothing: choose it far below one over the units")


def _amount(name: str, epsilon: str | None, rho: str | None, delta: str | None) -> Budget:
    from privpipe.dp import parse_budget

    written = {"epsilon": epsilon, "rho": rho, "delta": delta}
    given = {key: text for key, text in written.items() if text is not None}
    if ("epsilon" in given) == ("rho" in given):
        raise UsageError(
            "a budget is an epsilon or a rho",
            where=f"budget {name}",
            hint=f"privpipe budget open {name} --epsilon 1",
        )
    try:
        return parse_budget(given, where=f"budget {name}")
    except BudgetError as error:
        raise UsageError(error.message, where=error.where, hint=error.hint) from None


def show(
    out: Output,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One budget only.", show_default=False),
    ] = None,
) -> None:
    """What is left of the budgets, and what each release cost.

    What admits a release is the sum of what all before it cost. How little the same noise tells by
    privacy loss distributions is printed beside it, and admits nothing.
    """
    from privpipe.catalog.ledger import standing, standings

    with catalog_of(out, load(out)) as catalog:
        found = standings(catalog) if name is None else (standing(catalog, name),)
    out.result(
        {"budgets": [_document(each) for each in found]},
        lambda console: draw_standings(console, found),
    )


def draw_standings(console: Console, found: Sequence[Standing]) -> None:
    """What is left of each budget, and what each of its releases cost."""
    if not found:
        console.out("no budget was opened yet: privpipe budget open NAME --epsilon 1")
    for number, each in enumerate(found):
        if number:
            console.out("")
        for line in _lines(each):
            console.out(printable(line), highlight=False)
        if each.releases:
            cost = [each.total.unit, "delta"] if each.total.delta else [each.total.unit]
            heads = ["run", "state", *cost, "of all", "reads", "writes", "when"]
            table(console, heads, [_row(release, each.total) for release in each.releases])


def _lines(each: Standing) -> list[str]:
    note = f" ({each.note})" if each.note else ""
    lines = [f"budget {each.name}{note}: {each.left} left of {each.total}"]
    lines += [_bar(each.total.unit, each.left.amount, each.total.amount)]
    if each.total.delta:
        lines += [_bar("delta", each.left.delta, each.total.delta)]
    if each.composed is not None:
        lines.append(f"by loss distributions, to inform: {each.composed}")
    return lines


def _bar(what: str, left: Fraction, total: Fraction) -> str:
    """What is left as `#`: never full where something is spent, nor empty where some is left."""
    share = left / total
    marks = int(share * _WIDTH) if share > Fraction(1, _WIDTH) else int(left > 0)
    return f"{what:>7} [{'#' * marks}{'.' * (_WIDTH - marks)}] {float(share):.1%} left"


def _row(release: Release, total: Budget) -> tuple[object, ...]:
    charge = release.charge
    cost = [f"{float(charge.amount):.6g}", f"{float(charge.delta):.3g}"]
    share = f"{float(charge.amount / total.amount):.1%}"
    if not release.counts:
        cost, share = ["nothing", ""], ""
    return (
        release.run_id,
        release.state,
        *cost[: 2 if total.delta else 1],
        share,
        places(release.sources),
        version_of(release.target, release.target_version),
        minute(release),
    )


def _document(each: Standing) -> dict[str, Any]:
    return {
        "name": each.name,
        "total": each.total.as_record(),
        "spent": each.spent.as_record(),
        "left": each.left.as_record(),
        "composed": None if each.composed is None else each.composed.as_record(),
        "opened_at": plain(each.opened_at),
        "note": each.note,
        "releases": [_release(release) for release in each.releases],
    }


def _release(release: Release) -> dict[str, Any]:
    return {
        **plain(release),
        "charge": release.charge.as_record(),
        "mechanisms": json.loads(release.mechanisms),
        "lineage": list(release.lineage),
    }


def cancel(
    out: Output,
    run: Annotated[str, typer.Argument(metavar="RUN", show_default=False)],
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", show_default=False, help="Why.")
    ] = None,
) -> None:
    """Give back what a run reserved and never drew noise for: its job died before, say.

    Once a draw was started its charge is spent, whatever became of it.
    """
    from privpipe.catalog.ledger import attempts
    from privpipe.catalog.ledger import cancel as cancelled

    with home_of(out) as home, out.working(f"cancelling run {run}"):
        found = attempts(home.catalog, run)
        if not found:
            raise BudgetError(
                "no budget knows this run",
                where=f"run {run}",
                hint="`privpipe budget show` lists the runs",
            )
        held = [each for each in found if each.state == "reserved"]
        # Of what is past that, the last tells why not.
        back = [cancelled(home.catalog, each.uid, note=note) for each in held or found[-1:]]
    document = {"run": run, "cancelled": [_release(each) for each in back]}
    out.summary(
        document, [f"run {run}: {each.charge} is back in budget {each.budget}" for each in back]
    )
