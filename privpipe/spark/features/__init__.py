"""Private features on Spark: one pass over bounded units, one draw, one table, one charge."""

from __future__ import annotations

from privpipe.spark.features._audit import attack_features
from privpipe.spark.features._run import feature_request, publish_settled, release_features
from privpipe.spark.features._sums import group_sums

__all__ = [
    "attack_features",
    "feature_request",
    "group_sums",
    "publish_settled",
    "release_features",
]
