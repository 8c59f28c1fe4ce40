"""Aggregates over DataFrames, as map, combine and finish (`privpipe.aggregates`) on Spark's engine.

`aggregate` gives figures; `partials` gives what can be stored by day, `merge` puts days together,
and `finish` makes figures of them.
"""

from __future__ import annotations

from privpipe.spark.mapreduce._frames import aggregate, finish, merge, partials
from privpipe.spark.mapreduce._plan import Spec

__all__ = ["Spec", "aggregate", "finish", "merge", "partials"]
