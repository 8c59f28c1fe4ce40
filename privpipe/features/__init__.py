"""Feature specs: what is told of each group, of whom, within which bounds and at what cost; or of
each entity, over which windows before a moment.

One YAML file a table of features, checked with its lines; of figures of groups, from it alone
follow the noise, the cost and the expected errors. No keys and no Spark here.
"""

from __future__ import annotations

from privpipe.features._audit import Attack, attack
from privpipe.features._bounded import GROUP, HASH, KEY, UNIT, BoundedSums, group_bits
from privpipe.features._draw import Drawn, draw, pass_measures
from privpipe.features._entity_model import (
    WINDOW_KINDS,
    EntitySpec,
    Labels,
    Window,
    WindowAggregate,
    WindowKind,
)
from privpipe.features._exact_figures import enough_of, exact_aggregate
from privpipe.features._exact_model import (
    EXACT_KINDS,
    ExactAggregate,
    ExactKind,
    ExactSpec,
    FeatureSpec,
)
from privpipe.features._figures import Noisy, figure_columns, figure_type
from privpipe.features._group_windows import Over
from privpipe.features._grouped import OURS, ROW, SELECT, Group
from privpipe.features._measures import Measure, figure_of, measures_of
from privpipe.features._model import KINDS, Aggregate, Release, Spec
from privpipe.features._periods import Period
from privpipe.features._places import Placed, column_place, figure_place, on_line, place_of
from privpipe.features._plan import Expected, FeaturePlan, Vector, plan_features
from privpipe.features._policy import written_policy
from privpipe.features._read import load_features, parse_features
from privpipe.features._sums import GroupSums, Pairs, merge_sums
from privpipe.features._totals import with_totals
from privpipe.features._values import NO_VALUE, distinct_column
from privpipe.features._windowed_sums import WINDOWS, bounded_sums, of_all_rows
from privpipe.features._windows import WindowPlan, entity_starts, window_type

__all__ = [
    "EXACT_KINDS",
    "GROUP",
    "HASH",
    "KEY",
    "KINDS",
    "NO_VALUE",
    "OURS",
    "ROW",
    "SELECT",
    "UNIT",
    "WINDOWS",
    "WINDOW_KINDS",
    "Aggregate",
    "Attack",
    "BoundedSums",
    "Drawn",
    "EntitySpec",
    "ExactAggregate",
    "ExactKind",
    "ExactSpec",
    "Expected",
    "FeaturePlan",
    "FeatureSpec",
    "Group",
    "GroupSums",
    "Labels",
    "Measure",
    "Noisy",
    "Over",
    "Pairs",
    "Period",
    "Placed",
    "Release",
    "Spec",
    "Vector",
    "Window",
    "WindowAggregate",
    "WindowKind",
    "WindowPlan",
    "attack",
    "bounded_sums",
    "column_place",
    "distinct_column",
    "draw",
    "enough_of",
    "entity_starts",
    "exact_aggregate",
    "figure_columns",
    "figure_of",
    "figure_place",
    "figure_type",
    "group_bits",
    "load_features",
    "measures_of",
    "merge_sums",
    "of_all_rows",
    "on_line",
    "parse_features",
    "pass_measures",
    "place_of",
    "plan_features",
    "window_type",
    "with_totals",
    "written_policy",
]
