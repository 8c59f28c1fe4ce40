"""What the tests of sources share: writing one, reading it, being refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame

from privpipe.errors import PrivpipeError
from privpipe.spark._errors import translated

Write = Callable[[str, str | bytes], str]

SECRET = "Kowalczyk-4711"


def rows(df: DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in df.collect()]


def refusal(run: Callable[[], object]) -> PrivpipeError:
    """The coded error that a job ends with; nothing of the row is in it or what led to it."""
    with pytest.raises(PrivpipeError) as caught, translated("reading"):
        run()
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error}{error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return caught.value
