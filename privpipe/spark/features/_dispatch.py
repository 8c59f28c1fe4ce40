"""Which way a spec goes: figures of groups are released, noisy, or exact of enough units; features
of entities are written."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from privpipe.features import EntitySpec, ExactSpec, FeatureSpec
from privpipe.policy import Plan, Policy
from privpipe.spark._admission import Request
from privpipe.spark._release import Run
from privpipe.spark._workspace import Workspace
from privpipe.spark.features._entities import entity_features
from privpipe.spark.features._exact import exact_features
from privpipe.spark.features._run import release_features

__all__ = ["write_features"]


def write_features(
    work: Workspace,
    spec: FeatureSpec,
    request: Request,
    plan_table: Callable[[Policy, DataFrame], Plan],
) -> Run:
    """Carries out what `request` asks for; the same run id twice changes nothing, and costs
    nothing. Raises: as `release_features`, `exact_features` and `entity_features`."""
    if isinstance(spec, EntitySpec):
        return entity_features(work, spec, request, plan_table)
    if isinstance(spec, ExactSpec):
        return exact_features(work, spec, request, plan_table)
    return release_features(work, spec, request, plan_table)
