"""The laws of an aggregate, tried on seeded random batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    before = [column.to_pylist() for batch in batches for column in batch]
    a, b, c = (mapped(aggregate, *each) for each in zip(groups, batches, strict=True))
    nothing = [column[:0] for column in batches[0]]
    empty = mapped(aggregate, Groups([], _GROUPS), tuple(nothing))
    none = combined(aggregate, Groups([], _GROUPS), empty[:0])
    figures = finished(aggregate, _added(aggregate, a, b, c))
    no_group = mapped(aggregate, Groups([], 0), tuple(nothing))
    types = no_group.type, finished(aggregate, no_group).type
    _hold(types == (empty.type, figures.type), f"{spot}: no group at all: {types}")

    def law(name: str, partials: pa.Array, expected: pa.Array = figures) -> None:
        found = finished(aggregate, partials)
        _hold(partials.type == empty.type, f"{spot}: {name}: partials of {partials.type}")
        _hold(found.type == expected.type, f"{spot}: {name}: figures of {found.type}")
        _hold(same(found, expected), f"{spot}: {name} does not hold")

    law("associativity, from the left", _added(aggregate, _added(aggregate, a, b), c))
    law("associativity, from the right", _added(aggregate, a, _added(aggregate, b, c)))
    law("commutativity", _added(aggregate, c, b, a))
    alone = finished(aggregate, a)
    law("identity on the right", _added(aggregate, a, empty), alone)
    law("identity on the left", _added(aggregate, empty, a), alone)
    law("the identity that no partial gives", _added(aggregate, none, a), alone)
    law("a partial combined with none", _added(aggregate, a), alone)

    index = np.concatenate([each.index for each in groups])
    columns = [pa.concat_arrays(list(parts)) for parts in zip(*batches, strict=True)]
    law("map of all rows", mapped(aggregate, Groups(index, _GROUPS), tuple(columns)))
    order = random.permutation(len(index))
    moved = tuple(column.take(pa.array(order)) for column in columns)
    law("map of rows in any order", mapped(aggregate, Groups(index[order], _GROUPS), moved))
    after = [column.to_pylist() for batch in batches for column in batch]
    _hold(repr(after) == repr(before), f"{spot}: the columns were changed")


def _hold(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _draw(random: np.random.Generator, rows: int) -> Groups:
    """Groups of which the last has no row."""
    return Groups(random.integers(0, _GROUPS - 1, rows), _GROUPS)


def _added(aggregate: Aggregate, *partials: pa.Array) -> pa.Array:
    """The partials of equal groups, combined."""
    index = np.tile(np.arange(_GROUPS), len(partials))
    return combined(aggregate, Groups(index, _GROUPS), pa.concat_arrays(list(partials)))


def _identical(one: pa.Array, other: pa.Array) -> bool:
    # By their text, since NaN is equal to nothing and -0.0 to 0.0.
    return one.type == other.type and repr(one.to_pylist()) == repr(other.to_pylist())
