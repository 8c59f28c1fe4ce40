"""PipelineDP on Spark's RDDs, in its own environment: see `_serve`.

`how`: its noise and its accountant, `laplace` or `gaussian`, `naive` or `pld`; where keys are
selected, one of its strategies. All figures are of one value column, and one aggregation.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pipeline_dp
from _serve import Rows, Task, serve, session

METRICS = {
    "count": pipeline_dp.Metrics.COUNT,
    "sum": pipeline_dp.Metrics.SUM,
    "mean": pipeline_dp.Metrics.MEAN,
}


def release(spark: Any, task: Task) -> Rows:
    valued = [each for each in task["figures"] if each["kind"] != "count"]
    columns = [task["unit"], task["group"]]
    columns += [each["column"] for each in valued[:1]]
    rows = spark.read.parquet(task["source"]).select(*columns).rdd.map(tuple)
    noise, accountant = task["how"].split()
    composed = accountant == "pld"
    kind = pipeline_dp.PLDBudgetAccountant if composed else pipeline_dp.NaiveBudgetAccountant
    held = kind(task["epsilon"], task["delta"])
    engine = pipeline_dp.DPEngine(held, pipeline_dp.SparkRDDBackend(spark.sparkContext))
    extract = pipeline_dp.DataExtractors(
        privacy_id_extractor=itemgetter(0),
        partition_extractor=itemgetter(1),
        value_extractor=itemgetter(2) if valued else _nothing,
    )
    if task["keys"] is None:
        strategy = pipeline_dp.PartitionSelectionStrategy[accountant.upper()]
        asked = pipeline_dp.SelectPartitionsParams(
            max_partitions_contributed=task["groups"], partition_selection_strategy=strategy
        )
        found = engine.select_partitions(rows, asked, extract)
        held.compute_budgets()
        return {str(key): [] for key in found.collect()}
    ends = {"min_value": valued[0]["low"], "max_value": valued[0]["high"]} if valued else {}
    params = pipeline_dp.AggregateParams(
        metrics=[metric(each) for each in task["figures"]],
        noise_kind=pipeline_dp.NoiseKind[noise.upper()],
        max_partitions_contributed=task["groups"],
        max_contributions_per_partition=task["rows"],
        **ends,
    )
    found = engine.aggregate(rows, params, extract, public_partitions=task["keys"])
    held.compute_budgets()
    told = {}
    for key, values in found.collect():
        named = values._asdict()
        told[str(key)] = [float(named[name(each)]) for each in task["figures"]]
    return told


def _nothing(_row: Any) -> int:
    return 0


def metric(each: Task) -> Any:
    if each["kind"] == "quantile":
        return pipeline_dp.Metrics.PERCENTILE(round(100 * each["at"]))
    return METRICS[each["kind"]]


def name(each: Task) -> str:
    return f"percentile_{round(100 * each['at'])}" if each["kind"] == "quantile" else each["kind"]


if __name__ == "__main__":
    serve(session, release)
