"""Steps that make a column coarser and coarser, as the `generalize` of a policy does each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.errors import UsageError
from privpipe.policy import Generalize, format_path, parse_policy, plan_table, settings_json
from privpipe.spark._leaves import apart, quoted
from privpipe.spark._protect import protect
from privpipe.spark._types import table_schema
from privpipe.spark.risk._columns import Asked, asked

__all__ = ["Ladders", "Node", "ladders_of"]

Node = tuple[int, ...]
"""The step of each column: 0 leaves it as it is, the last one makes it null in every row."""

_MOST_NODES = 4096
_MOST_STEPS = 60  # of all columns: what Spark's `grouping_id` counts in 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladders:
    """The columns and, of each, the steps between "as it is" and "null in every row".

    Files that a step names are looked for in the folder `base`.
    """

    columns: tuple[Asked, ...]
    steps: tuple[tuple[Generalize, ...], ...]
    base: Path

    @property
    def tops(self) -> Node:
        """The last step of each column."""
        return tuple(len(steps) + 1 for steps in self.steps)

    def loss(self, node: Node) -> float:
        """The mean share that is climbed of each ladder: 1 less Sweeney's precision (2002)."""
        climbed = [step / top for step, top in zip(node, self.tops, strict=True)]
        return sum(climbed) / len(climbed)

    def nodes(self) -> list[Node]:
        """All combinations of steps, those that lose least first."""
        every = product(*(range(top + 1) for top in self.tops))
        return sorted(every, key=lambda node: (round(self.loss(node), 12), node))

    def chosen(self, node: Node) -> dict[str, Generalize | None]:
        """The settings of each column's step; None where it is the first or the last."""
        return {
            column.name: steps[step - 1] if 0 < step <= len(steps) else None
            for column, steps, step in zip(self.columns, self.steps, node, strict=True)
        }

    def climbed(self, df: DataFrame, wanted: Mapping[str, tuple[int, int]]) -> DataFrame:
        """`df` with columns more: by the name of each, the place of a column and its step."""
        rules: dict[str, object] = {}
        copies, back = {}, {}
        for name, (at, step) in wanted.items():
            column = self.columns[at]
            # What a message of the planner's or of a worker's names.
            title = f"{column.name}, step {step}" if step else f"{column.name}, as it is"
            title = apart(df.columns, title)
            copies[title] = F.col(quoted(column.path[0]))
            back[title] = name
            rules[format_path((title,))] = self._rule(at, step)
        text = json.dumps(
            {"version": 1, "table": "anonymized", "unlisted": "keep", "columns": rules}
        )
        policy = parse_policy(text, name="ladders", base=self.base)
        copied = df.withColumns(copies)
        plan = plan_table(policy, table_schema(copied.schema))
        done = protect(copied, replace(plan, schema_json=copied.schema.json()))
        return done.select(
            *(F.col(quoted(name)) for name in df.columns),
            *(F.col(quoted(title)).alias(name, metadata={}) for title, name in back.items()),
        )

    def _rule(self, at: int, step: int) -> object:
        if step == 0:
            return "keep"
        if step == self.tops[at]:
            return "redact"
        return {"protect": "generalize", **settings_json(self.steps[at][step - 1])}


def ladders_of(
    df: DataFrame,
    known: Sequence[Asked],
    given: Mapping[str, Sequence[Generalize]],
    base: Path,
) -> Ladders:
    """The ladders of the columns `known`; one that none is given for is kept or nulled.

    Raises: UsageError for one of another column, or more combinations than are tried; PolicyError
    where a step is none for its column's type, or its file is not well-formed.
    """
    found: dict[str, tuple[Generalize, ...]] = {}
    for name, steps in given.items():
        [column] = asked(df, [name], "ladder's")
        if column not in known:
            raise UsageError(
                f"a ladder for {name}, which is no quasi column", hint="name it in quasi too"
            )
        found[column.name] = tuple(steps)
    made = Ladders(
        columns=tuple(known),
        steps=tuple(found.get(column.name, ()) for column in known),
        base=base,
    )
    count = prod(top + 1 for top in made.tops)
    if count > _MOST_NODES or sum(top + 1 for top in made.tops) > _MOST_STEPS:
        raise UsageError(
            f"{count} combinations of steps", hint=f"{_MOST_NODES} are tried; leave steps out"
        )
    made.climbed(df, dict(_every(made)))  # so that a step that cannot be is told before any job
    return made


def _every(ladders: Ladders) -> Iterator[tuple[str, tuple[int, int]]]:
    for at, top in enumerate(ladders.tops):
        for step in range(top + 1):
            yield f"q{at}_{step}", (at, step)
