"""Aggregates as map, combine and finish: over Arrow arrays, all groups at once. No Spark.

Partials are values: they travel through a shuffle, lie in a table by day, and merge to the same
figures in any order. `privpipe.spark.mapreduce` runs them. `Hll` and `Kll` come with
`pip install 'privpipe[sketches]'`.
"""

from __future__ import annotations

from privpipe.aggregates._aggregate import (
    Aggregate,
    NativeAggregate,
    combined,
    finished,
    mapped,
    native_text,
)
from privpipe.aggregates._count import Count
from privpipe.aggregates._distinct import Distinct, TopK
from privpipe.aggregates._enough import (
    Enough,
    SharedBins,
    SharedExtreme,
    SharedQuantile,
    SharedTop,
)
from privpipe.aggregates._extremes import Max, Min
from privpipe.aggregates._groups import Groups
from privpipe.aggregates._histogram import Histogram
from privpipe.aggregates._hll import Hll
from privpipe.aggregates._index import grouped
from privpipe.aggregates._kll import Kll
from privpipe.aggregates._quantile import Quantile
from privpipe.aggregates._sums import Mean, Sum
from privpipe.aggregates._variance import Deviation, Variance

__all__ = [
    "Aggregate",
    "Count",
    "Deviation",
    "Distinct",
    "Enough",
    "Groups",
    "Histogram",
    "Hll",
    "Kll",
    "Max",
    "Mean",
    "Min",
    "NativeAggregate",
    "Quantile",
    "SharedBins",
    "SharedExtreme",
    "SharedQuantile",
    "SharedTop",
    "Sum",
    "TopK",
    "Variance",
    "combined",
    "finished",
    "grouped",
    "mapped",
    "native_text",
]
