"""How a column stood in the tables that a table was made from: a token of what has several values
of one person is no better than they are.

A column is followed by its name along the runs of the catalog. What a caller's DataFrame brought,
or a view under another name, is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from privpipe.catalog import ColumnRecord, RunRecord
from privpipe.catalog.ledger import may_have_written, read_by, same_data
from privpipe.spark._facts import is_of_column, lying_runs
from privpipe.spark._places_read import one_name
from privpipe.spark._workspace import Workspace

__all__ = ["earlier_facts"]

_Step = tuple[str, int | None]


def earlier_facts(work: Workspace, place: str, column: str) -> tuple[tuple[ColumnRecord, ...], ...]:
    """The facts of a column of this name in all that the table at `place` was made from, by source.

    Of a source whose version is known those of that version count, else those of all runs that may
    have written it, since its earlier versions can be read.
    """
    same = one_name(work)
    runs = [run for run in work.catalog.runs() if may_have_written(run)]
    steps = _steps(runs, same(work.keep(place)), same)
    recorded = (
        [fact for fact in work.catalog.columns() if is_of_column(fact, column)] if steps else []
    )
    found = []
    for step in steps:
        wrote = _writers(runs, step, same)
        found.append(tuple(fact for fact in recorded if fact.run_uid in wrote))
    return tuple(found)


def _steps(runs: Iterable[RunRecord], place: str, same: Callable[[str], str]) -> set[_Step]:
    made = [
        (same(run.target), (same(source), version))
        for run in runs
        for source, version in read_by(run).items()
    ]
    found: set[_Step] = set()
    waiting = [place]
    while waiting:
        now = waiting.pop()
        for target, step in made:
            # A table that is made of itself, as by `rekey`, is under the same protection.
            if step not in found and step[0] != target and same_data(now, target):
                found.add(step)
                waiting.append(step[0])
    return found


def _writers(runs: Iterable[RunRecord], step: _Step, same: Callable[[str], str]) -> set[str]:
    """The uids of the runs whose rows may lie in that source."""
    place, version = step
    own = [run for run in runs if same_data(place, same(run.target))]
    return {run.run_uid for run in own} if version is None else lying_runs(own, version)
