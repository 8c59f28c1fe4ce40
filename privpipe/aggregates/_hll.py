"""How many different values there are, nearly: HyperLogLog sketches of Apache DataSketches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from privpipe.aggregates._groups import Groups
from privpipe.aggregates._libraries import datasketches
from privpipe.aggregates._ordered import check_ordered
from privpipe.errors import UsageError

__all__ = ["Hll", "runs"]


@dataclass(frozen=True, slots=True)
class Hll:
    """About how many different values there are, nulls and empty strings aside, as Spark has it.

    The relative standard error is 1.04 / 2^(lg_k / 2) at most: 1.6 % for 12. The figure depends on
    the set of values alone, in any order and grouping. A partial has 2^lg_k + 40 bytes at most; of
    integers and strings it is what `hll_sketch_agg` makes, and Spark's `hll_sketch_estimate` and
    `hll_union` read it. Its hashes have a public seed: whoever holds a partial tries values on it.

    One person moves the figure by more than one: it is none for a private release.
    """

    dp: ClassVar[bool] = False

    lg_k: int = 12

    def __post_init__(self) -> None:
        if not 7 <= self.lg_k <= 21:
            raise UsageError("lg_k is from 7 to 21", where=f"lg_k={self.lg_k}")

    def map(self, groups: Groups, values: pa.Array) -> pa.Array:
        """A sketch of each group's values."""
        check_ordered(values.type, "hll")
        inside, some = groups.valid(values)
        items = _items(some.take(pa.array(inside.order)))
        return pa.array(self._sketches(runs(inside, items)), pa.binary())

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """Unions."""
        texts = partials.take(pa.array(groups.order)).to_pylist()
        return pa.array([self._union(each) for each in runs(groups, texts)], pa.binary())

    def finish(self, partials: pa.Array) -> pa.Array:
        """Estimates, rounded to whole numbers."""
        library = datasketches()
        figures = []
        for text in partials.to_pylist():
            # A union with itself leaves the registers, and drops what else the sketch knows of the
            # order in which they were filled.
            union = library.hll_union(self.lg_k)
            for _ in range(2):
                union.update(library.hll_sketch.deserialize(text))
            figures.append(round(union.get_estimate()))
        return pa.array(figures, pa.int64())

    def _sketches(self, items: Iterable[list[Any]]) -> Iterator[bytes]:
        library = datasketches()
        kind = library.tgt_hll_type.HLL_8
        for each in items:
            sketch = library.hll_sketch(self.lg_k, kind)
            update = sketch.update
            for item in each:
                update(item)
            yield sketch.serialize_updatable()

    def _union(self, texts: list[bytes]) -> bytes:
        library = datasketches()
        union = library.hll_union(self.lg_k)
        for text in texts:
            union.update(library.hll_sketch.deserialize(text))
        found: bytes = union.get_result(library.tgt_hll_type.HLL_8).serialize_updatable()
        return found


def runs(groups: Groups, items: Any) -> Iterator[Any]:
    """The items of each group, where they stand group by group."""
    ends = np.cumsum(groups.sizes).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        yield items[start:end]


def _items(values: pa.Array) -> list[Any]:
    """What the sketch hashes: integers, and dates and times as such, doubles, or texts."""
    kind = values.type
    if pt.is_date32(kind):
        values = values.cast(pa.int32())
    elif pt.is_temporal(kind):
        values = values.cast(pa.int64())
    if pt.is_boolean(kind):
        values = values.cast(pa.int8())
    if pt.is_integer(values.type) or pt.is_floating(values.type):
        found: list[Any] = values.to_numpy(zero_copy_only=False).tolist()
        return found
    coded = values.dictionary_encode()
    texts = [
        each.hex() if pt.is_binary(kind) else str(each) for each in coded.dictionary.to_pylist()
    ]
    return [texts[place] for place in coded.indices.to_numpy().tolist()]
