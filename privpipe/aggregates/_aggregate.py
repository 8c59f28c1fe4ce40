"""What an aggregate is: three functions, over all groups of a batch at once."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from privpipe.aggregates._groups import Groups
from privpipe.errors import AggregateError, PrivpipeError

__all__ = ["Aggregate", "NativeAggregate", "combined", "finished", "mapped", "native_text"]


@runtime_checkable
class Aggregate(Protocol):
    """`map` rows to partial values, `combine` those, `finish` them to figures.

    Partials are a commutative monoid: to combine them in any order and grouping gives the same
    figures, a group without rows or partials has the identity, and to map two batches and combine
    is to map both at once. `privpipe.testing.check_monoid` tests this on random batches.

    Each function gets arrays for many groups, and gives one array with a value a group. The types
    of partials and figures are found by calling the functions with empty arrays of the input's
    types. A partial is any Arrow type that Spark stores, and its type alone, with no other setting
    than the aggregate's own, tells `finish` what it is made of. An object is shipped to workers by
    pickle, and keeps nothing between calls.

    A class whose `dp` is True has figures that `privpipe.dp` can release with noise. Without that
    word, as where it is False (`Min`, `Max`, `TopK` and the sketches), a figure is for the inside.
    """

    def map(self, groups: Groups, *columns: pa.Array) -> pa.Array:
        """One partial for each of `groups.count` groups, from the rows of the columns."""
        ...

    def combine(self, groups: Groups, partials: pa.Array) -> pa.Array:
        """One partial for each of `groups.count` groups, from the partials in it, of its type."""
        ...

    def finish(self, partials: pa.Array) -> pa.Array:
        """One figure a partial."""
        ...


@runtime_checkable
class NativeAggregate(Aggregate, Protocol):
    """An aggregate that Spark's SQL has too, and to the last bit."""

    def native(self, *types: pa.DataType) -> str | None:
        """Spark's expression with `{0}`, `{1}` for the columns, or None for these types.

        It holds under `spark.sql.ansi.enabled`, and gives the type that `finish` does.
        """
        ...


def mapped(aggregate: Aggregate, groups: Groups, columns: tuple[pa.Array, ...]) -> pa.Array:
    """`map`, held to its contract. Raises: AggregateError, which quotes no value."""
    try:
        found = aggregate.map(groups, *columns)
    except Exception as error:  # noqa: BLE001 (a user's function fails in any way)
        raise _failed(aggregate, "map", error) from None
    return _checked(aggregate, "map", found, groups.count)


def combined(aggregate: Aggregate, groups: Groups, partials: pa.Array) -> pa.Array:
    """`combine`, held to its contract. Raises: AggregateError, which quotes no value."""
    try:
        found = aggregate.combine(groups, partials)
    except Exception as error:  # noqa: BLE001 (a user's function fails in any way)
        raise _failed(aggregate, "combine", error) from None
    found = _checked(aggregate, "combine", found, groups.count)
    if found.type != partials.type:
        raise AggregateError(
            f"combine makes {found.type} of {partials.type}",
            where=type(aggregate).__name__,
            hint="a combined partial is of the type of those that it was made of",
        )
    return found


def finished(aggregate: Aggregate, partials: pa.Array) -> pa.Array:
    """`finish`, held to its contract. Raises: AggregateError, which quotes no value."""
    try:
        found = aggregate.finish(partials)
    except Exception as error:  # noqa: BLE001 (a user's function fails in any way)
        raise _failed(aggregate, "finish", error) from None
    return _checked(aggregate, "finish", found, len(partials))


def native_text(aggregate: Aggregate, types: tuple[pa.DataType, ...]) -> str | None:
    """Spark's own expression for it, where it has one."""
    return aggregate.native(*types) if isinstance(aggregate, NativeAggregate) else None


def _failed(aggregate: Aggregate, function: str, error: Exception) -> PrivpipeError:
    if isinstance(error, PrivpipeError):
        return error
    # Its text may hold a value: the class alone may leave.
    return AggregateError(
        f"{function} failed with {type(error).__name__}",
        where=type(aggregate).__name__,
        hint="its text is withheld, since it may quote data: `check_monoid` of privpipe.testing "
        "calls the function on made-up batches",
    )


def _checked(aggregate: Aggregate, function: str, found: Any, count: int) -> pa.Array:
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    if not isinstance(found, pa.Array) or len(found) != count:
        what = f"{len(found)} values" if isinstance(found, pa.Array) else type(found).__name__
        raise AggregateError(
            f"{function} gave {what}, where an Arrow array of {count} was due",
            where=type(aggregate).__name__,
            hint="one value for each group, in their order",
        )
    return found
