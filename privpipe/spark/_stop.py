"""A value that stops the job: a coded error out of an expression, with no value in it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from privpipe.errors import PrivpipeError

__all__ = ["stop"]


def stop(error: PrivpipeError, kind: DataType) -> Column:
    """Raises `error` in the row that reaches it, where a value of type `kind` was due."""
    # Spark goes on in the error's last line, so that one ends here.
    return F.raise_error(F.lit(f"{error}\n")).cast(kind)
