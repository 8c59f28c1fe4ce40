"""Policies: one YAML file a table, checked with its lines, and planned against a table's columns.

No keys and no Spark here, so a policy can be checked in continuous integration.
"""

from __future__ import annotations

from privpipe.policy._context import column_context, domain_context
from privpipe.policy._paths import format_path, parse_path
from privpipe.policy._plan import ColumnPlan, LeafPlan, Plan
from privpipe.policy._types import Field, TableSchema, Type

__all__ = [
    "ColumnPlan",
    "Field",
    "LeafPlan",
    "Plan",
    "TableSchema",
    "Type",
    "column_context",
    "domain_context",
    "format_path",
    "parse_path",
]
