"""What runs in a worker: partials of a partition's rows, and partials merged in their order.

A worker holds `CHUNK_ROWS` rows or `CHUNK_BYTES`, and up to `HELD_BYTES` of partials, of which it
lets go when there are more: the merge behind the shuffle puts together what belongs together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

from privpipe.aggregates import Groups, combined, finished, grouped, mapped
from privpipe.errors import AggregateError
from privpipe.spark._lips import sealed_lips
from privpipe.spark.mapreduce._plan import Item, Plan

__all__ = ["identity", "map_side", "merge_side"]

CHUNK_ROWS, CHUNK_BYTES = 1 << 18, 64 << 20
FOLD_BYTES, HELD_BYTES = 8 << 20, 64 << 20
OUT_ROWS = 20_000

Batches = Iterator[pa.RecordBatch]


def map_side(plan: Plan) -> Callable[[Batches], Batches]:
    """Rows to partials, one a group and partition, or more where the groups are very many."""

    def run(batches: Batches) -> Batches:
        held: list[pa.RecordBatch] = []
        folded = 0
        for chunk in _chunks(batches, len(plan.keys) + len(plan.columns)):
            made = _mapped(plan, chunk)
            if 2 * made.num_rows > len(chunk[0]):
                yield from _pieces(made)  # hardly two rows a group: nothing to gain by holding
                continue
            held.append(made)
            if sum(each.nbytes for each in held) > max(2 * folded, FOLD_BYTES):
                held = [_combined(plan, held)]
                folded = held[0].nbytes
                if folded > HELD_BYTES:
                    yield from _pieces(held.pop())
                    folded = 0
        if held:
            yield from _pieces(held[0] if len(held) == 1 else _combined(plan, held))

    return run


def identity(plan: Plan) -> Callable[[Batches], Batches]:
    """The partial of no rows, once: what a table without keys and rows comes to."""

    def run(batches: Batches) -> Batches:
        for _ in batches:
            pass
        empty = [pa.array([], kind) for kind in (*plan.key_types, *plan.columns)]
        yield _mapped(plan, empty)

    return run


def merge_side(plan: Plan, *, finish: bool) -> Callable[[Batches], Batches]:
    """Partials, sorted by key, to one a group, or to its figures."""

    def run(batches: Batches) -> Batches:
        rest: list[pa.RecordBatch] = []
        kinds = [*plan.key_types, *(item.partial for item in plan.items)]
        for chunk in _chunks(batches, len(kinds)):
            made = _combined(plan, [*rest, _batch(_cast(chunk, kinds))])
            # The last group may go on in the next chunk.
            rest = [made.slice(made.num_rows - 1)]
            yield from _pieces(_out(plan, made.slice(0, made.num_rows - 1), finish=finish))
        for last in rest:
            yield _out(plan, last, finish=finish)

    return run


def _chunks(batches: Iterable[pa.RecordBatch], width: int) -> Iterator[list[pa.Array]]:
    """The columns of some batches at a time."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= CHUNK_ROWS or size >= CHUNK_BYTES:
            yield _columns(held, width)
            held, rows, size = [], 0, 0
    if held:
        yield _columns(held, width)


def _columns(batches: Sequence[pa.RecordBatch], width: int) -> list[pa.Array]:
    return [pa.concat_arrays([each.column(at) for each in batches]) for at in range(width)]


def _cast(columns: Sequence[pa.Array], kinds: Sequence[pa.DataType]) -> list[pa.Array]:
    """The columns in the very types that the driver told: Spark names its time zone in them."""
    with sealed_lips("of the input"):
        return [
            column if column.type == kind else column.cast(kind)
            for column, kind in zip(columns, kinds, strict=True)
        ]


def _mapped(plan: Plan, columns: Sequence[pa.Array]) -> pa.RecordBatch:
    columns = _cast(columns, (*plan.key_types, *plan.columns))
    count = len(plan.keys)
    groups, keys = _grouped(columns[:count], len(columns[0]))
    values = columns[count:]

    def made(item: Item) -> pa.Array:
        found = mapped(item.aggregate, groups, tuple(values[place] for place in item.columns))
        return _as_told("map", found, item.partial)

    return _batch([*keys, *_each(plan, made)])


def _combined(plan: Plan, batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    columns = _columns(batches, batches[0].num_columns)
    count = len(plan.keys)
    groups, keys = _grouped(columns[:count], len(columns[0]))
    partials = dict(zip(plan.items, columns[count:], strict=True))

    def made(item: Item) -> pa.Array:
        return combined(item.aggregate, groups, partials[item])

    return _batch([*keys, *_each(plan, made)])


def _out(plan: Plan, batch: pa.RecordBatch, *, finish: bool) -> pa.RecordBatch:
    if not finish:
        return batch
    count = len(plan.keys)
    partials = dict(zip(plan.items, batch.columns[count:], strict=True))

    def made(item: Item) -> pa.Array:
        return _as_told("finish", finished(item.aggregate, partials[item]), item.figure)

    return _batch([*batch.columns[:count], *_each(plan, made)])


def _as_told(function: str, found: pa.Array, kind: pa.DataType) -> pa.Array:
    if found.type != kind:
        raise AggregateError(
            f"{function} made {found.type}, where it made {kind} of no rows",
            hint="name the type where an array is made: pa.array(..., type)",
        )
    return found


def _grouped(keys: Sequence[pa.Array], rows: int) -> tuple[Groups, list[pa.Array]]:
    with sealed_lips("of the keys"):
        return grouped(keys, rows)


def _each(plan: Plan, make: Callable[[Item], pa.Array]) -> Iterator[pa.Array]:
    for item in plan.items:
        with sealed_lips(item.name):
            yield make(item)


def _batch(columns: Sequence[pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns), [str(at) for at in range(len(columns))])


def _pieces(batch: pa.RecordBatch) -> Batches:
    for start in range(0, batch.num_rows, OUT_ROWS):
        yield batch.slice(start, OUT_ROWS)
