"""The protections that lose what they hide, as Spark's own expressions: no worker, no key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from privpipe.errors import PolicyError
from privpipe.policy import Replace, constant
from privpipe.spark._bucket import bucket
from privpipe.spark._generalize import generalize
from privpipe.spark._mask import mask
from privpipe.spark._types import policy_type

__all__ = ["EXPRESSIONS"]


def redact(_: Column, kind: DataType, __: object) -> Column:
    """Null, of the value's own type."""
    return F.lit(None).cast(kind)


def replace(source: Column, kind: DataType, settings: Replace) -> Column:
    """One constant where there is a value; null stays null."""
    if settings.value is None:
        raise PolicyError("no `value` to replace by")
    found = constant(settings.value, policy_type(kind))
    # As text, since a date or a decimal loses on its way into the JVM.
    literal = str(found) if isinstance(found, (date, Decimal)) else found
    return F.when(source.isNotNull(), F.lit(literal).cast(kind))


EXPRESSIONS: Mapping[str, Callable[[Column, DataType, Any], Column]] = MappingProxyType(
    {
        "bucket": bucket,
        "generalize": generalize,
        "mask": mask,
        "redact": redact,
        "replace": replace,
    }
)
"""What each makes of a leaf, of its Spark type, under its settings."""
