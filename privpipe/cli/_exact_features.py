"""`privpipe features` for specs of exact figures: which groups show, what that does not hide, and
the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from privpipe.cli._feature_views import period_lines
from privpipe.cli._output import Output, plain, printable, table

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.features import ExactSpec
    from privpipe.spark import Run

__all__ = ["exact_run", "exact_told", "show_exact_plan"]

_WEAKER = (
    "exact figures, no differential privacy: who knows all others of a group learns of the last",
    "differences between two releases can tell of one person; nothing counts or bounds them",
    "smaller groups are left out, and no totals are shown that would tell of them",
)


_SHOWN = {
    "count": "in each group",
    "units": "in each group",
    "quantile": "as its bin's beginning, where {} lie in each part",
    "histogram": "bins that {} are in",
    "min": "where {} have it",
    "max": "where {} have it",
    "top": "values that {} have",
}


def show_exact_plan(out: Output, spec: ExactSpec) -> None:
    """Which groups show, what of them, and how each column is protected."""
    from privpipe.features import EXACT_KINDS

    figures = [
        {
            "figure": each.name,
            "what": each.kind + ("" if each.column is None else f" of {each.column}"),
            "is": EXACT_KINDS[each.kind],
            **({} if each.window is None else {"window": each.window.window.describe()}),
            "shown": _SHOWN.get(each.kind, "where {} have a value").format(f"{spec.k:,}"),
            "protection": spec.protections[each.name].strip('"'),
        }
        for each in spec.aggregates
    ]
    document = {
        "features": spec.name,
        "spec_hash": spec.hash,
        "unit": spec.unit,
        "groups": {group.column: group.said for group in spec.groups},
        "privacy": {"k_anonymity": spec.k, "l_diversity": dict(spec.diversity)},
        "shows": spec.hides,
        "differential_privacy": False,
        "cost": None,
        "warnings": list(_WEAKER),
        "figures": figures,
    }
    out.result(document, lambda console: _show(console, spec, figures))


def _show(console: Console, spec: ExactSpec, figures: Sequence[dict[str, Any]]) -> None:
    lines = [f"{spec.name}, by {spec.file}", f"shows {spec.hides}; costs no budget", *_WEAKER]
    if spec.over is not None:
        lines.append(f"of rows in its window alone: {spec.over.describe()}")
    for line in (*lines, *period_lines(spec)):
        console.out(printable(line), highlight=False)
    heads = ["figure", "what", "window", "shown", "protection"]
    if spec.over is None:
        heads.remove("window")
    table(console, heads, [tuple(row[head] for head in heads) for row in figures])


def exact_run(out: Output, run: Run, spec: ExactSpec) -> None:
    """What a run wrote."""
    done = "already written" if run.replayed else f"{run.rows} group(s) written"
    line = f"{done}: {run.target}, version {run.table_version}, run {run.run_id}"
    weaker = f"exact figures of {spec.hides}: no differential privacy, and nothing charged"
    out.summary({**plain(run), "differential_privacy": False}, [line, weaker])
    for text in run.warnings:
        out.warn(text)


def exact_told(spec: ExactSpec) -> dict[str, str]:
    """What of a spec stands beside its runs."""
    return {"shows": spec.hides, "privacy": "k-anonymity"}
