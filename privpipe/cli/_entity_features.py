"""`privpipe features` for specs of entities: what is told, that nothing hides it, and the runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from privpipe.cli._catalog import same_place
from privpipe.cli._output import Output, plain, printable, table
from privpipe.errors import SpecError

if TYPE_CHECKING:
    from rich.console import Console

    from privpipe.catalog import RunRecord
    from privpipe.features import EntitySpec
    from privpipe.policy import Project
    from privpipe.spark import Run

__all__ = ["entity_run", "entity_runs", "show_entity_plan", "versions"]


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


def versions(reads: Mapping[str, int | None]) -> str:
    """The places that were read, each `@` its version where it has some."""
    return " ".join(place if at is None else f"{place}@{at}" for place, at in reads.items())


def entity_run(out: Output, run: Run) -> None:
    """What a run wrote."""
    done = "already written" if run.replayed else f"{run.rows} row(s) of features written"
    line = f"{done}: {run.target}, version {run.table_version}, run {run.run_id}"
    out.summary(plain(run), [line, "no privacy guarantee, and nothing charged"])
    for text in run.warnings:
        out.warn(text)


def entity_runs(
    out: Output,
    project: Project,
    target: str,
    runs: Sequence[RunRecord],
    key_ids: Mapping[str, Sequence[int]],
) -> bool:
    """Shows the runs that wrote features of entities into a table; whether there are any.
    `key_ids` are those that each run's columns are under, by its id."""
    from privpipe.features import EntitySpec, parse_features

    rows = []
    for run in runs:
        ours = run.state == "COMMITTED" and run.mode != "rekey"
        if not ours or not same_place(project, run.target, target):
            continue
        try:
            spec = parse_features(run.policy)
        except SpecError:
            continue  # a policy, of a table that was protected
        if isinstance(spec, EntitySpec):
            rows.append(
                {
                    "features": spec.name,
                    "run": run.run_id,
                    "version": run.table_version,
                    "rows": run.rows,
                    "reads": versions(json.loads(run.reads or "{}") or {run.source: None}),
                    "windows": " ".join(window.text for window in spec.windows),
                    "privacy": "none",
                    "when": plain(run.started_at),
                    "spec_hash": run.policy_hash,
                    "key_ids": key_ids.get(run.run_id, ()),
                }
            )
    if not rows:
        return False
    heads = [name for name in rows[0] if name not in ("spec_hash", "key_ids")]
    out.result(
        {"target": target, "runs": plain(rows)},
        lambda console: table(console, heads, [tuple(row[name] for name in heads) for row in rows]),
    )
    return True
