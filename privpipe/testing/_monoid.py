"""The laws of an aggregate, tried on seeded random batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from privpipe.aggregates import Aggregate, Groups, combined, finished, mapped

__all__ = ["Batch", "Same", "check_monoid"]

Batch = Sequence[pa.Array]
"""The columns of some rows."""

Same = Callable[[pa.Array, pa.Array], bool]
"""Whether two arrays of figures are as good as equal."""

_GROUPS = 4


def check_monoid(
    aggregate: Aggregate,
    make_batch: Callable[[np.random.Generator], Batch],
    *,
    same: Same | None = None,
    rounds: int = 50,
    seed: int = 0,
) -> None:
    """That figures are the same however rows are divided and partials are put together.

    `make_batch` gives a random batch of the input columns, of any length: with nulls, extremes and
    now and then no row. Each round takes three batches in four groups, one of which stays empty,
    and compares figures by `same` (equal, to the bit, where none is given):

    - associativity: (a + b) + c, a + (b + c) and all three at once
    - commutativity: a + b and b + a
    - identity: a + what no row gives, and what no partial gives
    - map of all rows at once, and of the rows in another order, and the partials of each combined

    The arguments of no function may be changed by it, and empty arrays tell the types of partials
    and figures. Raises: AssertionError, which names the law; AggregateError for a broken contract.

    >>> from privpipe.aggregates import Count
    >>> check_monoid(Count(), lambda random: [pa.array(random.integers(0, 9, 5))])
    """
    random = np.random.default_rng(seed)
    equal = same or _identical
    for turn in range(rounds):
        batches = [tuple(make_batch(random)) for _ in range(3)]
        _check(aggregate, batches, random, equal, f"round {turn}, seed {seed}")


def _check(
    aggregate: Aggregate,
    batches: list[tuple[pa.Array, ...]],
    random: np.random.Generator,
    same: Same,
    spot: str,
) -> None:
    groups = [_draw(random, len(batch[0]) if batch else 5) for batch in batches]
    watched = _Watched(aggregate, spot)
    a, b, c = (watched.map(each, *batch) for each, batch in zip(groups, batches, strict=True))
    nothing = [column[:0] for column in batches[0]]
    empty = watched.map(Groups([], _GROUPS), *nothing)
    none = watched.combine(Groups([], _GROUPS), empty[:0])
    figures = watched.finish(_added(watched, a, b, c))
    no_group = watched.map(Groups([], 0), *nothing)
    types = no_group.type, watched.finish(no_group).type
    _hold(types == (empty.type, figures.type), f"{spot}: no group at all: {types}")

    def law(name: str, partials: pa.Array, expected: pa.Array = figures) -> None:
        found = watched.finish(partials)
        _hold(partials.type == empty.type, f"{spot}: {name}: partials of {partials.type}")
        _hold(found.type == expected.type, f"{spot}: {name}: figures of {found.type}")
        _hold(same(found, expected), f"{spot}: {name} does not hold")

    law("associativity, from the left", _added(watched, _added(watched, a, b), c))
    law("associativity, from the right", _added(watched, a, _added(watched, b, c)))
    law("commutativity", _added(watched, c, b, a))
    alone = watched.finish(a)
    law("identity on the right", _added(watched, a, empty), alone)
    law("identity on the left", _added(watched, empty, a), alone)
    law("the identity that no partial gives", _added(watched, none, a), alone)
    law("a partial combined with none", _added(watched, a), alone)

    index = np.concatenate([each.index for each in groups])
    columns = [pa.concat_arrays(list(parts)) for parts in zip(*batches, strict=True)]
    law("map of all rows", watched.map(Groups(index, _GROUPS), *columns))
    order = random.permutation(len(index))
    moved = tuple(column.take(pa.array(order)) for column in columns)
    law("map of rows in any order", watched.map(Groups(index[order], _GROUPS), *moved))


@dataclass(frozen=True, slots=True)
class _Watched:
    """The aggregate, each function held to leave its arguments as they are: what it is given may be
    read again, by another figure or in another group."""

    aggregate: Aggregate
    spot: str

    def map(self, groups: Groups, *columns: pa.Array) -> pa.Array:
        with self._kept("map", groups, *columns):
            return mapped(self.aggregate, groups, columns)

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        with self._kept("combine", groups, partials):
            return combined(self.aggregate, groups, partials)

    def finish(self, partials: pa.Array) -> pa.Array:
        with self._kept("finish", Groups([], 0), partials):
            return finished(self.aggregate, partials)

    @contextmanager
    def _kept(self, function: str, groups: Groups, *arrays: pa.Array) -> Iterator[None]:
        def told() -> str:
            return repr((groups.index.tolist(), groups.count, [a.to_pylist() for a in arrays]))

        before = told()
        yield
        _hold(told() == before, f"{self.spot}: {function} changed what it was given")


def _hold(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _draw(random: np.random.Generator, rows: int) -> Groups:
    """Groups of which the last has no row."""
    return Groups(random.integers(0, _GROUPS - 1, rows), _GROUPS)


def _added(watched: _Watched, *partials: pa.Array) -> pa.Array:
    """The partials of equal groups, combined."""
    index = np.tile(np.arange(_GROUPS), len(partials))
    return watched.combine(Groups(index, _GROUPS), pa.concat_arrays(list(partials)))


def _identical(one: pa.Array, other: pa.Array) -> bool:
    # By their text, since NaN is equal to nothing and -0.0 to 0.0.
    return one.type == other.type and repr(one.to_pylist()) == repr(other.to_pylist())
