"""Full-domain generalization: one step for all values of a column, the least that suffices."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from privpipe.errors import AnonymityError
from privpipe.spark._leaves import apart, quoted
from privpipe.spark.risk._anonymized import Anonymized, Goal
from privpipe.spark.risk._columns import asked
from privpipe.spark.risk._ladders import Ladders, Node
from privpipe.spark.risk._measure import held, measured
from privpipe.spark.risk._suppress import few

__all__ = ["by_levels"]

_AT_ONCE = 16
"""Combinations that one job counts"""


def by_levels(df: DataFrame, ladders: Ladders, goal: Goal, limit: float) -> Anonymized:
    """The combination of steps that loses least, a suppressed row losing all, with small classes
    suppressed up to the share `limit`.

    Every combination that can be the best is counted, since ladders need not nest: no rule of
    monotony is relied on. Source: Samarati, TKDE 13(6) 2001; Sweeney 2002; the order by loss is
    that of Flash and ARX.
    """
    quasi = [column.name for column in ladders.columns]
    for loss, node, lost in _candidates(df, ladders, goal.k, limit):
        made = _made(df, ladders, node)
        left = few(made, asked(made, quasi, "quasi"), goal.k) if lost else made
        report = measured(left, quasi, goal.sensitive)
        # Those of k were counted, so what can be missed is what a sensitive column asks.
        if not goal.misses(report):
            return Anonymized(
                df=left,
                report=report,
                suppressed=lost,
                levels=ladders.chosen(node),
                steps=dict(zip(quasi, node, strict=True)),
                loss=loss,
            )
    raise AnonymityError(
        "no combination of steps makes the rows hide as was asked",
        hint="ask for less, add coarser steps, or allow for more suppression (limit=0.05)",
    )


def _made(df: DataFrame, ladders: Ladders, node: Node) -> DataFrame:
    """`df` with each column at its step."""
    own = apart(df.columns, "privpipe_q")
    new = {
        column.path[0]: f"{own}{at}"
        for at, (column, step) in enumerate(zip(ladders.columns, node, strict=True))
        if step
    }
    places = [column.path[0] for column in ladders.columns]
    wanted = {copy: (places.index(name), node[places.index(name)]) for name, copy in new.items()}
    if not wanted:
        return df
    climbed = ladders.climbed(df, wanted)
    return climbed.select(
        *(F.col(quoted(new.get(name, name))).alias(name, metadata={}) for name in df.columns)
    )


def _candidates(
    df: DataFrame, ladders: Ladders, k: int, limit: float
) -> Iterator[tuple[float, Node, int]]:
    """Combinations of no more suppression than allowed, those that lose least first: loss, steps,
    rows to suppress."""
    nodes = ladders.nodes()
    waiting: list[tuple[float, Node, int]] = []
    with held(_levels(df, ladders)) as levels:
        for at in range(0, len(nodes), _AT_ONCE):
            chunk = nodes[at : at + _AT_ONCE]
            # None of these or later ones can lose less than what is known by now.
            while waiting and waiting[0][0] < ladders.loss(chunk[0]) - 1e-12:
                yield heapq.heappop(waiting)
            for node, sizes in _sizes(levels, chunk).items():
                rows = sum(size * n for size, n in sizes.items())
                lost = sum(size * n for size, n in sizes.items() if size < k)
                if lost < rows and lost <= limit * rows:
                    share = lost / rows
                    loss = round(share + (1 - share) * ladders.loss(node), 12)
                    heapq.heappush(waiting, (loss, node, lost))
        while waiting:
            yield heapq.heappop(waiting)


def _levels(df: DataFrame, ladders: Ladders) -> DataFrame:
    """How many rows, `n`, have each combination of values, with every step of each."""
    own = apart((column.path[0] for column in ladders.columns), "privpipe_")
    values = [column.value.alias(column.path[0]) for column in ladders.columns]
    cells = df.groupBy(*values).agg(F.count(F.lit(1)).alias(f"{own}n"))
    wanted = {
        f"{own}q{at}_{step}": (at, step)
        for at, top in enumerate(ladders.tops)
        for step in range(top + 1)
    }
    names = [f"{own}n", *wanted]
    return ladders.climbed(cells, wanted).select(*names).toDF(*(n.removeprefix(own) for n in names))


def _sizes(levels: DataFrame, nodes: Sequence[Node]) -> Mapping[Node, Mapping[int, int]]:
    """For each combination, how many classes there are of each size: one job for all."""
    columns = [name for name in levels.columns if name != "n"]
    sets = [[f"q{at}_{step}" for at, step in enumerate(node)] for node in nodes]
    ids = {_grouping_id(columns, one): node for one, node in zip(sets, nodes, strict=True)}
    classes = levels.groupingSets(sets, *columns).agg(
        F.sum("n").alias("size"), F.grouping_id().alias("node")
    )
    counted = classes.groupBy("node", "size").agg(F.count(F.lit(1)).alias("classes")).collect()
    found: dict[Node, dict[int, int]] = {node: {} for node in nodes}
    for row in counted:
        found[ids[row["node"]]][row["size"]] = row["classes"]
    return found


def _grouping_id(columns: Sequence[str], used: Sequence[str]) -> int:
    """As Spark counts it: a bit a column, the first the highest, set where it is not used."""
    return sum(1 << bit for bit, name in enumerate(reversed(columns)) if name not in used)
