"""What a Delta table can hold: refused at `plan`, not in the middle of a write."""

from __future__ import annotations

from pyspark.sql.types import StructType

from privpipe.errors import SchemaError
from privpipe.policy import Plan
from privpipe.spark._drops import shape_without
from privpipe.spark._types import delta_refuses
from privpipe.spark._written import written_shape

__all__ = ["refuse_unstorable"]


def refuse_unstorable(plan: Plan, schema: StructType) -> None:
    """Raises SchemaError naming each column that would stay in clear and Delta cannot hold."""
    found = []
    for column in plan.columns:
        if column.action in ("drop", "undecided"):
            continue
        shape = shape_without(schema[column.name].dataType, column.drops)
        refused = delta_refuses(written_shape(shape, column.leaves))
        if refused is not None:
            found.append(f"{column.name} ({refused}, line {column.line})")
    if found:
        raise SchemaError(
            f"no Delta table can hold these in clear: {', '.join(found)}",
            where=plan.policy_name,
            hint="encrypt or drop them, or cast them in the source",
        )
