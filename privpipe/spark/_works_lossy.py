"""Lossy protections that a worker does: those that look a value up, or draw by a key."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from privpipe import arrow
from privpipe.errors import InternalError
from privpipe.kernels import (
    Dictionary,
    Hierarchy,
    Shift,
    context_head,
    masks,
    networks,
    parse_entries,
    parse_hierarchy,
)
from privpipe.keys import open_ref
from privpipe.policy import Generalize, Mask, Replace
from privpipe.policy import Shift as ShiftSettings
from privpipe.spark._task import LeafTask, Row

__all__ = ["generalize", "mask", "replace", "shift"]

_INFO = b"pp1:dictionary"


def replace(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """An entry of the list for each value, the same for equal values."""
    del row
    settings = task.told(Replace)
    given = settings.dictionary
    entries = given if isinstance(given, tuple) else parse_entries(_text(task))
    head = context_head(task.context)
    # A key of its own: under that of a domain's pseudonyms, each of them would tell its entry.
    kernel = open_ref(task.ref).derived(
        _INFO, 32, ("dictionary", entries, head), lambda key: Dictionary(key, entries, head=head)
    )
    return kernel.replace(arrow.encode(leaf))


def generalize(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """The network of an address, or what a hierarchy makes of a text."""
    del row
    settings = task.told(Generalize)
    if settings.network is not None:
        return networks(leaf, v4=settings.network.v4, v6=settings.network.v6)
    return _hierarchy(_text(task), settings.level).generalize(leaf)


def mask(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """Characters hidden, but at the ends and those that are kept: Spark looks these up slowly."""
    del row
    settings = task.told(Mask)
    show = settings.show
    return masks(leaf, first=show.first, last=show.last, keep=settings.keep, char=settings.char)


def shift(task: LeafTask, leaf: pa.Array, row: Row) -> pa.Array:
    """Each date moved by its subject's days."""
    settings = task.told(ShiftSettings)
    days, head = settings.days, context_head(task.context)
    kernel = open_ref(task.ref).built(
        ("shift", days, head), lambda key: Shift(key, days, head=head)
    )
    return kernel.shift(leaf, row.at_leaf(task.beside[0]))


def _text(task: LeafTask) -> str:
    if task.text is None:
        raise InternalError("the policy's file did not travel", where=f"column {task.column}")
    return task.text


@lru_cache(maxsize=16)
def _hierarchy(text: str, level: int) -> Hierarchy:
    return Hierarchy(parse_hierarchy(text, level))
