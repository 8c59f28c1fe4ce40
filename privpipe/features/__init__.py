"""Feature specs: what is told of each group, of whom, within which bounds and at what cost.

One YAML file a table of features, checked with its lines; from it alone follow the noise, the cost
and the expected errors. No keys and no Spark here.
"""

from __future__ import annotations

from privpipe.features._figures import Noisy, figure_columns, figure_type
from privpipe.features._measures import Measure, measures_of
from privpipe.features._model import KINDS, ROW, SELECT, Aggregate, Group, Release, Spec
from privpipe.features._plan import Expected, FeaturePlan, Vector, plan_features
from privpipe.features._read import load_features, parse_features

__all__ = [
    "KINDS",
    "ROW",
    "SELECT",
    "Aggregate",
    "Expected",
    "FeaturePlan",
    "Group",
    "Measure",
    "Noisy",
    "Release",
    "Spec",
    "Vector",
    "figure_columns",
    "figure_type",
    "load_features",
    "measures_of",
    "parse_features",
    "plan_features",
]
