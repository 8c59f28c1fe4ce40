"""Tumult Analytics, in its own environment: see `_serve`.

`how`: `approximate` (its Laplace noise), `zcdp` (its Gaussian, at the rho that meets epsilon and
delta), `pure`. Each figure is a query with an even part of the budget, since it has no query of
several; the bounded rows are a view, which it keeps for all of them where `cache` is set.
"""

from __future__ import annotations

from typing import Any

from _serve import Rows, Task, serve, session
from tmlt.analytics import (
    AddRowsWithID,
    ApproxDPBudget,
    KeySet,
    MaxGroupsPerID,
    MaxRowsPerGroupPerID,
    PureDPBudget,
    QueryBuilder,
    RhoZCDPBudget,
    Session,
)


def budget(task: Task, parts: int = 1) -> Any:
    if task["how"] == "zcdp":
        return RhoZCDPBudget(task["rho"] / parts)
    if task["how"] == "pure":
        return PureDPBudget(task["epsilon"] / parts)
    return ApproxDPBudget(task["epsilon"] / parts, task["delta"] / parts)


def release(spark: Any, task: Task) -> Rows:
    columns = [task["unit"], task["group"]]
    columns += [each["column"] for each in task["figures"] if each.get("column")]
    df = spark.read.parquet(task["source"]).select(*dict.fromkeys(columns))
    made = Session.from_dataframe(budget(task), "rows", df, AddRowsWithID(task["unit"]))
    group = task["group"]
    bounded = (
        QueryBuilder("rows")
        .enforce(MaxGroupsPerID(group, task["groups"]))
        .enforce(MaxRowsPerGroupPerID(group, task["rows"]))
    )
    if task["keys"] is None:
        found = made.evaluate(bounded.get_groups([group]), budget(task))
        return {str(row[0]): [] for row in found.collect()}
    if task.get("cache"):
        made.create_view(bounded, "bounded", cache=True)
        bounded = QueryBuilder("bounded")
    told: Rows = {str(key): [] for key in task["keys"]}
    grouped = bounded.groupby(KeySet.from_dict({group: task["keys"]}))
    for each in task["figures"]:
        query = figure(grouped, each)
        for row in made.evaluate(query, budget(task, len(task["figures"]))).collect():
            told[str(row[group])].append(float(row["told"]))
    return told


def figure(grouped: Any, each: Task) -> Any:
    if each["kind"] == "count":
        return grouped.count(name="told")
    ends = {"low": each["low"], "high": each["high"], "name": "told"}
    if each["kind"] == "sum":
        return grouped.sum(each["column"], **ends)
    if each["kind"] == "mean":
        return grouped.average(each["column"], **ends)
    return grouped.quantile(each["column"], each["at"], **ends)


if __name__ == "__main__":
    serve(session, release)
