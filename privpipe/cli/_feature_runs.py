"""The runs that wrote features at no cost: exact figures of groups, and features of entities."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from privpipe.cli._catalog import same_place
from privpipe.cli._entity_features import entity_told
from privpipe.cli._exact_features import exact_told
from privpipe.cli._feature_views import places
from privpipe.cli._output import Output, plain, table
from privpipe.errors import SpecError

if TYPE_CHECKING:
    from privpipe.catalog import RunRecord
    from privpipe.features import EntitySpec, ExactSpec
    from privpipe.policy import Project

__all__ = ["show_runs"]

_BESIDE = ("spec_hash", "key_ids")


def show_runs(
    out: Output,
    project: Project,
    target: str,
    runs: Sequence[RunRecord],
    key_ids: Mapping[str, Sequence[int]],
) -> bool:
    """Shows the runs that wrote features into a table, and cost no budget; whether there are any.
    `key_ids` are those that each run's columns are under, by its id."""
    here = [run for run in runs if same_place(project, run.target, target)]
    rows = [_row(run, spec, key_ids.get(run.run_id, ())) for run, spec in _made_by(here)]
    if not rows:
        return False
    heads = [name for name in rows[-1] if name not in _BESIDE]
    out.result(
        {"target": target, "runs": plain(rows)},
        lambda console: table(
            console, heads, [tuple(row.get(name, "") for name in heads) for row in rows]
        ),
    )
    return True


def _made_by(runs: Sequence[RunRecord]) -> Iterator[tuple[RunRecord, EntitySpec | ExactSpec]]:
    from privpipe.features import Spec, parse_features

    for run in runs:
        if run.state != "COMMITTED" or run.mode == "rekey":
            continue
        try:
            spec = parse_features(run.policy)
        except SpecError:
            continue  # a policy, of a table that was protected
        if not isinstance(spec, Spec):
            yield run, spec


def _row(run: RunRecord, spec: EntitySpec | ExactSpec, key_ids: Sequence[int]) -> dict[str, Any]:
    from privpipe.features import EntitySpec

    told = entity_told(spec) if isinstance(spec, EntitySpec) else exact_told(spec)
    return {
        "features": spec.name,
        "run": run.run_id,
        "version": run.table_version,
        "rows": run.rows,
        "reads": places(json.loads(run.reads or "{}") or {run.source: None}),
        **told,
        "when": plain(run.started_at),
        "spec_hash": run.policy_hash,
        "key_ids": list(key_ids),
    }
