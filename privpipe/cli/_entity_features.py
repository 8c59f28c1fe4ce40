"""`privpipe features` for specs of entities: what is told, that nothing hides it, and the runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from privpipe.cli._output import Output, plain, printable, table

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.features import EntitySpec
    from privpipe.spark import Run

__all__ = ["entity_run", "entity_told", "show_entity_plan"]


def show_entity_plan(out: Output, spec: EntitySpec) -> None:
    """What is told as of which moments, and how each column is protected."""
    protections = spec.protections
    columns = [
        {
            "column": name,
            "what": each.kind + ("" if each.column is None else f" of {each.column}"),
            "window": window.describe(),
            "protection": protections[name].strip('"'),
        }
        for name, each, window in spec.figures
    ]
    document = {
        "features": spec.name,
        "spec_hash": spec.hash,
        "entity": spec.entity,
        "rows": _rows(spec),
        "privacy": "none",
        "clear": list(spec.clear),
        "columns": columns,
    }
    out.result(document, lambda console: _show(console, spec, columns))
    entity = spec.keys[0]
    clear = [name for name in spec.clear if name != entity]
    if entity in spec.clear:
        out.warn(f"{entity} is copied as it is stored: in clear, or under its own protection")
    if clear:
        out.warn(
            f"{len(clear)} column(s) in clear: {', '.join(clear)}: whoever reads the table reads "
            "them; protect them under `columns:`"
        )


def _rows(spec: EntitySpec) -> str:
    if spec.labels is not None:
        return f"one for each row of {spec.labels.table}, as of its {spec.labels.time}"
    return (
        f"one for each {spec.entity} and {spec.grain} that has events, as of its beginning: of "
        "that itself it holds nothing"
    )


def _show(console: Console, spec: EntitySpec, columns: Sequence[dict[str, Any]]) -> None:
    entity, time = spec.keys
    said = {name: spec.protections[name].strip('"') for name in (entity, time)}
    if entity in spec.clear:
        said[entity] = "as it is stored"
    keys = ", ".join(f"{name} ({what})" for name, what in said.items())
    lines = [
        f"{spec.name}, by {spec.file}",
        f"rows: {_rows(spec)}",
        f"keys: {keys}",
        "a window ends before that moment: what happens at it, or later, is none of it",
        "stays inside: no privacy guarantee, each row tells of one entity, exactly",
    ]
    for line in lines:
        console.out(printable(line), highlight=False)
    heads = ["column", "what", "window", "protection"]
    table(console, heads, [tuple(str(each) for each in row.values()) for row in columns])


def entity_run(out: Output, run: Run) -> None:
    """What a run wrote."""
    done = "already written" if run.replayed else f"{run.rows} row(s) of features written"
    line = f"{done}: {run.target}, version {run.table_version}, run {run.run_id}"
    out.summary(plain(run), [line, "no privacy guarantee, and nothing charged"])
    for text in run.warnings:
        out.warn(text)


def entity_told(spec: EntitySpec) -> dict[str, str]:
    """What of a spec stands beside its runs."""
    return {"windows": " ".join(window.text for window in spec.windows), "privacy": "none"}
