"""`privpipe risk`: how likely the rows of a table are led back to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privpipe.cli._output import Output, plain, table
from privpipe.cli._project import home_or_none
from privpipe.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.spark.risk import RiskReport, SensitiveReport, SizeBand

__all__ = ["risk"]

_REFUSED = 3


def risk(
    out: Output,
    source: Annotated[str, typer.Argument(metavar="T", show_default=False)],
    quasi: Annotated[
        str,
        typer.Option(
            "--quasi",
            metavar="C,C",
            show_default=False,
            help="The columns by which others may know a person.",
        ),
    ],
    sensitive: Annotated[
        str | None,
        typer.Option("--sensitive", metavar="C,C", help="The columns that they must not learn."),
    ] = None,
    population: Annotated[
        str | None,
        typer.Option(
            "--population", metavar="P", help="The table of all the people that T was drawn from."
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("--k", metavar="K", min=1, help="Exit 3 where a class is smaller."),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", metavar="R", help="Count the rows of more risk.")
    ] = 0.2,
) -> int | None:
    """Tell how likely the rows of a table or source are led back to people.

    Rows that agree in all quasi columns are a class. Reads only, prints counts and no value. No
    project is needed.
    """
    known, hidden = _names("--quasi", quasi), _names("--sensitive", sensitive)
    with home_or_none(out) as home, out.working(f"measuring {source}"):
        from privpipe.spark.risk import measure_risk

        report = measure_risk(
            source,
            known,
            sensitive=hidden,
            population=population,
            threshold=threshold,
            spark=None if home is None else home.spark,
        )
    document: dict[str, Any] = {"source": source, **plain(report), "wanted_k": k}
    out.result(document, lambda console: _show(console, report, k))
    for text in report.cautions:
        out.warn(text)
    return _REFUSED if k is not None and report.k < k else None


def _names(option: str, given: str | None) -> tuple[str, ...]:
    """The names between commas; one in backticks may hold a comma."""
    if given is None:
        return ()
    parts = [part.strip() for part in _split(given)]
    if not all(parts):
        raise UsageError(
            "an empty name between commas", where=option, hint=f"{option} birth_date,sex,zip"
        )
    return tuple(parts)


def _split(text: str) -> Iterator[str]:
    part, quoted = "", False
    for character in text:
        quoted ^= character == "`"
        if character == "," and not quoted:
            yield part
            part = ""
        else:
            part += character
    yield part


def _show(console: Console, report: RiskReport, k: int | None) -> None:
    table(console, [", ".join(report.quasi), ""], _head(report))
    console.out("")
    table(
        console,
        ["class of", "classes", "rows", "share of rows"],
        [(_band(band), band.classes, band.rows, _share(band.rows / report.rows))
         for band in report.sizes],
    )  # fmt: skip
    console.out("")
    over = f"rows above {report.threshold:g}"
    table(console, ["attacker", "highest", "average", over, ""], _attackers(report))
    for one in report.sensitive:
        console.out("")
        table(console, [one.column, ""], _diversity(one, report.rows))
    if k is not None:
        console.out("")
        met = "NOT met" if report.k < k else "met"
        console.out(f"k = {k} is {met}: the smallest class has {report.k} row(s)")


def _head(report: RiskReport) -> list[tuple[object, ...]]:
    return [
        ("rows", report.rows),
        ("classes", report.classes),
        ("smallest class (k)", report.k),
        ("unique rows", f"{report.unique_rows} ({_share(report.unique_share)})"),
    ]


def _band(band: SizeBand) -> str:
    if band.most is None:
        return f"{band.least} or more"
    return str(band.least) if band.least == band.most else f"{band.least} to {band.most}"


def _attackers(report: RiskReport) -> list[tuple[object, ...]]:
    told = (
        "no population given: as the prosecutor"
        if report.population_rows is None
        else f"drawn from {report.population_rows} rows"
    )
    rows: list[tuple[object, ...]] = [
        (name, _share(one.highest), _share(one.average),
         f"{one.rows_above} ({_share(one.share_above)})", note)
        for name, one, note in (
            ("prosecutor", report.prosecutor, "knows that the person is in the table"),
            ("journalist", report.journalist, told),
        )
    ]  # fmt: skip
    return [*rows, ("marketer", "", _share(report.marketer), "", "of all rows, named rightly")]


def _diversity(one: SensitiveReport, rows: int) -> list[tuple[object, ...]]:
    return [
        ("distinct values", one.values),
        ("distinct l-diversity", one.distinct),
        ("entropy l-diversity", f"{one.entropy:.2f}"),
        (f"recursive (c, {one.recursive_l})-diversity, c above", f"{one.recursive:.2f}"),
        (f"t-closeness ({one.distance} distance)", f"{one.closeness:.3f}"),
        ("rows whose class has one value", f"{one.told_rows} ({_share(one.told_rows / rows)})"),
    ]


def _share(share: float) -> str:
    if 0 < share < 0.0001:
        return "below 0.01 %"
    if 0.9999 < share < 1:
        return "above 99.99 %"
    return f"{100 * share:.2f} %".replace(".00 %", " %")
