"""Features on Spark. Of groups: one pass over bounded units, one draw, one table, one charge. Of
entities: one shuffle, and all windows of an entity in one place."""

from __future__ import annotations

from privpipe.spark.features._audit import attack_features
from privpipe.spark.features._dispatch import write_features
from privpipe.spark.features._run import feature_request, publish_settled
from privpipe.spark.features._sums import group_sums

__all__ = [
    "attack_features",
    "feature_request",
    "group_sums",
    "publish_settled",
    "write_features",
]
