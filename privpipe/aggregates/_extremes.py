"""Least and greatest values. They are values of single rows, so no private release has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._groups import Groups
from privpipe.aggregates._ordered import check_ordered, plain

__all__ = ["Max", "Min"]


@dataclass(frozen=True, slots=True)
class _Extreme:
    """The partial is the value itself, or null."""

    dp: ClassVar[bool] = False
    name: ClassVar[str] = ""

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """Each group's extreme value."""
        check_ordered(values.type, self.name)
        return self.combine(groups, plain(values))

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """The extreme of extremes."""
        inside, values = groups.valid(partials)
        if pt.is_floating(values.type):
            return self._floats(inside, values)
        if pt.is_integer(values.type) or pt.is_temporal(values.type):
            return self._integers(inside, values)
        table = pa.table({"group": inside.index, "value": values})
        # Without threads: Spark gives a worker the cores that it may use.
        found = table.group_by("group", use_threads=False).aggregate([("value", self.name)])
        place = np.full(groups.count, -1, dtype=np.int64)
        place[found["group"].to_numpy()] = np.arange(len(found))
        values = found[f"value_{self.name}"].combine_chunks().cast(partials.type)
        return values.take(pa.array(place, mask=place < 0))

    def finish(self, partials: pa.Array) -> pa.Array:
        """The partials."""
        return partials

    def native(self, kind: pa.DataType) -> str | None:
        """Spark's own; of floats, it keeps the zero that it meets first."""
        return None if pt.is_floating(kind) else f"{self.name}({{0}})"

    def _integers(self, inside: Groups, values: pa.Array) -> pa.Array:
        form = pa.int64() if values.type.bit_width == 64 else pa.int32()
        short = pt.is_integer(values.type)
        column = (values if short else values.view(form)).to_numpy(zero_copy_only=False)
        ufunc = np.maximum if self.name == "max" else np.minimum
        found = pa.array(inside.reduce(ufunc, column, 0), mask=inside.sizes == 0)
        return found if short else found.view(values.type)

    def _floats(self, inside: Groups, values: pa.Array) -> pa.Array:
        column = values.to_numpy(zero_copy_only=False)
        if self.name == "max":  # maximum gives NaN where one is NaN; fmin where all are
            found = inside.reduce(np.maximum, column, -np.inf)
        else:
            found = inside.reduce(np.fmin, column, np.nan)
        return pa.array(found, values.type, mask=inside.sizes == 0, from_pandas=False)


@dataclass(frozen=True, slots=True)
class Min(_Extreme):
    """The least value that is not null; NaN only where all are."""

    name: ClassVar[str] = "min"


@dataclass(frozen=True, slots=True)
class Max(_Extreme):
    """The greatest value that is not null; NaN where one is."""

    name: ClassVar[str] = "max"
