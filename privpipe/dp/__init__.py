"""Differential privacy over arrays: budgets, noise, fixed point, accounting, figures. No Spark.

The numbers come in as int64 vectors of group results whose rows were bounded before, and go out as
noisy ones, each release charged exactly. The libraries come with `pip install 'privpipe[dp]'`, and
are loaded where they are used.
"""

from __future__ import annotations

from privpipe.dp._accounting import Cost, admit, epsilon_at, release_cost
from privpipe.dp._audit import epsilon_bound
from privpipe.dp._bisection import Bisection
from privpipe.dp._budget import Budget, parse_budget, total_budget
from privpipe.dp._calibration import (
    Query,
    fit_release,
    make_gaussian,
    make_laplace,
    make_threshold,
)
from privpipe.dp._exact import Written, parse_exact
from privpipe.dp._figures import Figures, Interval, interval, non_negative
from privpipe.dp._fixed import FixedPoint, check_sum
from privpipe.dp._mechanisms import Mechanism, Noise
from privpipe.dp._moments import Moments
from privpipe.dp._noise import add_noise, select
from privpipe.dp._quantiles import quantile
from privpipe.dp._sensitivity import Bounds, Sensitivity
from privpipe.dp._totals import consistent_totals

__all__ = [
    "Bisection",
    "Bounds",
    "Budget",
    "Cost",
    "Figures",
    "FixedPoint",
    "Interval",
    "Mechanism",
    "Moments",
    "Noise",
    "Query",
    "Sensitivity",
    "Written",
    "add_noise",
    "admit",
    "check_sum",
    "consistent_totals",
    "epsilon_at",
    "epsilon_bound",
    "fit_release",
    "interval",
    "make_gaussian",
    "make_laplace",
    "make_threshold",
    "non_negative",
    "parse_budget",
    "parse_exact",
    "quantile",
    "release_cost",
    "select",
    "total_budget",
]
