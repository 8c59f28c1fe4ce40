"""Leaves of nested columns: taken out, changed, and put back in their place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from privpipe.arrow._layout import Mask, bitmap, children_of, flat, listed, validity
from privpipe.arrow._path import Path, Step
from privpipe.errors import EncodingError, InternalError, SchemaError

__all__ = ["fits", "leaf", "leaf_rows", "map_leaf"]


def leaf(array: pa.Array | pa.ChunkedArray, path: Path) -> pa.Array:
    """The values at `path` below a column, one behind the other; `()` is the column itself.

    Elements of all lists and values of all maps follow one another with no mark between rows. What
    lies beneath a null reads as null. Raises SchemaError where the path does not fit the type.
    """
    array, alive = flat(array), None
    for i, step in enumerate(path):
        fits(array.type, step, path[: i + 1])
        array, alive = _child(array, step, alive)
    return _masked(array, alive)


def leaf_rows(array: pa.Array | pa.ChunkedArray, path: Path) -> npt.NDArray[np.int64]:
    """The row of the column that each value of `leaf(array, path)` lies in, ascending.

    Raises SchemaError where the path does not fit the type.
    """
    array = flat(array)
    rows = np.arange(len(array), dtype=np.int64)
    for i, step in enumerate(path):
        fits(array.type, step, path[: i + 1])
        if isinstance(step, Step):
            offsets, children = children_of(array)
            rows, array = np.repeat(rows, np.diff(offsets)), children[-1]
        else:
            array = array.field(array.type.get_field_index(step))
    return rows


def map_leaf(
    array: pa.Array | pa.ChunkedArray,
    path: Path,
    fn: Callable[[pa.Array], pa.Array],
    *,
    nullable: bool | None = None,
) -> pa.Array:
    """The column with `leaf(array, path)` replaced by `fn` of it, an array of the same length.

    All else stays: rows, offsets, nulls, field names, metadata and nullability; only the leaf's
    type becomes that of the result. `nullable` declares the leaf's own field anew. Raises
    EncodingError where the result has a null that the field does not allow (what lies beneath a
    null parent does not count), SchemaError where the path does not fit the type, and
    InternalError where `fn` changes the length.
    """
    return _mapped(flat(array), path, 0, fn, None, nullable)


def _mapped(
    array: pa.Array,
    path: Path,
    depth: int,
    fn: Callable[[pa.Array], pa.Array],
    alive: Mask | None,
    nullable: bool | None,
) -> pa.Array:
    if depth == len(path):
        changed = flat(fn(_masked(array, alive)))
        if len(changed) != len(array):
            raise InternalError("a protection changed the number of values", where=_text(path))
        return changed
    step = path[depth]
    fits(array.type, step, path[: depth + 1])
    child, below = _child(array, step, alive)
    changed = _mapped(child, path, depth + 1, fn, below, nullable)
    field = _field(array.type, step).with_type(changed.type)
    if depth == len(path) - 1:
        field = field if nullable is None else field.with_nullable(nullable)
        if not field.nullable:
            changed = _settled(changed, below, path)
    return _rebuilt(array, step, field, changed)


def _child(array: pa.Array, step: str | Step, alive: Mask | None) -> tuple[pa.Array, Mask | None]:
    """The child that a step leads to, and which of its values no null lies above (None: all)."""
    own = validity(array)
    held = own if alive is None else alive if own is None else own & alive
    if not isinstance(step, Step):
        return array.field(array.type.get_field_index(step)), held
    rows, children = children_of(array)
    if held is not None:
        spans = np.diff(rows)
        held = np.repeat(held, spans) if spans[~held].any() else None
    return children[-1], held


def _rebuilt(array: pa.Array, step: str | Step, field: pa.Field, child: pa.Array) -> pa.Array:
    """The same rows around another child, which is `field`."""
    kind, valid = array.type, validity(array)
    if not isinstance(step, Step):
        place = kind.get_field_index(step)
        fields = [field if i == place else kind.field(i) for i in range(kind.num_fields)]
        children = [child if i == place else array.field(i) for i in range(kind.num_fields)]
        kind = pa.struct(fields)
        return pa.Array.from_buffers(kind, len(array), [bitmap(valid)], children=children)
    if step is Step.VALUES:
        kind = pa.map_(kind.key_field, field, keys_sorted=kind.keys_sorted)
    else:
        kind = pa.large_list(field) if pt.is_large_list(kind) else pa.list_(field)
    rows, children = children_of(array)
    return listed(kind, rows, valid, [*children[:-1], child])


def _field(kind: pa.DataType, step: str | Step) -> pa.Field:
    if not isinstance(step, Step):
        return kind.field(step)
    return kind.value_field if step is Step.ELEMENT else kind.item_field


def fits(kind: pa.DataType, step: str | Step, path: Path) -> None:
    """SchemaError where the last step of `path` leads nowhere in a type."""
    if step is Step.ELEMENT:
        found = pt.is_list(kind) or pt.is_large_list(kind)
    elif step is Step.VALUES:
        found = pt.is_map(kind)
    else:
        # An index below 0 tells of a name that is not there, or there twice.
        found = pt.is_struct(kind) and kind.get_field_index(step) >= 0
    if not found:
        raise SchemaError(f"no such place in a {kind}", where=_text(path))


def _masked(array: pa.Array, alive: Mask | None) -> pa.Array:
    """Null where not alive. Only the bitmap is new: a struct's fields take on its nulls."""
    if alive is None or alive.all():
        return array
    parent = pa.struct([pa.field("", array.type)])
    return pa.Array.from_buffers(parent, len(array), [bitmap(alive)], children=[array]).flatten()[0]


def _settled(array: pa.Array, alive: Mask | None, path: Path) -> pa.Array:
    """Fit for a field that allows no nulls: those beneath null parents are no longer marked."""
    valid = validity(array)
    if valid is None:
        return array
    if not (valid if alive is None else valid | ~alive).all():
        raise EncodingError("a null in a field that allows none", where=_text(path))
    return _unmarked(array)


def _unmarked(array: pa.Array) -> pa.Array:
    kind = array.type
    if pt.is_dictionary(kind):
        if len(array.dictionary) == 0:
            return array  # no word that a row could stand for
        known = array.indices.fill_null(0)
        return pa.DictionaryArray.from_arrays(known, array.dictionary, ordered=kind.ordered)
    if pt.is_struct(kind):
        children = [array.field(i) for i in range(kind.num_fields)]
        return pa.Array.from_buffers(kind, len(array), [None], children=children)
    if pt.is_list(kind) or pt.is_large_list(kind) or pt.is_map(kind):
        rows, children = children_of(array)
        return listed(kind, rows, None, children)
    buffers = [None, *array.buffers()[1:]]
    return pa.Array.from_buffers(kind, len(array), buffers, offset=array.offset)


def _text(path: Path) -> str:
    steps = (step.value if isinstance(step, Step) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")
